import { podsWithoutBreaking, wholeDevice } from "./devices.ts";
import type { NodeRecord } from "./nodes.ts";
import type { Group } from "./shape.ts";
import type { Pick } from "./topology.ts";
import type { Time } from "./types.ts";

interface Option {
  node: NodeRecord;
  /** Pods that fit in all, and those of them that need no whole device broken. */
  pods: number;
  partial: number;
  taken: number;
}

/**
 * Pods that share devices, on as few so far whole devices as can be: first what is left of shared ones, then the devices that
 * take most of the pods. `options` in the order that the queue prefers.
 */
export function pickShared(
  options: readonly Pick[],
  group: Group,
  start: Time,
  seconds: number,
  least: number,
  most: number,
): Pick[] | undefined {
  const needs = group.needs!;
  const all = options.map(([node, pods]): Option => {
    const free = node.timeline.leastFree(start, start + seconds);
    return { node, pods, partial: podsWithoutBreaking(free, node.details, needs, group.request, pods), taken: 0 };
  });
  let missing = most;
  for (const option of all) {
    option.taken = Math.min(missing, option.partial);
    missing -= option.taken;
  }
  const perDevice = Math.min(...needs.devices.map(({ amount }) => Math.max(1, Math.floor(wholeDevice / amount))));
  while (missing > 0) {
    let best: Option | undefined;
    let bestGain = 0;
    for (const option of all) {
      const gain = Math.min(perDevice, missing, option.pods - option.taken);
      if (gain > bestGain) [best, bestGain] = [option, gain];
    }
    if (best === undefined) break;
    best.taken += bestGain;
    missing -= bestGain;
  }
  if (most - missing < least) return undefined;
  return all.flatMap(({ node, taken }): Pick[] => (taken > 0 ? [[node, taken]] : []));
}
