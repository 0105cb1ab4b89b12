/** Sizes that no node, or all nodes together, could ever hold: in words, or undefined. Pure. */
import { effectiveRequests, matchesClass, namedNodes, partedGpu, partialGpu, selectorOf } from "@berth/kinds";
import type { Amounts, Queue, Workload } from "@berth/kinds";
import type { NodeKind } from "./admission.ts";

/** Equal nodes that a job may use. */
interface Room {
  nodeClass: string;
  capacity: Amounts;
  nodes: number;
}

/** What one pod set asks for. */
interface Asked {
  name: string;
  /** Pods without which the job does not start. */
  pods: number;
  request: Amounts;
  rooms: Room[];
}

/**
 * Why a job can never run, whatever else runs: what it lacks of every node, or of all nodes of its queue together. Nodes count
 * that are down or drained: these may come back. The limit of nodes for one job is not looked at: as in Slurm such jobs wait.
 */
export function oversize(workload: Workload, queue: Queue, kinds: readonly NodeKind[]): string | undefined {
  if (kinds.length === 0) return undefined;
  const { podSets, placement } = workload.spec;
  const where = `queue ${queue.metadata.name}`;
  const rooms = roomsOf(workload, kinds);
  if (rooms.length === 0) {
    return placement?.nodes === undefined
      ? `excludes all nodes of ${where} (${count(sizeOf(kinds), "node")})`
      : `none of the nodes that it may use is one of ${where}`;
  }
  const sets: Asked[] = [];
  for (const { name, count: pods, minCount, template } of podSets) {
    const selector = selectorOf(template.spec, queue.spec);
    const usable = rooms.filter(({ nodeClass }) => matchesClass(selector, nodeClass));
    if (usable.length === 0) {
      return `no node of ${where} has the labels that set ${name} selects, and no taint that it does not tolerate`;
    }
    const request = effectiveRequests(template.spec, queue.spec);
    const parts = request[partialGpu];
    if (parts !== undefined) {
      delete request[partialGpu];
      request[partedGpu] = parts / 1000;
    }
    sets.push({ name, pods: minCount ?? pods, request, rooms: usable });
  }
  for (const asked of sets) {
    const lacking = lackingOnOne(asked);
    if (lacking !== undefined) return `a pod of set ${asked.name} needs ${lacking} (${where})`;
  }
  return tooManyNodes(workload, sets, where) ?? tooManyPods(workload, sets, where);
}

function sizeOf(kinds: readonly NodeKind[]): number {
  return kinds.reduce((sum, { names }) => sum + names.size, 0);
}

function count(amount: number, word: string): string {
  return `${amount} ${word}${amount === 1 ? "" : "s"}`;
}

/** The nodes that the job's own lists leave of those of its queue. */
function roomsOf({ spec }: Workload, kinds: readonly NodeKind[]): Room[] {
  const excluded = new Set(spec.placement?.excludedNodes);
  const lists = [spec.placement?.nodes, ...spec.podSets.map(({ template }) => namedNodes(template.spec))];
  const allowed = lists.filter((list) => list !== undefined).map((list) => new Set(list));
  const [first, ...others] = allowed;
  const rooms: Room[] = [];
  for (const { nodeClass, capacity, names } of kinds) {
    let nodes = 0;
    if (first === undefined) {
      nodes = names.size;
      for (const name of excluded) if (names.has(name)) nodes--;
    } else {
      for (const name of first) {
        if (names.has(name) && !excluded.has(name) && others.every((other) => other.has(name))) nodes++;
      }
    }
    if (nodes > 0) rooms.push({ nodeClass, capacity, nodes });
  }
  return rooms;
}

/** What no usable node has enough of for one pod. */
function lackingOnOne({ request, rooms }: Asked): string | undefined {
  const has = (capacity: Amounts, resource: string): number => capacity[resource] ?? 0;
  const fits = rooms.some(({ capacity }) =>
    Object.entries(request).every(([resource, amount]) => amount <= has(capacity, resource)),
  );
  if (fits) return undefined;
  const short = Object.entries(request).find(([resource, amount]) =>
    rooms.every(({ capacity }) => amount > has(capacity, resource)),
  );
  if (short === undefined) return "more of several things at once than any one node has";
  const [resource, amount] = short;
  const largest = Math.max(...rooms.map(({ capacity }) => has(capacity, resource)));
  return `${formatAmount(resource, amount)} on one node; the largest has ${formatAmount(resource, largest)}`;
}

/** More nodes than there are, where it is said how many of its pods may share one. */
function tooManyNodes({ spec }: Workload, sets: readonly Asked[], where: string): string | undefined {
  const perNode = spec.placement?.podsPerNode;
  if (perNode === undefined) return undefined;
  const needed = Math.ceil(sets.reduce((sum, { pods }) => sum + pods, 0) / perNode);
  const rooms = new Set(sets.flatMap((asked) => asked.rooms));
  const available = [...rooms].reduce((sum, { nodes }) => sum + nodes, 0);
  if (needed <= available) return undefined;
  return `needs ${count(needed, "node")} at once; ${count(available, "node")} of ${where} may be used by it`;
}

/** Pods that have no room even when all else is gone: of one set, then of all together by resource. */
function tooManyPods({ spec }: Workload, sets: readonly Asked[], where: string): string | undefined {
  const perNode = spec.placement?.podsPerNode ?? Infinity;
  for (const { name, pods, request, rooms } of sets) {
    const asked = Object.entries(request).filter(([, amount]) => amount > 0);
    const fitting = rooms.reduce((sum, { capacity, nodes }) => {
      const each = asked.map(([resource, amount]) => Math.floor((capacity[resource] ?? 0) / amount));
      return sum + nodes * Math.min(perNode, ...each);
    }, 0);
    if (pods > fitting) {
      const nodes = rooms.reduce((sum, room) => sum + room.nodes, 0);
      return `needs room for ${count(pods, "pod")} of set ${name} at once; ${count(nodes, "node")} of ${where} hold ${fitting} when empty`;
    }
  }
  if (sets.length === 1) return undefined;
  const total: Amounts = {};
  for (const { pods, request } of sets) {
    for (const [resource, amount] of Object.entries(request)) total[resource] = (total[resource] ?? 0) + pods * amount;
  }
  const rooms = [...new Set(sets.flatMap((asked) => asked.rooms))];
  for (const [resource, amount] of Object.entries(total)) {
    const available = rooms.reduce((sum, { capacity, nodes }) => sum + nodes * (capacity[resource] ?? 0), 0);
    if (amount > available) {
      return `needs ${formatAmount(resource, amount)} at once; all nodes of ${where} that it may use have ${formatAmount(resource, available)}`;
    }
  }
  return undefined;
}

/** An amount in words: `2 cpus`, `1.5 GiB of memory`, `4 nvidia.com/gpu`. */
export function formatAmount(resource: string, amount: number): string {
  if (resource === "cpu") return `${amount / 1000} ${amount === 1000 ? "cpu" : "cpus"}`;
  if (resource !== "memory" && resource !== "ephemeral-storage") return `${amount} ${resource}`;
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = amount;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Math.round(value * 100) / 100} ${units[unit]} of ${resource === "memory" ? "memory" : "storage"}`;
}
