/** A control plane with simulated nodes, Berth on it and a load: what the trials of failures are made of. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { resources } from "@berth/client";
import {
  annotations,
  apiVersion,
  isFinal,
  type Pod,
  type PodTemplate,
  type Queue,
  queues,
  type Workload,
  workloads,
  type WorkloadSpec,
} from "@berth/kinds";
import { waitFor } from "../support/waiting.ts";
import { person, startBerth, type BerthOnKube } from "./berth.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { auditOfPods, type Excuses, type Findings, judge, readHistory } from "./history.ts";

export const milliCpuPerNode = 4000;
export const capacity = { cpu: "4", memory: "16Gi" };
const namespace = person.name;
const image = "localhost/none:1";

export interface TrialOptions {
  /** Of each node; nodes are taken as silent after half as long again. */
  leaseSeconds: number;
  controllers?: string[];
}

export interface Load {
  /** Elements of one array. */
  tasks: number;
  /** Workloads of one pod. */
  singles: number;
  /** Workloads of a driver and three workers. */
  gangs: number;
  runSeconds: number;
  wallTimeSeconds: number;
  queue?: string;
}

export interface Trial extends AsyncDisposable {
  plane: ControlPlane;
  berth: BerthOnKube;
  /** Makes the Workloads, whose names begin with `name`. */
  submit(name: string, load: Load): Promise<void>;
  /** Those whose names begin with `name`. */
  workloadsOf(name: string): Promise<Workload[]>;
  /** Waits until all pods of the load run. */
  running(name: string, load: Load): Promise<void>;
  /** Waits until all have ended; fails where one ended otherwise than well, or is not there. */
  succeeded(name: string, load: Load, seconds: number): Promise<Workload[]>;
  /** What the audit log and accounting say of everything so far; fails where a law was broken. */
  judged(excuses?: Excuses): Promise<Findings & { rows: number }>;
}

export const podsOf = ({ tasks, singles, gangs }: Load): number => tasks + singles + gangs * 4;
const workloadsIn = ({ tasks, singles, gangs }: Load): number => (tasks > 0 ? 1 : 0) + singles + gangs;

export async function startTrial(options: TrialOptions): Promise<Trial> {
  const { leaseSeconds } = options;
  const plane = await startControlPlane({
    scheduler: false,
    audit: auditOfPods,
    controllerManagerFlags: [
      `--node-monitor-grace-period=${Math.ceil(leaseSeconds * 1.5)}s`,
      `--node-monitor-period=${Math.max(1, Math.floor(leaseSeconds / 8))}s`,
    ],
  });
  let berth: BerthOnKube;
  try {
    berth = await startBerth(plane, { image, controllers: options.controllers ?? [] });
    await plane.client.create(resources.namespaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, annotations: { [annotations.owner]: person.name } },
    });
    await waitFor("the namespace's service account", () =>
      plane.client.get(resources.serviceAccounts, "default", { namespace }).catch(() => undefined),
    );
  } catch (error) {
    await plane[Symbol.asyncDispose]();
    throw error;
  }
  const { client } = plane;

  const workloadsOf = async (name: string): Promise<Workload[]> =>
    (await client.listAll<Workload>(workloads, { namespace })).items.filter(({ metadata }) =>
      metadata.name.startsWith(`${name}-`),
    );

  return {
    plane,
    berth,
    workloadsOf,
    async submit(name, load) {
      const made = workloadsFor(name, load).values();
      const writer = async (): Promise<void> => {
        for (const each of made) await persist(() => client.create<Workload>(workloads, each));
      };
      await Promise.all(Array.from({ length: 16 }, writer));
    },
    async running(name, load) {
      await waitFor(`the ${podsOf(load)} pods of ${name} to run`, async () => {
        const { items } = await client.listAll<Pod>(resources.pods, { namespace });
        const own = items.filter(({ metadata }) => metadata.name.startsWith(`${name}-`));
        if (own.filter(({ status }) => status?.phase === "Running").length >= podsOf(load)) return true;
        await pause(500);
        return undefined;
      });
    },
    async succeeded(name, load, seconds) {
      const began = Date.now();
      for (;;) {
        const all = await workloadsOf(name).catch(() => []);
        const open = all.filter(({ status }) => !isFinal(status?.phase));
        if (all.length === workloadsIn(load) && open.length === 0) {
          const otherwise = all.filter(({ status }) => status?.phase !== "Succeeded");
          assert.deepEqual(
            otherwise.map(({ metadata, status }) => `${metadata.name} ${status?.phase}: ${status?.message}`),
            [],
            "Workloads that ended otherwise than well",
          );
          return all;
        }
        const left = open.slice(0, 5).map(({ metadata, status }) => {
          const { phase, reason, message, array, nodes } = status ?? {};
          return JSON.stringify({ name: metadata.name, phase, reason, message, array, nodes });
        });
        assert.ok(
          Date.now() - began < seconds * 1000,
          `after ${seconds} s ${open.length} of ${all.length} Workloads (of ${workloadsIn(load)}) have not ended: ${left.join("; ")}`,
        );
        await pause(1000);
      }
    },
    async judged(excuses = {}) {
      const findings = judge(await readHistory(plane.auditLog), { milliCpuPerNode, ...excuses });
      const { startedTwice, overlapping, overcommitted } = findings;
      assert.deepEqual(startedTwice.slice(0, 5), [], "pods that were started twice");
      assert.deepEqual(overlapping.slice(0, 5), [], "attempts of one task that could run side by side");
      assert.deepEqual(overcommitted.slice(0, 5), [], "nodes that were given more than they have");
      return { ...findings, rows: await accounted() };
    },
    async [Symbol.asyncDispose]() {
      await berth[Symbol.asyncDispose]();
      await plane[Symbol.asyncDispose]();
    },
  };

  /** Each task has exactly one row of its last attempt, and none ended well twice. */
  async function accounted(): Promise<number> {
    const all = (await client.listAll<Workload>(workloads, { namespace })).items;
    const uids = new Set(all.map(({ metadata }) => metadata.uid));
    const database = new DatabaseSync(berth.accounting, { readOnly: true });
    try {
      const rows = database.prepare("SELECT workload_uid, task, attempt, state FROM attempts").all() as {
        workload_uid: string;
        task: number;
        attempt: number;
        state: string;
      }[];
      const ends = new Map<string, number>();
      for (const { workload_uid: uid, task, state } of rows)
        if (uids.has(uid) && state === "Succeeded") ends.set(`${uid} ${task}`, (ends.get(`${uid} ${task}`) ?? 0) + 1);
      assert.deepEqual(
        [...ends].filter(([, count]) => count !== 1),
        [],
        "tasks that are accounted to have ended well more than once",
      );
      const tasks = all
        .filter(({ status }) => status?.phase === "Succeeded")
        .reduce((sum, { spec }) => sum + (spec.array === undefined ? 1 : countOf(spec.array.indices)), 0);
      assert.equal(ends.size, tasks, "tasks that ended well, by accounting and by status");
      return rows.length;
    } finally {
      database.close();
    }
  }
}

