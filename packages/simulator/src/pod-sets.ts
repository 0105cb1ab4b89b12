/** What a job of a trace asks of a site's nodes. Traces tell of processors and GPUs of a job, not how these lie. */
import type { PodSetInput } from "@berth/scheduling";
import type { SiteInput } from "./site-input.ts";
import type { TraceJob } from "./trace.ts";

/** The core counts processors and devices in thousandths. */
const milli = 1000;

/** Index of the resource that GPUs of a trace are: the one of which the nodes have most; undefined: they have none. */
export function gpuOf({ devices = [], resources, nodes }: SiteInput): number | undefined {
  let best: { index: number; total: number } | undefined;
  for (const name of devices) {
    const index = resources.indexOf(name);
    const total = nodes.reduce((sum, { capacity }) => sum + (capacity[index] ?? 0), 0);
    if (total > (best?.total ?? 0)) best = { index, total };
  }
  return best?.index;
}

/**
 * Where there are nodes each processor is a pod of its own, as Slurm's tasks are; of a job with GPUs each GPU, with its part of the
 * processors. Parts that are not equal make two pod sets. In the pool the job is one pod.
 */
export function podSetsOf(
  job: TraceJob,
  site: SiteInput,
  { hasNodes, cpu, gpu }: { hasNodes: boolean; cpu: number; gpu: number | undefined },
  selector: string | undefined,
): PodSetInput[] {
  const { processors, memoryBytes = 0 } = job;
  const gpus = gpu === undefined ? 0 : (job.gpus ?? 0);
  const pods = !hasNodes ? 1 : gpus > 0 ? Math.min(Math.ceil(gpus), processors) : processors;
  const memory = site.resources.indexOf("memory");
  const set = (count: number, cpus: number, devices: number): PodSetInput => {
    const request = site.resources.map(() => 0);
    request[cpu] = milli * cpus;
    if (memory >= 0) request[memory] = memoryBytes * cpus;
    if (gpu !== undefined) request[gpu] = Math.round(milli * devices);
    return { count, request, selector };
  };
  // A part of one GPU stays one.
  const devices = gpus < 1 ? gpus : Math.ceil(gpus);
  const more = (processors % pods) + (devices < 1 ? 0 : devices % pods);
  const [cpus, ofDevices] = [Math.floor(processors / pods), devices < 1 ? devices : Math.floor(devices / pods)];
  const fewer = set(pods - more, cpus, ofDevices);
  if (more === 0) return [fewer];
  return [set(more, Math.ceil(processors / pods), devices < 1 ? devices : Math.ceil(devices / pods)), fewer];
}
