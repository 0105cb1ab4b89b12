/** From the kinds of a site file to what the simulator plays, by the mapping that the live controllers use. */
import {
  type Account,
  accountInput,
  annotations,
  defaultGraceSeconds,
  defaultQueue,
  isDevice,
  type IndexSet,
  matchesClass,
  type Membership,
  membershipInput,
  type Node,
  nodeInput,
  parseIndexList,
  policyInput,
  type Queue,
  qualityOfServiceInput,
  queueInput,
  reservationInput,
  resourcesOf,
  selectorOf,
} from "@berth/kinds";
import type { Assignment, SiteInput, TraceJob } from "@berth/simulator";
import type { SiteFile } from "./site-file.ts";

export interface SiteSimulation {
  input: SiteInput;
  /** Users of the trace, by name, whose jobs no account of the file claims; filled while jobs are assigned. */
  unclaimed: Set<string>;
}

export function siteSimulation(file: SiteFile): SiteSimulation {
  const nodes = file.nodes.flatMap(copiesOf);
  const resources = resourcesOf(nodes);
  const queues = file.queues.length === 0 ? [defaultQueue] : file.queues;
  const unclaimed = new Set<string>();
  const { site } = file;
  const limited = [...queues, ...file.accounts, ...file.memberships, ...file.qualitiesOfService];
  return {
    unclaimed,
    input: {
      resources,
      devices: resources.filter(isDevice),
      matches: matchesClass,
      policy: policyInput(site),
      overheadSeconds: site?.spec.graceSeconds ?? defaultGraceSeconds,
      nodes: nodes.map((node) => nodeInput(node, resources)),
      topology: site?.spec.topology?.levels,
      queues: queues.map((queue) => queueInput(queue, resources, site)),
      accounts: file.accounts.map((account) => accountInput(account, resources)),
      memberships: file.memberships.map((membership) => membershipInput(membership, resources)),
      qualitiesOfService: file.qualitiesOfService.map((qos) => qualityOfServiceInput(qos, resources)),
      reservations: file.reservations.map(reservationInput),
      hasLimits: limited.some(({ spec }) => spec.limits !== undefined),
      entitled: entitlements(file.accounts, file.memberships),
      assign: assignment({ ...file, queues }, unclaimed),
    },
  };
}

/** The nodes that one of the file stands for. One that says nothing of its condition is taken as ready. */
function copiesOf(node: Node): Node[] {
  const status =
    node.status?.conditions === undefined
      ? { ...node.status, conditions: [{ type: "Ready", status: "True" }] }
      : node.status;
  const replicas = node.metadata.annotations?.[annotations.simulatedReplicas];
  if (replicas === undefined) return [{ ...node, status }];
  return Array.from({ length: Number(replicas) }, (_, index) => ({
    ...node,
    metadata: { ...node.metadata, name: `${node.metadata.name}-${index}` },
    status,
  }));
}

/** Each account's part of the whole, as shares say: of what its parent has, beside its siblings and the parent's own members. */
function entitlements(
  accounts: readonly Account[],
  memberships: readonly Membership[],
): Record<string, number> | undefined {
  if (accounts.length === 0) return undefined;
  const sharesOf = (spec: { shares?: unknown }): number => (typeof spec.shares === "number" ? spec.shares : 1);
  const under = (parent: string | undefined): Account[] => accounts.filter(({ spec }) => spec.parent === parent);
  const entitled: Record<string, number> = {};
  const divide = (parent: string | undefined, whole: number): void => {
    const children = under(parent);
    const members = parent === undefined ? [] : memberships.filter(({ spec }) => spec.account === parent);
    const ofMembers = members.reduce((sum, { spec }) => sum + sharesOf(spec), 0);
    const all = children.reduce((sum, { spec }) => sum + sharesOf(spec), 0) + ofMembers;
    if (parent !== undefined)
      entitled[parent] = children.length === 0 ? whole : all === 0 ? 0 : (whole * ofMembers) / all;
    for (const { metadata, spec } of children) divide(metadata.name, all === 0 ? 0 : (whole * sharesOf(spec)) / all);
  };
  divide(undefined, 1);
  return entitled;
}

interface Claim {
  name: string;
  numbers: IndexSet;
}

function claims(objects: readonly (Account | Queue)[], annotation: string): Claim[] {
  return objects.flatMap(({ metadata }) => {
    const text = metadata.annotations?.[annotation];
    return text === undefined ? [] : [{ name: metadata.name, numbers: parseIndexList(text) }];
  });
}

function claimed(list: readonly Claim[], name: string | undefined): string | undefined {
  if (name === undefined || !/^\d{1,6}$/.test(name)) return undefined;
  return list.find(({ numbers }) => numbers.has(Number(name)))?.name;
}

/**
 * Which account, queue and quality of service a job of the trace is counted to. Account: what the trace says itself (Berth's
 * accounting), the account that claims the user by annotation, the user's membership, the account that claims the group, the
 * account of the group's name, an open account. Queue: that of the same name, the one that claims the number, the membership's,
 * the default.
 */
function assignment(file: SiteFile, unclaimed: Set<string>): (job: TraceJob) => Assignment {
  const accounts = new Map(file.accounts.map((account) => [account.metadata.name, account]));
  const queues = new Map(file.queues.map((queue) => [queue.metadata.name, queue]));
  const qualities = new Set(file.qualitiesOfService.map(({ metadata }) => metadata.name));
  const open =
    file.accounts.find(({ spec }) => spec.open === true)?.metadata.name ??
    (accounts.has("default") ? "default" : undefined);
  const defaultQueue = (file.queues.find(({ spec }) => spec.default === true) ?? file.queues[0]!).metadata.name;
  const byUser = claims(file.accounts, annotations.traceUsers);
  const byGroup = claims(file.accounts, annotations.traceGroups);
  const byQueue = claims(file.queues, annotations.traceQueues);
  const selectors = new Map(file.queues.map((queue) => [queue.metadata.name, selectorOf({}, queue.spec)]));
  const known = (map: ReadonlyMap<string, unknown>, name: string | undefined, prefix: string): string | undefined => {
    if (name === undefined) return undefined;
    return map.has(name) ? name : map.has(`${prefix}${name}`) ? `${prefix}${name}` : undefined;
  };
  const memberOf = (user: string): Membership | undefined => {
    const own = file.memberships.filter(({ spec }) => spec.user === user || spec.user === `user-${user}`);
    return own.find(({ spec }) => spec.default === true) ?? own[0];
  };
  const cache = new Map<string, Assignment>();
  return (job) => {
    const key = JSON.stringify([job.user, job.group, job.queue, job.account, job.qos]);
    const before = cache.get(key);
    if (before !== undefined) return before;
    const name = job.user ?? "";
    const member = memberOf(name);
    const account =
      known(accounts, job.account, "") ??
      claimed(byUser, job.user) ??
      member?.spec.account ??
      claimed(byGroup, job.group) ??
      known(accounts, job.group, "group-");
    if (account === undefined) unclaimed.add(name);
    const charged = account ?? open;
    const own = member?.spec.account === charged ? member : undefined;
    const queue = claimed(byQueue, job.queue) ?? known(queues, job.queue, "queue-") ?? own?.spec.queue ?? defaultQueue;
    const qos = [job.qos, own?.spec.qos, charged === undefined ? undefined : accounts.get(charged)?.spec.qos];
    const made: Assignment = {
      user: own?.spec.user ?? name,
      account: charged,
      queue,
      qos: qos.find((one) => one !== undefined && qualities.has(one)),
      selector: selectors.get(queue),
    };
    cache.set(key, made);
    return made;
  };
}
