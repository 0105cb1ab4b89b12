/** What jobs take of nodes, in the timelines. */
import type { NodeRecord, NodeTable } from "./nodes.ts";
import type { Charge } from "./records.ts";
import type { Time } from "./types.ts";

/** Takes (or gives back, sign 1) what the charges say throughout `[start, end)`. */
export function applyCharges(table: NodeTable, charges: readonly Charge[], start: Time, end: Time, sign: 1 | -1): void {
  for (const { node, amounts } of charges) {
    if (node.views === undefined) {
      if (sign === 1) table.gains.record(node);
      node.timeline.add(start, end, amounts, sign);
      table.touch(node, sign === -1);
      continue;
    }
    node.views.open.add(start, end, amounts, sign);
    for (const view of node.views.all) {
      if (sign === 1) table.gains.record(view);
      view.timeline.add(start, end, amounts, sign);
    }
    table.touch(node, sign === -1);
  }
}

/** Pods of several kinds have a charge each, on one node too. */
export function byNode(charges: readonly Charge[]): Map<NodeRecord, number[]> {
  const sums = new Map<NodeRecord, number[]>();
  for (const { node, amounts } of charges) {
    const sum = sums.get(node);
    if (sum === undefined) sums.set(node, amounts.slice());
    else for (const [index, amount] of amounts.entries()) sum[index]! += amount;
  }
  return sums;
}

/** How long a placement could last: until what it takes is free no more on one of its nodes. At most `longest` seconds. */
export function longestSlot(charges: readonly Charge[], start: Time, longest: number): number {
  let end = start + longest;
  for (const [node, amounts] of byNode(charges)) {
    const { times, free, width } = node.timeline;
    const columns = Math.min(width, amounts.length);
    for (let step = node.timeline.stepAt(start); step < times.length && times[step]! < end; step += 1) {
      let fits = true;
      for (let index = 0; index < columns; index += 1) {
        if (free[step * width + index]! < amounts[index]!) fits = false;
      }
      if (!fits) end = Math.max(start, times[step]!);
    }
  }
  return end - start;
}
