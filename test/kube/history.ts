/** What happened to the pods of Workloads, read from the audit log of the API server alone: Berth's own word counts for nothing here. */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { annotations, labels, podRequests, type Pod } from "@berth/kinds";

/** What of the requests has to be in the audit log for {@link readHistory}. */
export const auditOfPods: Record<string, unknown>[] = [
  {
    level: "Request",
    verbs: ["create", "update", "patch", "delete", "deletecollection"],
    resources: [{ group: "", resources: ["pods", "pods/status", "pods/binding", "pods/eviction"] }],
  },
  {
    level: "Metadata",
    verbs: ["create", "delete", "deletecollection"],
    resources: [{ group: "", resources: ["nodes"] }],
  },
  { level: "None" },
];

/** One pod from its making to its end; a name may have had several, one after the other. */
export interface Life {
  name: string;
  namespace: string;
  node: string;
  /** `namespace/workload/task`. */
  task: string;
  attempt: number;
  /** Pod set and index within the gang. */
  member: string;
  milliCpu: number;
  /** Of a gang: its script waits until all are up. */
  isGated: boolean;
  /** Seconds after its start at which the node itself ends it. */
  activeDeadlineSeconds: number;
  /** Milliseconds since 1970, here and below. */
  madeAt: number;
  /** Its node said that it runs. */
  runningAt?: number;
  /** Its gate was opened: the scripts of its gang begin. */
  openedAt?: number;
  /** Its node said that it ended. */
  endedAt?: number;
  /** Who first asked for its deletion, and when. */
  deletedAt?: number;
  deletedBy?: string;
}

export interface History {
  lives: Life[];
  /** When each Node object was deleted. */
  nodesDeletedAt: Map<string, number>;
}

interface AuditEvent {
  verb: string;
  user: { username: string };
  objectRef?: { resource: string; subresource?: string; namespace?: string; name?: string };
  responseStatus?: { code?: number };
  requestObject?: Record<string, unknown>;
  requestURI: string;
  requestReceivedTimestamp: string;
  stageTimestamp: string;
}

export async function readHistory(auditLog: string): Promise<History> {
  const lives: Life[] = [];
  const last = new Map<string, Life>();
  const nodesDeletedAt = new Map<string, number>();
  for await (const line of createInterface({ input: createReadStream(auditLog), crlfDelay: Infinity })) {
    const event = JSON.parse(line) as AuditEvent;
    const { objectRef, requestObject: sent } = event;
    const code = event.responseStatus?.code ?? 0;
    if (objectRef === undefined || code < 200 || code > 299) continue;
    // Who watches may hear of an end before its request is answered: what ends does so at the earliest, what begins at the latest.
    const answeredAt = Date.parse(event.stageTimestamp);
    const at = Date.parse(event.requestReceivedTimestamp);
    if (objectRef.resource === "nodes") {
      if (event.verb === "delete") nodesDeletedAt.set(objectRef.name ?? "", at);
      continue;
    }
    const { namespace = "" } = objectRef;
    if (event.verb === "create" && objectRef.subresource === undefined) {
      const life = lifeOf(sent as unknown as Pod, namespace, answeredAt);
      if (life === undefined || event.requestURI.includes("dryRun=")) continue;
      lives.push(life);
      last.set(`${namespace}/${life.name}`, life);
      continue;
    }
    if (event.verb === "deletecollection") {
      const selector = new URL(event.requestURI, "http://localhost").searchParams.get("labelSelector") ?? "";
      for (const life of last.values())
        if (isSelected(life, namespace, selector)) deleted(life, at, event.user.username);
      continue;
    }
    const life = last.get(`${namespace}/${objectRef.name}`);
    if (life === undefined) continue;
    if (event.verb === "delete") deleted(life, at, event.user.username);
    else if (objectRef.subresource === "status") {
      const phase = (sent?.["status"] as { phase?: string } | undefined)?.phase;
      if (phase === "Running") life.runningAt ??= at;
      if (phase === "Succeeded" || phase === "Failed") life.endedAt ??= at;
    } else if (event.verb === "patch" && JSON.stringify(sent ?? {}).includes('/gate":"open"')) life.openedAt ??= at;
  }
  return { lives, nodesDeletedAt };
}

function deleted(life: Life, at: number, by: string): void {
  life.deletedAt ??= at;
  life.deletedBy ??= by;
}

function lifeOf(pod: Pod, namespace: string, madeAt: number): Life | undefined {
  const has = pod.metadata.labels ?? {};
  const workload = has[labels.workload];
  if (workload === undefined) return undefined;
  return {
    name: pod.metadata.name,
    namespace,
    node: pod.spec.nodeName ?? "",
    task: `${namespace}/${workload}/${has[labels.task] ?? ""}`,
    attempt: Number(has[labels.attempt]),
    member: `${has[labels.podSet]}-${has[labels.podIndex]}`,
    milliCpu: podRequests(pod.spec)["cpu"] ?? 0,
    isGated: pod.metadata.annotations?.[annotations.gate] !== undefined,
    activeDeadlineSeconds: pod.spec.activeDeadlineSeconds ?? Infinity,
    madeAt,
  };
}

