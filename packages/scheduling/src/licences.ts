/** Licences: countable, of the whole cluster, on no node. */
import type { Shape } from "./shape.ts";
import type { NodeTable } from "./nodes.ts";
import type { Charge } from "./records.ts";
import type { Explanation } from "./explanation-types.ts";
import type { Time } from "./types.ts";

/** What a job (task) takes of them; undefined: it asks for some that do not exist. */
export function licenceCharge(table: NodeTable, licences: Readonly<Record<string, number>>): Charge | undefined {
  const { licences: node, licenceColumns } = table;
  const amounts: number[] = [];
  for (const [name, amount] of Object.entries(licences)) {
    const column = licenceColumns.get(name);
    if (node === undefined || column === undefined) return undefined;
    while (amounts.length <= column) amounts.push(0);
    amounts[column] = amount;
  }
  return node === undefined ? undefined : { node, amounts };
}

/** Earliest time from `from` at which the licences of the job are free throughout `seconds`; Infinity: never. */
export function licencesFrom(table: NodeTable, shape: Shape, from: Time, seconds: number): Time {
  const { licences } = shape.input;
  if (licences === undefined) return from;
  const charge = licenceCharge(table, licences);
  if (charge === undefined) return Infinity;
  const { timeline } = charge.node;
  const { times, free, width } = timeline;
  let start = from;
  for (
    let step = timeline.stepAt(from);
    step < times.length && (step === 0 || times[step]! < start + seconds);
    step += 1
  ) {
    const fits = charge.amounts.every((amount, column) => amount === 0 || free[step * width + column]! >= amount);
    if (!fits) start = times[step + 1] ?? Infinity;
  }
  return start;
}

/** The licence of which the cluster has fewer than the job asks for, if all were free. */
export function missingLicence(table: NodeTable, shape: Shape): { name: string; total: number } | undefined {
  for (const [name, amount] of Object.entries(shape.input.licences ?? {})) {
    const total = table.licences?.capacity[table.licenceColumns.get(name) ?? -1] ?? 0;
    if (total < amount) return { name, total };
  }
  return undefined;
}

/** The licence of which too few are free at a time, with the numbers. */
export function scarceLicence(table: NodeTable, shape: Shape, time: Time): Explanation["licence"] {
  for (const [name, needed] of Object.entries(shape.input.licences ?? {})) {
    const column = table.licenceColumns.get(name) ?? -1;
    const total = table.licences?.capacity[column] ?? 0;
    const free = table.licences?.timeline.leastFree(time, time + shape.minSlotSeconds)[column] ?? 0;
    if (free < needed) return { name, needed, free, total };
  }
  return undefined;
}