/** Of `0-N`, the only form that {@link workloadsFor} writes. */
const countOf = (indices: string): number => Number(indices.split("-")[1]) + 1;

function workloadsFor(name: string, load: Load): Workload[] {
  const { tasks, singles, gangs, runSeconds, wallTimeSeconds, queue } = load;
  const template: PodTemplate = {
    metadata: { annotations: { [annotations.simulatedRunSeconds]: String(runSeconds) } },
    spec: {
      containers: [{ name: "main", image, command: ["true"], resources: { requests: { cpu: "1", memory: "64Mi" } } }],
    },
  };
  // A worker runs until its driver has ended.
  const forever = { ...template, metadata: { annotations: { [annotations.simulatedRunSeconds]: "100000" } } };
  const make = (suffix: string, spec: Partial<WorkloadSpec>): Workload => ({
    apiVersion,
    kind: "Workload",
    metadata: { name: `${name}-${suffix}`, namespace },
    spec: {
      type: "Batch",
      user: person.name,
      wallTimeSeconds,
      graceSeconds: 1,
      podSets: [{ name: "main", role: "Driver", count: 1, template }],
      ...(queue === undefined ? {} : { queue }),
      ...spec,
    },
  });
  const gang: WorkloadSpec["podSets"] = [
    { name: "main", role: "Driver", count: 1, template },
    { name: "worker", role: "Worker", count: 3, template: forever },
  ];
  return [
    ...(tasks > 0 ? [make("array", { array: { indices: `0-${tasks - 1}` } })] : []),
    ...Array.from({ length: singles }, (_, at) => make(`single-${at}`, {})),
    ...Array.from({ length: gangs }, (_, at) => make(`gang-${at}`, { podSets: gang })),
  ];
}

/** Who submits tries again for as long as there is no API server. */
async function persist(create: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await create();
      return;
    } catch (error) {
      const { reason, code, name } = error as { reason?: string; code?: unknown; name?: string };
      if (reason === "AlreadyExists") return;
      if (name !== "ConnectionError" && !(typeof code === "number" && (code >= 500 || code === 429))) throw error;
      await pause(200);
    }
  }
}

/** A queue beside `standard`, with the same image. */
export async function makeQueue({ plane }: Trial, name: string, spec: Queue["spec"]): Promise<void> {
  const { spec: standard } = await plane.client.get<Queue>(queues, "standard");
  await plane.client.create<Queue>(queues, {
    apiVersion,
    kind: "Queue",
    metadata: { name },
    spec: { ...standard, default: false, ...spec },
  });
}
