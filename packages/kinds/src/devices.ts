/** GPUs as single devices, and NUMA domains of nodes, as they stand on objects. */
import { annotations, group } from "./constants.ts";
import type { Node } from "./node.ts";
import { quantityToInteger } from "@berth/machinery";

/** Parts that `scheduling` counts a device by. */
export const deviceParts = 1000;
/** Request of a part of one GPU, in thousandths: what is left of it others may use. */
export const partialGpu = `${group}/gpu-milli`;
/** The GPUs that parts are taken of. */
export const partedGpu = "nvidia.com/gpu";

/** Resources of which each unit is a device of its own (`nvidia.com/gpu`, `amd.com/gpu`). */
export function isDevice(resource: string): boolean {
  return resource.endsWith("/gpu");
}

/** An amount of `scheduling` in the unit of the resource's quantities: GPUs, not thousandths. */
export function amountOfParts(resource: string, parts: number): number {
  return isDevice(resource) ? parts / deviceParts : parts;
}

interface StatedDomain {
  id: number;
  /** `0-3,8-11` */
  cores: string;
  memory?: string | number;
  devices?: Record<string, number[]>;
}

export interface NumaDomains {
  domains?: { id: number; cores: number[]; capacity: number[]; devices?: Record<string, number[]> }[];
  /** Why the annotation cannot be meant, in words. */
  problem?: string;
}

/** NUMA domains that a node states in its annotation `berth.dev/numa-domains`. */
export function numaDomainsOf(node: Node, resources: readonly string[]): NumaDomains {
  const text = node.metadata.annotations?.[annotations.numaDomains];
  if (text === undefined) return {};
  try {
    const stated = JSON.parse(text) as StatedDomain[];
    const domains = stated.map(({ id, cores: list, memory, devices }): NonNullable<NumaDomains["domains"]>[number] => {
      const cores = coresOf(list);
      const amounts: Record<string, number> = { cpu: 1000 * cores.length };
      if (memory !== undefined) amounts["memory"] = quantityToInteger(memory);
      if (!Number.isInteger(id)) throw new Error(`${JSON.stringify(id)} is no id of a domain`);
      return { id, cores, capacity: resources.map((name) => amounts[name] ?? 0), devices };
    });
    return { domains };
  } catch (error) {
    return { problem: `annotation ${annotations.numaDomains} is not understood: ${(error as Error).message}` };
  }
}

function coresOf(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const found = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part.trim());
    if (found === null) throw new Error(`${JSON.stringify(list)} is no list of cores like 0-3,8`);
    const first = Number(found[1]);
    return Array.from({ length: Number(found[2] ?? first) - first + 1 }, (_, index) => first + index);
  });
}