/** Of the selectors that the controllers use: `key=value` and `key in (a,b)`. */
function isSelected(life: Life, namespace: string, selector: string): boolean {
  if (life.namespace !== namespace) return false;
  const [, workload = "", task = ""] = life.task.split("/");
  const has: Record<string, string> = {
    [labels.workload]: workload,
    [labels.task]: task,
    [labels.attempt]: String(life.attempt),
  };
  const terms = selector.match(/[^,( ]+(?: in \([^)]*\)|=[^,]*)/g) ?? [];
  return terms.every((term) => {
    const [, key = "", list, value] = /^([^= ]+)(?: in \(([^)]*)\)|=(.*))$/.exec(term) ?? [];
    return list === undefined ? has[key] === value : list.split(",").includes(has[key] ?? "");
  });
}

export interface Excuses {
  /** Nodes that were tainted out-of-service, and when. */
  outOfServiceAt?: Map<string, number>;
  /** Of Workloads whose queue may assume loss: seconds after which, and since when their nodes were silent. */
  assumed?: { isOf: (task: string) => boolean; seconds: number; silentSince: number };
  /** Absent: what was on a node at a time is not looked at. */
  milliCpuPerNode?: number;
}

export interface Findings {
  /** Pods that were made a second time under the same name after the first had begun. */
  startedTwice: string[];
  /** An attempt that began while the one before could still be running. */
  overlapping: string[];
  /** Instants at which more was on a node than it has. */
  overcommitted: string[];
  pods: number;
  tasks: number;
  /** Attempts that began beyond the first. */
  requeued: number;
}

/** Holds the laws against what happened. */
export function judge({ lives, nodesDeletedAt }: History, excuses: Excuses = {}): Findings {
  const findings: Findings = {
    startedTwice: [],
    overlapping: [],
    overcommitted: [],
    pods: lives.length,
    tasks: 0,
    requeued: 0,
  };
  const byName = Map.groupBy(lives, ({ namespace, name }) => `${namespace}/${name}`);
  for (const [name, same] of byName) {
    const begun = same.filter((life) => begunAt(life) !== undefined);
    if (begun.length > 1) findings.startedTwice.push(`${name}: ${begun.map(told).join("; ")}`);
  }
  const byTask = Map.groupBy(lives, ({ task }) => task);
  findings.tasks = byTask.size;
  for (const [task, own] of byTask) {
    const attempts = [...Map.groupBy(own, ({ attempt }) => attempt)].sort(([a], [b]) => a - b);
    const begun = attempts.filter(([, members]) => members.some((life) => begunAt(life) !== undefined));
    findings.requeued += Math.max(0, begun.length - 1);
    for (const [at, [number, next]] of attempts.slice(1).entries()) {
      const begins = Math.min(...next.map(({ madeAt }) => madeAt));
      for (const life of attempts[at]![1]) {
        if (couldRunAt(life, begins, nodesDeletedAt, excuses))
          findings.overlapping.push(`${task}: attempt ${number} made ${iso(begins)}; before: ${told(life)}`);
      }
    }
  }
  const { milliCpuPerNode } = excuses;
  if (milliCpuPerNode !== undefined) findings.overcommitted = overcommitted(lives, milliCpuPerNode);
  return findings;
}

/** When its script began: of a gang that did not become whole never, and a kubelet's rejection is no start either. */
const begunAt = ({ isGated, openedAt, runningAt }: Life): number | undefined => (isGated ? openedAt : runningAt);

/** Whether the pod could be running at that time, for all that its node ever said. */
function couldRunAt(life: Life, at: number, nodesDeletedAt: Map<string, number>, excuses: Excuses): boolean {
  if (life.endedAt !== undefined && life.endedAt <= at) return false;
  if ((nodesDeletedAt.get(life.node) ?? Infinity) <= at) return false;
  if ((excuses.outOfServiceAt?.get(life.node) ?? Infinity) <= at) return false;
  // It never began, and was gone before.
  if (begunAt(life) === undefined && (life.deletedAt ?? Infinity) <= at) return false;
  if ((life.runningAt ?? life.madeAt) + life.activeDeadlineSeconds * 1000 <= at) return false;
  const { assumed } = excuses;
  return !(assumed?.isOf(life.task) === true && assumed.silentSince + assumed.seconds * 1000 <= at);
}

/** A pod holds its place until its node has told its end, or its object is gone. */
function overcommitted(lives: readonly Life[], milliCpuPerNode: number): string[] {
  const found: string[] = [];
  for (const [node, own] of Map.groupBy(lives, ({ node }) => node)) {
    const changes = own.flatMap((life) => [
      { at: life.madeAt, by: life.milliCpu },
      { at: Math.min(life.endedAt ?? Infinity, life.deletedAt ?? Infinity), by: -life.milliCpu },
    ]);
    // What went makes room for what came in the same millisecond.
    changes.sort((a, b) => a.at - b.at || a.by - b.by);
    let used = 0;
    for (const { at, by } of changes) {
      used += by;
      if (by > 0 && used > milliCpuPerNode)
        found.push(`${node} had ${used} of ${milliCpuPerNode} milli-cpu at ${iso(at)}`);
    }
  }
  return found;
}

const iso = (at: number | undefined): string => (at === undefined ? "never" : new Date(at).toISOString().slice(11, 23));

function told(life: Life): string {
  return `${life.name} on ${life.node} made ${iso(life.madeAt)}, running ${iso(life.runningAt)}, ended ${iso(life.endedAt)}, deleted ${iso(life.deletedAt)} by ${life.deletedBy ?? "nobody"}`;
}
