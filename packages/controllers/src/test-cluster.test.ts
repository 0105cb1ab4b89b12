/** For tests: the embedded API in this process, controllers against it, and a node that plays pods. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Accounting, openAccounting } from "@berth/accounting";
import { type ApiServer, startApiServer } from "@berth/apiserver";
import { type Client, createClient, Informer, type Lease, loadKubeconfig, microTime, resources } from "@berth/client";
import type { Pod, Workload } from "@berth/kinds";
import {
  admissionPolicies,
  annotations,
  apiVersion,
  attemptOf,
  attemptPodName,
  customResourceDefinitions,
  defaultObjects,
  formatLeaseReport,
  isFinal,
  leaseCondition,
  type LeasedEnd,
  leaseOf,
  questionDefinitions,
  takenReason,
  viewDefinitions,
  workloads,
} from "@berth/kinds";
import { type ControllersOptions, runControllers } from "./controller-manager.ts";
import { timestamp } from "./context.ts";

export interface TestCluster {
  client: Client;
  accounting: Accounting;
  api: ApiServer;
  logs: string[];
  /** Ready leaders so far; begin, kill and begin again as often as the test likes. */
  startControllers(options?: Partial<ControllersOptions>): Promise<{ stop(): Promise<void> }>;
  startNode(options?: TestNodeOptions): Promise<TestNode>;
  close(): Promise<void>;
}

