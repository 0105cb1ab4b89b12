/** How many nodes an sbatch command asks for, and what of each: Slurm's arithmetic of nodes, tasks and CPUs. */
import { refusals, SlurmError, submissionFailed } from "./errors.ts";
import type { SbatchOptions } from "./sbatch-options.ts";
import type { GenericResource } from "./values.ts";

/** What one node of the job is to give. */
export interface NodeShare {
  tasks: number;
  cpus: number;
  /** Absent: as the queue says. */
  memoryBytes?: number;
  /** Counts by resource name (`nvidia.com/gpu`). */
  devices: Record<string, number>;
}

export interface Allocation {
  /** One entry a node, in order; the first runs the script. */
  nodes: NodeShare[];
  /** Models of GPU that the nodes must have. */
  deviceTypes: string[];
  notes: string[];
}

const maximumNodes = 100_000;
const maximumTasks = 1_000_000;

/**
 * Spreads tasks over nodes as evenly as can be, the first nodes taking one more. Without --nodes: as many as --nodelist
 * names, as --ntasks-per-node makes of --ntasks, or as few as hold all tasks. Of `--nodes=MIN-MAX` the fewest that do.
 * @param largestNodeCpus CPUs of the largest node, where known; else all tasks are asked of one node
 * @throws SlurmError 1 where the numbers contradict each other
 */
export function allocate(options: SbatchOptions, largestNodeCpus?: number): Allocation {
  const notes: string[] = [];
  const cpusPerTask = options.cpusPerTask ?? 1;
  let count = countNodes(options, cpusPerTask, largestNodeCpus);
  if (options.tasks !== undefined && options.tasks < count && options.nodeNames === undefined) {
    notes.push(`warning: can't run ${options.tasks} processes on ${count} nodes, setting nnodes to ${options.tasks}`);
    count = options.tasks;
  }
  const tasks = options.tasks ?? count * (options.tasksPerNode ?? 1);
  if (options.tasksPerNode !== undefined && count * options.tasksPerNode < tasks) {
    throw submissionFailed(
      refusals.nodeConfiguration,
      `: ${tasks} tasks do not fit on ${count} nodes with ${options.tasksPerNode} tasks per node`,
    );
  }
  if (options.gpusPerTask && !options.gpus && options.tasks === undefined && options.tasksPerNode === undefined) {
    throw new SlurmError(
      1,
      "error: Failed to validate job spec. --gpus-per-task used without either --gpus or -n/--ntasks is not allowed.",
      "error: Invalid generic resource (gres) specification",
    );
  }
  if (options.cpusPerGpu !== undefined && options.cpusPerTask !== undefined) {
    throw new SlurmError(1, "fatal: --cpus-per-task and --cpus-per-gpu are mutually exclusive.");
  }
  // No cluster has as many; and what follows is work for each.
  const { minimumCpus = 1, tasksPerNode = 1, cpusPerGpu = 1 } = options;
  if (count > maximumNodes || Math.max(tasks, cpusPerTask, tasksPerNode, minimumCpus, cpusPerGpu) > maximumTasks) {
    throw submissionFailed(refusals.nodeConfiguration);
  }
  const types = new Set<string>();
  const nodes: NodeShare[] = [];
  for (let index = 0; index < count; index++) {
    const tasksHere = Math.floor(tasks / count) + (index < tasks % count ? 1 : 0);
    const devices: Record<string, number> = {};
    const add = (resources: GenericResource[] | undefined, factor: (total: number) => number) => {
      for (const { resource, type, count: each } of resources ?? []) {
        devices[resource] = (devices[resource] ?? 0) + factor(each);
        if (type !== undefined) types.add(type);
      }
    };
    add(options.gres, (each) => each);
    add(options.gpusPerNode, (each) => each);
    if (options.gpus && !options.gpusPerNode) {
      add(options.gpus, (total) => Math.floor(total / count) + (index < total % count ? 1 : 0));
    } else if (!options.gpus) add(options.gpusPerTask, (each) => each * tasksHere);
    for (const resource of Object.keys(devices)) if (devices[resource] === 0) delete devices[resource];
    const gpus = Object.values(devices).reduce((sum, each) => sum + each, 0);
    const cpus = Math.max(tasksHere * cpusPerTask, options.minimumCpus ?? 0, (options.cpusPerGpu ?? 0) * gpus);
    const memoryBytes =
      options.memoryPerNode ??
      (options.memoryPerCpu === undefined ? undefined : options.memoryPerCpu * cpus) ??
      (options.memoryPerGpu === undefined ? undefined : options.memoryPerGpu * gpus);
    if (!Number.isSafeInteger(memoryBytes ?? 0) || !Number.isSafeInteger(cpus)) {
      throw submissionFailed(refusals.nodeConfiguration);
    }
    // --mem=0 asks for all there is: the nodes are then taken whole, with no sum of their own.
    nodes.push({ tasks: tasksHere, cpus, devices, ...(memoryBytes && { memoryBytes }) });
  }
  if (types.size > 1) {
    throw new SlurmError(
      1,
      `error: GPUs of several types (${[...types].join(", ")}) in one job are known to Slurm but not yet honoured by Berth`,
    );
  }
  return { nodes, deviceTypes: [...types], notes };
}

function countNodes(options: SbatchOptions, cpusPerTask: number, largestNodeCpus: number | undefined): number {
  const named = options.nodeNames?.length ?? 0;
  const { minimum = 1, maximum = Infinity } = options.nodes ?? {};
  if (named > maximum) throw new SlurmError(1, `error: invalid number of nodes (-N ${named}-${maximum})`);
  let count = Math.max(minimum, named);
  const { tasks, tasksPerNode } = options;
  if (tasks !== undefined) {
    const fit = largestNodeCpus === undefined ? Infinity : Math.floor(largestNodeCpus / cpusPerTask);
    const perNode = Math.min(tasksPerNode ?? Infinity, Math.max(fit, 1));
    if (perNode !== Infinity) count = Math.max(count, Math.min(Math.ceil(tasks / perNode), maximum));
  }
  const perNode = options.gpusPerNode?.reduce((sum, { count: each }) => sum + each, 0);
  const total = options.gpus?.reduce((sum, { count: each }) => sum + each, 0);
  if (perNode && total && options.nodes === undefined) count = Math.max(count, Math.ceil(total / perNode));
  return count;
}
