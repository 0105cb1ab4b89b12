/** What a pod asks for, as integers: milli-cpu, bytes, pods, devices. */
import { quantityToInteger, quantityToMilli } from "@berth/machinery";
import type { Container, PodSpec, ResourceList } from "./pod.ts";
import type { QueueSpec } from "./queue.ts";

/** Amounts by resource name; `cpu` in milli-cpu, all others in whole units. */
export type Amounts = Record<string, number>;

/** cpu of a container that asks for none: without one, any number of jobs would share a core. */
const defaultMilliCpus = 1000;

/** Amount of a Kubernetes quantity in the unit of {@link Amounts}. */
function amountOf(resource: string, quantity: string | number): number {
  return resource === "cpu" ? quantityToMilli(quantity) : quantityToInteger(quantity);
}

export function amountsOf(list: ResourceList | undefined): Amounts {
  const amounts: Amounts = {};
  for (const [resource, quantity] of Object.entries(list ?? {})) amounts[resource] = amountOf(resource, quantity);
  return amounts;
}

/** Requests of a container; a limit stands in for a request that is absent, as in Kubernetes. */
function requestsOf(container: Pick<Container, "resources">): Amounts {
  return { ...amountsOf(container.resources?.limits), ...amountsOf(container.resources?.requests) };
}

function add(to: Amounts, amounts: Amounts): Amounts {
  for (const [resource, amount] of Object.entries(amounts)) to[resource] = (to[resource] ?? 0) + amount;
  return to;
}

function raise(to: Amounts, amounts: Amounts): void {
  for (const [resource, amount] of Object.entries(amounts)) to[resource] = Math.max(to[resource] ?? 0, amount);
}

/**
 * What Kubernetes counts for a pod: the sum over containers and sidecars, or an init container with the sidecars begun before it
 * where that is more; what the pod as a whole asks for instead of these; and its overhead. Without the defaults of a queue.
 */
export function podRequests(spec: PodSpec): Amounts {
  const sum: Amounts = {};
  for (const container of spec.containers) add(sum, requestsOf(container));
  const sidecars: Amounts = {};
  const starting: Amounts = {};
  for (const container of spec.initContainers ?? []) {
    if (container["restartPolicy"] === "Always") raise(starting, add(sidecars, requestsOf(container)));
    else raise(starting, add({ ...sidecars }, requestsOf(container)));
  }
  add(sum, sidecars);
  raise(sum, starting);
  Object.assign(sum, requestsOf({ resources: spec.resources }));
  return add(sum, amountsOf(spec.overhead));
}

/** {@link podRequests} with cpu and memory filled in where the job asks for none, and one of `pods`. */
export function effectiveRequests(spec: PodSpec, queue: QueueSpec): Amounts {
  const amounts = podRequests(spec);
  amounts["cpu"] ??= defaultMilliCpus;
  if (amounts["memory"] === undefined && queue.defaultMemoryPerCpuBytes !== undefined) {
    amounts["memory"] = Math.ceil((amounts["cpu"] / 1000) * queue.defaultMemoryPerCpuBytes);
  }
  amounts["pods"] = 1;
  return amounts;
}