/** A cluster with namespace `ada` that belongs to user ada. */
export async function startTestCluster(): Promise<TestCluster> {
  const folder = mkdtempSync(join(tmpdir(), "berth-controllers-"));
  const api = await startApiServer({
    dataDirectory: folder,
    socketPath: join(folder, "socket"),
    bootstrapObjects: [...customResourceDefinitions, ...defaultObjects],
    questionDefinitions,
    admissionPolicies,
    views: viewDefinitions,
  });
  // As the parts of an embedded cluster: without TLS, which would be most of what a start of the controllers costs.
  const { token } = loadKubeconfig({ path: api.adminKubeconfig }).connection;
  const connection = { server: "http://localhost", socketPath: join(folder, "socket"), token };
  const client = createClient(connection);
  const accounting = await openAccounting(join(folder, "accounting.db"));
  const logs: string[] = [];
  const ending = new AbortController();
  const stopped: Promise<void>[] = [];
  await client.create(resources.namespaces, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "ada", annotations: { [annotations.owner]: "ada" } },
  });
  return {
    client,
    accounting,
    api,
    logs,
    async startControllers(options = {}) {
      const stopping = new AbortController();
      const own = createClient({ ...connection, retryConnectionSeconds: 5 });
      const ready = Promise.withResolvers<void>();
      const done = runControllers({
        client: own,
        accounting,
        users: {
          byName: async (name) =>
            name === "ada"
              ? { name, uid: 1001, gid: 1001, groups: [1001], home: "/home/ada", shell: "/bin/sh" }
              : undefined,
        },
        now: Date.now,
        isAlone: true,
        log: (level, message, fields) => logs.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
        onReady: () => ready.resolve(),
        ...options,
        signal: AbortSignal.any([ending.signal, stopping.signal]),
      });
      stopped.push(done.finally(() => own.close()));
      await ready.promise;
      return {
        async stop() {
          stopping.abort();
          await done;
        },
      };
    },
    startNode: (options) => startTestNode(client, ending.signal, options),
    async close() {
      ending.abort();
      await Promise.all(stopped);
      client.close();
      await api.close();
      await accounting.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface TestNodeOptions {
  name?: string;
  cpus?: number;
  memoryGibibytes?: number;
  /** Devices and others, beside cpu, memory and pods. */
  allocatable?: Record<string, string>;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  /** How long a pod runs, ms; and how it ends. */
  runMs?: (pod: Pod) => number;
  exitCode?: (pod: Pod) => number;
  /** It carries several tasks of an array in one pod. */
  leases?: boolean;
}

export interface TestNode {
  /** Names of pods by how often each was begun; of those with several tasks as each would be named alone. */
  begun: Map<string, number>;
  /** Most pods that ran at once. */
  mostAtOnce: number;
}

/** Plays the pods of one node through the API as a kubelet would; stops them when they are deleted. */
async function startTestNode(client: Client, signal: AbortSignal, options: TestNodeOptions = {}): Promise<TestNode> {
  const { name = "n1", cpus = 4, memoryGibibytes = 8 } = options;
  const allocatable = { cpu: String(cpus), memory: `${memoryGibibytes}Gi`, pods: "1000", ...options.allocatable };
  await client.create(resources.nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      labels: { "kubernetes.io/hostname": name, "berth.dev/driver": "simulated", ...options.labels },
      annotations: { ...options.annotations, ...(options.leases === true ? { [annotations.leases]: "Any" } : {}) },
    },
  });
  await client.patchStatus(resources.nodes, name, {
    status: {
      allocatable,
      capacity: allocatable,
      conditions: [{ type: "Ready", status: "True", reason: "x", message: "" }],
    },
  });
  await keepLease(client, name, signal);
  const node: TestNode = { begun: new Map(), mostAtOnce: 0 };
  const running = new Map<string, NodeJS.Timeout | undefined>();
  const write = async (pod: Pod, status: unknown): Promise<void> => {
    await client
      .patchStatus(resources.pods, pod.metadata.name, { status }, { namespace: pod.metadata.namespace })
      .catch((error: unknown) => {
        if (!signal.aborted && !String(error).includes("not found")) throw error;
      });
  };
  const container = { name: "main", image: "host", imageID: "host", ready: true, restartCount: 0 };
  const end = (pod: Pod, exitCode: number, startedAt: string, message?: unknown, conditions?: unknown): Promise<void> =>
    write(pod, {
      ...(conditions === undefined ? {} : { conditions }),
      phase: exitCode === 0 ? "Succeeded" : "Failed",
      containerStatuses: [
        {
          ...container,
          ready: false,
          state: {
            terminated: {
              exitCode,
              reason: exitCode === 0 ? "Completed" : "Error",
              startedAt,
              finishedAt: timestamp(Date.now()),
              message: JSON.stringify(message ?? { cpuMilliseconds: 5, peakMemoryBytes: 1 << 20, runMilliseconds: 5 }),
            },
          },
        },
      ],
    });
  const startOf = new Map<string, string>();
  const play = async (pod: Pod): Promise<void> => {
    const uid = pod.metadata.uid!;
    if (pod.metadata.deletionTimestamp !== undefined) {
      if (pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed") {
        clearTimeout(running.get(uid));
        await end(pod, 143, startOf.get(uid) ?? timestamp(Date.now()));
      }
      await client
        .delete(resources.pods, pod.metadata.name, { namespace: pod.metadata.namespace, gracePeriodSeconds: 0 })
        .catch(() => {});
      running.delete(uid);
      return;
    }
    if (!running.has(uid) && (pod.status?.phase === undefined || pod.status.phase === "Pending")) {
      running.set(uid, undefined);
      startOf.set(uid, timestamp(Date.now()));
      node.mostAtOnce = Math.max(node.mostAtOnce, running.size);
      await write(pod, {
        phase: "Running",
        startTime: startOf.get(uid),
        containerStatuses: [{ ...container, state: { running: { startedAt: startOf.get(uid) } } }],
      });
      if (pod.metadata.annotations?.[annotations.gate] === "closed") return;
      begin(pod);
    } else if (pod.metadata.annotations?.[annotations.gate] === "open" && running.get(uid) === undefined) begin(pod);
  };
  const taken = new Set<string>();
  /** What a pod with several tasks has begun: those that no pod had before. */
  const begun = (pod: Pod): void => {
    node.begun.set(pod.metadata.name, (node.begun.get(pod.metadata.name) ?? 0) + 1);
  };
  const beginLease = (pod: Pod, tasks: readonly number[]): void => {
    const uid = pod.metadata.uid!;
    const alone = (task: number): Pod => {
      const metadata = { ...pod.metadata, name: attemptPodName({ ...attemptOf(pod)!, task }) };
      return { ...pod, metadata };
    };
    const own = tasks.filter((task) => !taken.has(alone(task).metadata.name));
    const skipped = tasks.filter((task) => !own.includes(task));
    for (const task of own) taken.add(alone(task).metadata.name);
    const ended: LeasedEnd[] = [];
    const condition = (left: number[]): object[] => {
      const running = left.length > 0 || own.length === ended.length ? undefined : own[ended.length];
      return [{ type: leaseCondition, status: "True", message: formatLeaseReport({ ended, running, left, skipped }) }];
    };
    const next = (): void => {
      const task = own[ended.length];
      // Half way through some give back what they have not begun.
      const isLeft = task !== undefined && ended.length > 2 && task % 5 === 0;
      if (task === undefined || isLeft) {
        running.delete(uid);
        const left = own.slice(ended.length);
        for (const each of left) taken.delete(alone(each).metadata.name);
        void end(pod, 0, startOf.get(uid)!, undefined, condition(left));
        return;
      }
      begun(alone(task));
      running.set(
        uid,
        setTimeout(
          () => {
            const exitCode = options.exitCode?.(alone(task)) ?? 0;
            ended.push({ task, exitCode, startedAt: Date.now() - 5, milliseconds: 5 });
            if (ended.length % 4 === 1) void write(pod, { phase: "Running", conditions: condition([]) });
            next();
          },
          options.runMs?.(alone(task)) ?? 0,
        ),
      );
    };
    next();
  };
  const begin = (pod: Pod): void => {
    const uid = pod.metadata.uid!;
    if (!running.has(uid)) return;
    const lease = leaseOf(pod);
    if (lease !== undefined) {
      beginLease(pod, lease.tasks);
      return;
    }
    if (options.leases === true && attemptOf(pod)?.task !== undefined) {
      if (taken.has(pod.metadata.name)) {
        running.delete(uid);
        const status = { phase: "Failed", reason: takenReason };
        void write(pod, status);
        return;
      }
      taken.add(pod.metadata.name);
    }
    begun(pod);
    running.set(
      uid,
      setTimeout(
        () => {
          running.delete(uid);
          void end(pod, options.exitCode?.(pod) ?? 0, startOf.get(uid)!);
        },
        options.runMs?.(pod) ?? 0,
      ).unref(),
    );
  };
  const mine = (pod: Pod): void => {
    if (pod.spec.nodeName === name) void play(pod);
  };
  const informer = new Informer<Pod>({
    client,
    resource: resources.pods,
    fieldSelector: `spec.nodeName=${name}`,
    handlers: [{ add: mine, update: mine }],
    signal,
  });
  await informer.synced;
  return node;
}

