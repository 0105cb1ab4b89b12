/**
 * A recorded workload through the whole embedded cluster in virtual time: its jobs are Workloads that a client makes, its machine is a
 * simulated node; what came of them is read from accounting. Beside it the simulator's schedule of the same jobs.
 */
import { annotations, apiVersion, workloads } from "@berth/kinds";
import type { Workload } from "@berth/kinds";
import type { Client } from "@berth/client";
import { measure, simulate } from "@berth/simulator";
import type { Metrics, ScheduledJob, TraceJob } from "@berth/simulator";
import { drive, startVirtualCluster } from "../support/virtual-cluster.ts";

export interface ReplayOptions {
  jobs: readonly TraceJob[];
  processors: number;
  /** Between TERM and KILL: a slot is this much longer than the wall time. The trace's machine had none. */
  graceSeconds?: number;
  journal?: (line: string) => void;
}

export interface ReplayFigures {
  jobs: number;
  virtualDays: number;
  /** Real time of the cluster's part. */
  seconds: number;
  timers: number;
  cluster: Metrics;
  simulator: Metrics;
  /** Of each figure: by how much the cluster's differs from the simulator's, relative. */
  differences: Record<string, number>;
  /** Jobs that did not start in the same second. */
  otherStarts: number;
}

const compared = [
  "averageWait",
  "averageFlow",
  "averageBoundedSlowdown",
  "maxFlow",
  "maxBoundedSlowdown",
  "rmsBoundedSlowdown",
  "utilization",
  "makespan",
] as const;
const namespace = "trace";
const user = "researcher";

export async function replayTrace(options: ReplayOptions): Promise<ReplayFigures> {
  const { jobs, processors, graceSeconds = 0, journal } = options;
  const began = process.hrtime.bigint();
  await using cluster = await startVirtualCluster({
    nodes: [{ name: "machine", cpus: processors, memoryBytes: processors * 2 ** 30 }],
    objects: [
      { apiVersion, kind: "Site", metadata: { name: "site" }, spec: { reservationDepth: 1, graceSeconds } },
      // Wall times of the trace may be longer than the default queue's.
      { apiVersion, kind: "Queue", metadata: { name: "standard" }, spec: { maxWallTimeSeconds: 365 * 86_400 } },
    ] as never[],
    journal,
  });
  const { clock, client, accounting, logs } = cluster;
  await drive(clock, makeNamespace(client));
  // Whole seconds of the cluster are whole seconds of the trace.
  const start = cluster.start + 60_000;
  if (clock.now() > start) throw new Error("the trace began before its cluster was ready");
  const origin = Math.min(...jobs.map(({ submit }) => submit));
  const failures: unknown[] = [];
  // Jobs of one second are made one after another, in their order.
  const bySecond = Map.groupBy(jobs, ({ submit }) => submit);
  for (const [submit, together] of bySecond) {
    clock.at(start + (submit - origin) * 1000, () => {
      void (async () => {
        for (const job of together) await client.create(workloads, workloadOf(job));
      })().catch((error: unknown) => failures.push(error));
    });
  }
  let accounted = 0;
  const record = accounting.record.bind(accounting);
  accounting.record = async (rows) => {
    await record(rows);
    accounted += rows.length;
  };
  const timers = await clock.runUntil(() => accounted === jobs.length || failures.length > 0);
  if (failures.length > 0) throw failures[0];
  const rows = await drive(clock, accounting.query({ limit: jobs.length + 1 }));
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const byName = new Map(rows.map((row) => [row.workload, row]));
  const relative = (time: string | null): number => (Date.parse(time ?? "") - start) / 1000 + origin;
  const schedule = jobs.map((job): ScheduledJob => {
    const row = byName.get(nameOf(job));
    if (row?.state !== "Succeeded")
      throw new Error(
        `job ${job.id} ended as ${row?.state ?? "nothing"}; the parts say: ${logs.slice(0, 5).join("; ")}`,
      );
    const [submit, begin, end] = [row.submitTime, row.startTime, row.endTime].map(relative) as [number, number, number];
    return { id: job.id, submit, start: begin, end, wait: begin - submit, processors: job.processors };
  });
  const simulated = simulate({ jobs, processors, policy: "easy", mode: "Cycle", overheadSeconds: graceSeconds });
  const inCluster = measure(schedule, processors, seconds);
  return {
    jobs: jobs.length,
    virtualDays: (clock.now() - start) / 86_400_000,
    seconds,
    timers,
    cluster: inCluster,
    simulator: simulated.metrics,
    differences: Object.fromEntries(
      compared.map((name) => [name, Math.abs(inCluster[name] / simulated.metrics[name] - 1)]),
    ),
    otherStarts: schedule.filter((job, index) => job.start !== simulated.schedule[index]!.start).length,
  };
}

async function makeNamespace(client: Client): Promise<void> {
  await client.create(
    { group: "", version: "v1", resource: "namespaces", namespaced: false },
    {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, annotations: { [annotations.owner]: user } },
    },
  );
}

function nameOf(job: TraceJob): string {
  return `job-${job.id}`;
}

function workloadOf(job: TraceJob): Workload {
  return {
    apiVersion,
    kind: "Workload",
    metadata: { name: nameOf(job), namespace },
    spec: {
      type: "Batch",
      user,
      wallTimeSeconds: job.requestedSeconds,
      podSets: [
        {
          name: "main",
          role: "Driver",
          count: 1,
          template: {
            metadata: { annotations: { [annotations.simulatedRunSeconds]: String(job.runSeconds) } },
            spec: {
              restartPolicy: "Never",
              containers: [
                {
                  name: "main",
                  image: "host",
                  command: ["true"],
                  resources: { requests: { cpu: String(job.processors), memory: "1Mi" } },
                },
              ],
            },
          },
        },
      ],
    },
  } as Workload;
}
