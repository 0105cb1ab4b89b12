/** What this machine has to give to jobs, and how it is divided into nodes. */
import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { Refusal } from "./refusal.ts";

export interface Machine {
  cores: number;
  memoryBytes: number;
}

export interface NodeDescription {
  name: string;
  simulated: boolean;
  cpus: number;
  memoryBytes: number;
  /** Only of simulated nodes. */
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  allocatable?: Record<string, string>;
}

const mebibyte = 1024 * 1024;
/** What is left to the machine itself and to Berth: a tenth of the memory, a gibibyte at most. */
const largestReserveBytes = 1024 * mebibyte;

/** Cores and memory that this process may use: a container's limits count. */
export function thisMachine(): Machine {
  const constrained = process.constrainedMemory();
  const total = totalmem();
  const memoryBytes = constrained > 0 && constrained < total ? constrained : total;
  return { cores: availableParallelism(), memoryBytes: Math.min(memoryBytes, totalFromProc() ?? memoryBytes) };
}

function totalFromProc(): number | undefined {
  try {
    const kibibytes = /^MemTotal:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  } catch {
    return undefined;
  }
}

/**
 * Divides a machine into `nodes` equal nodes of whole cores (the first ones get those that are over) and whole mebibytes,
 * and adds simulated ones. Throws a {@link Refusal} when there are fewer cores than nodes.
 * @param cpusPerNode what each of them says that it has, whatever there is: then all of them share the machine's cores
 */
export function describeNodes(
  machine: Machine,
  nodes: number,
  simulated: readonly NodeDescription[],
  cpusPerNode?: number,
): NodeDescription[] {
  if (nodes > machine.cores && cpusPerNode === undefined)
    throw new Refusal(
      `--nodes ${nodes}: this machine has ${machine.cores} ${machine.cores === 1 ? "core" : "cores"}, so it can be at most ${machine.cores} ${machine.cores === 1 ? "node" : "nodes"}; for more use --cpus-per-node or --simulated-nodes`,
    );
  const usable = machine.memoryBytes - Math.min(largestReserveBytes, Math.floor(machine.memoryBytes / 10));
  const real = Array.from({ length: nodes }, (_, index): NodeDescription => {
    const cpus = cpusPerNode ?? Math.floor(machine.cores / nodes) + (index < machine.cores % nodes ? 1 : 0);
    const memoryBytes = Math.floor(usable / nodes / mebibyte) * mebibyte;
    return { name: `node-${index + 1}`, simulated: false, cpus, memoryBytes };
  });
  return [...real, ...simulated];
}