/** As a kubelet: a node that is silent for 40 seconds is not taken for up, however long a busy machine takes over a test. */
async function keepLease(client: Client, name: string, signal: AbortSignal): Promise<void> {
  const namespace = "kube-node-lease";
  const spec = () => ({ holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTime(Date.now()) });
  await client.create<Lease>(resources.leases, {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace },
    spec: spec(),
  });
  const timer = setInterval(() => {
    client.patch<Lease>(resources.leases, name, { spec: spec() }, { namespace }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }, 10_000).unref();
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

export function workload(name: string, spec: Partial<Workload["spec"]> = {}): Workload {
  return {
    apiVersion,
    kind: "Workload",
    metadata: { name, namespace: "ada" },
    spec: {
      type: "Batch",
      podSets: [
        {
          name: "main",
          role: "Driver",
          count: 1,
          template: { spec: { containers: [{ name: "main", resources: { requests: { cpu: "1" } } }] } },
        },
      ],
      ...spec,
    },
  };
}

/** Waits until all named Workloads satisfy a condition; the last states on a timeout are in the error. */
export async function waitFor(
  client: Client,
  names: readonly string[],
  holds: (workload: Workload) => boolean = ({ status }) => isFinal(status?.phase),
  timeoutMs = 300_000,
): Promise<Workload[]> {
  const ending = new AbortController();
  const done = Promise.withResolvers<void>();
  const wanted = new Set(names);
  const check = (): void => {
    const found = informer.list().filter((object) => wanted.has(object.metadata.name));
    if (found.length === wanted.size && found.every(holds)) done.resolve();
  };
  const informer = new Informer<Workload>({
    client,
    resource: workloads,
    namespace: "ada",
    handlers: [{ add: () => queueMicrotask(check), update: () => queueMicrotask(check) }],
    signal: ending.signal,
  });
  const timer = setTimeout(() => {
    const states = informer.list().map((object) => `${object.metadata.name}: ${JSON.stringify(object.status)}`);
    done.reject(new Error(`not reached in ${timeoutMs} ms:\n${states.join("\n")}`));
  }, timeoutMs);
  try {
    await informer.synced;
    check();
    await done.promise;
    return names.map((name) => informer.get("ada", name)!);
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
}

/** Asks again until the answer satisfies a condition; the last answer on a timeout is in the error. */
export async function waitUntil<T>(
  ask: () => Promise<T>,
  holds: (answer: T) => boolean,
  timeoutMs = 300_000,
): Promise<T> {
  for (const end = performance.now() + timeoutMs; ;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    if (performance.now() > end) throw new Error(`not reached in ${timeoutMs} ms: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
