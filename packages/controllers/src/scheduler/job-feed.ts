/** Tells the core of jobs: those that wait, from Workloads, and those that run, from what attempts tell. */
import type { Amounts, Checkpoint, Pod, Workload } from "@berth/kinds";
import { annotations, billingOf, checkpointsOf, effectiveRequests, labels, suspendedSeconds } from "@berth/kinds";
import type { Allocation, PodGrant } from "@berth/scheduling";
import { seconds } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import {
  type Attempt,
  attemptOfTask,
  type EndedAttempt,
  noTask,
  openTasks,
  type WorkloadRecord,
} from "../model/record.ts";
import type { LiveCluster } from "./cluster.ts";
import { recordOutcome } from "./outcomes.ts";
import { addAmounts, allowanceSecondsOf, graceSecondsOf, type JobContext, jobInput } from "./snapshot.ts";

export class JobFeed {
  readonly #cluster: LiveCluster;
  readonly #ledger: Ledger;

  constructor(cluster: LiveCluster, ledger: Ledger) {
    this.#cluster = cluster;
    this.#ledger = ledger;
  }

  contextOf(record: WorkloadRecord): JobContext {
    return {
      resources: this.#cluster.resources,
      queue: this.#cluster.queueOf(record),
      site: this.#cluster.site,
      mentioned: this.#cluster.mentioned,
      claims: this.#cluster.claims,
      outcomeOf: (jobId) => {
        const known = this.#ledger.byJobId(jobId);
        if (known === undefined) return { outcome: record.history?.get(jobId) };
        return { outcome: recordOutcome(known.record), task: known.task };
      },
    };
  }

  add(record: WorkloadRecord): void {
    this.#cluster.core.addJob(jobInput(record, this.contextOf(record)));
  }

  /** Whether the core knew the job. */
  update(record: WorkloadRecord): boolean {
    const { core } = this.#cluster;
    const id = record.jobId;
    if (id === undefined || !core.has(id)) return false;
    const { id: _, array, submitTime: _submitted, ...changes } = jobInput(record, this.contextOf(record));
    const now = this.#cluster.now();
    core.updateJob(
      id,
      array === undefined ? changes : { ...changes, array: { pending: array.pending, maxRunning: array.maxRunning } },
      now,
    );
    for (const attempt of record.live.values()) {
      if (attempt.startTime === undefined) continue;
      const task = runningTask(record, attempt);
      if (task !== undefined) core.setEnd(id, this.#endOf(record, attempt), now, taskIn(task));
    }
    return true;
  }

  removePending(record: WorkloadRecord, tasks?: readonly (readonly [number, number])[]): boolean {
    const id = record.jobId!;
    if (!this.#cluster.core.has(id)) return false;
    this.#cluster.core.removeJob(id, this.#cluster.now(), tasks);
    return true;
  }

  /** When the slot of an attempt is over. */
  #endOf(record: WorkloadRecord, attempt: Attempt): number {
    const start = seconds(attempt.startTime) ?? Math.floor(attempt.createdAt / 1000);
    const allowance = attempt.startTime === undefined ? allowanceSecondsOf(record.workload) : 0;
    const leased = attempt.lease?.seconds ?? 0;
    const stood = suspendedSeconds(attempt.suspension, this.#cluster.now() * 1000);
    const grace = graceSecondsOf(record.workload, this.#cluster.site);
    return start + allowance + leased + attempt.wallTimeSeconds + stood + grace;
  }

  /** `tasks`: those of the attempt that are not known to run already, one at least. */
  adopted(record: WorkloadRecord, attempt: Attempt, tasks: readonly number[]): void {
    const id = record.jobId!;
    if (!this.#cluster.core.has(id)) return;
    const [first, ...more] = tasks;
    const now = this.#cluster.now();
    const end = this.#endOf(record, attempt);
    // What an earlier leader had make room is as good as gone: nobody else need go for the same job.
    const { preemption } = attempt;
    const allocation: Allocation = {
      ...placesOf(record, attempt),
      // As if it had not stood still: that is not charged.
      startTime: Math.min(now, Math.floor(attempt.createdAt / 1000) + suspendedSeconds(attempt.suspension, now * 1000)),
      endTime: Math.max(now, preemption === undefined ? end : Math.min(end, now + preemption.graceSeconds)),
    };
    this.#cluster.core.startJob(id, allocation, taskIn(first!), more);
    this.#tellSuspension(record, attempt, first!);
    for (const checkpoint of toldBy(record.workload)) this.#tellCheckpoint(record, attempt, first!, checkpoint);
  }

  /** It told that it has saved its state: what was done before that is not lost when it makes room. */
  checkpointed(record: WorkloadRecord, checkpoint: Checkpoint): void {
    if (!this.#cluster.core.has(record.jobId!)) return;
    const { tasks } = checkpoint;
    const one = tasks?.size === 1 ? attemptOfTask(record, tasks.last()!) : undefined;
    for (const attempt of tasks?.size === 1 ? [one] : record.live.values()) {
      if (attempt === undefined) return;
      const task = runningTask(record, attempt);
      if (task !== undefined) this.#tellCheckpoint(record, attempt, task, checkpoint);
    }
  }

  /** What was told of an earlier attempt is before the start of this one, and means nothing. */
  #tellCheckpoint(record: WorkloadRecord, attempt: Attempt, task: number, told: Checkpoint): void {
    const own = attempt.lease?.running ?? task;
    if (told.tasks?.has(own) === false) return;
    const time = Math.min(told.time, this.#cluster.now());
    const { checkpoint } = attempt;
    if (checkpoint?.task === own && checkpoint.time > time) return;
    attempt.checkpoint = { task: own, time };
    this.#cluster.core.setCheckpoint(record.jobId!, time, taskIn(task));
  }

  started(record: WorkloadRecord, attempt: Attempt): boolean {
    const task = runningTask(record, attempt);
    if (!this.#cluster.core.has(record.jobId!) || task === undefined) return false;
    this.#cluster.core.setEnd(record.jobId!, this.#endOf(record, attempt), this.#cluster.now(), taskIn(task));
    return true;
  }

  /** It stands still, or goes on: for whom, and what that does to its slot. */
  suspended(record: WorkloadRecord, attempt: Attempt): boolean {
    const task = runningTask(record, attempt);
    if (!this.#cluster.core.has(record.jobId!) || task === undefined) return false;
    this.#tellSuspension(record, attempt, task);
    return this.started(record, attempt);
  }

  #tellSuspension(record: WorkloadRecord, attempt: Attempt, task: number): void {
    const { core } = this.#cluster;
    const isStill = attempt.suspension?.isSuspended === true;
    if (attempt.standsFor === undefined) core.setCharged(record.jobId!, !isStill, this.#cluster.now(), taskIn(task));
    else if (isStill) core.suspendJob(record.jobId!, this.#cluster.now(), taskIn(task), attempt.standsFor);
  }

  /** What it held and what that counts, for its row. */
  #charge(record: WorkloadRecord, attempt: Attempt): void {
    const { workload } = record;
    const queue = this.#cluster.queueOf(record);
    const allocated: Amounts = {};
    if (workload.spec.placement?.exclusive === true) {
      for (const node of new Set(attempt.pods.map((pod) => pod.node))) {
        addAmounts(allocated, this.#cluster.amountsOf(node) ?? {}, 1);
      }
    } else {
      const counts = placesOf(record, attempt).nodes.map((nodes) => nodes.length);
      for (const [set, { template }] of workload.spec.podSets.entries()) {
        const request = effectiveRequests(template.spec, queue.spec);
        for (const [name, amount] of Object.entries(request)) {
          allocated[name] = (allocated[name] ?? 0) + amount * counts[set]!;
        }
      }
    }
    delete allocated["pods"];
    const qos = this.#cluster.qualityOfService(workload.status?.qos);
    attempt.charge = { billing: billingOf(allocated, queue, this.#cluster.site, qos), allocated };
  }

  ended(record: WorkloadRecord, ended: EndedAttempt, attempt: Attempt): boolean {
    // The tasks of a lease hold the same, one after the other.
    if (attempt.charge === undefined) this.#charge(record, attempt);
    ended.charge = attempt.charge;
    const { task, end, requeue } = ended;
    if (!this.#cluster.core.has(record.jobId!)) return false;
    this.#cluster.core.endJob(record.jobId!, this.#cluster.now(), {
      task: taskIn(task),
      ok: end.phase === "Succeeded",
      requeue,
    });
    return true;
  }

  /** Tasks that were decided to start and did not wait again. */
  takenBack(record: WorkloadRecord, tasks: readonly number[], why: string | undefined): boolean {
    const { core } = this.#cluster;
    if (!core.has(record.jobId!)) return false;
    for (const task of tasks) {
      core.endJob(record.jobId!, this.#cluster.now(), { task: taskIn(task), ok: false, requeue: true });
    }
    if (why !== undefined) core.updateJob(record.jobId!, { blocked: "InvalidTemplate" }, this.#cluster.now());
    return true;
  }
}

/** Read once for all attempts that are found of a Workload. */
function toldBy(workload: Workload): readonly Checkpoint[] {
  let told = known.get(workload);
  if (told === undefined) known.set(workload, (told = checkpointsOf(workload)));
  return told;
}

const known = new WeakMap<Workload, readonly Checkpoint[]>();

/** A task of the attempt that the core counts as running. */
function runningTask({ book }: WorkloadRecord, attempt: Attempt): number | undefined {
  return openTasks(attempt).find((task) => task === noTask || book?.isHeld(task) === true);
}

function taskIn(task: number): number | undefined {
  return task === noTask ? undefined : task;
}

/** Node names in the shape of an allocation; only the sum on each node counts. */
function placesOf(
  record: WorkloadRecord,
  attempt: Attempt,
): Pick<Allocation, "nodes" | "grants"> & { nodes: string[][] } {
  const { podSets } = record.workload.spec;
  const nodes = podSets.map((): string[] => []);
  const grants = podSets.map((): (PodGrant | null)[] => []);
  let hasGrants = false;
  for (const { pod, node, place } of attempt.pods) {
    const podSet = place?.podSet ?? pod?.metadata.labels?.[labels.podSet];
    const set = Math.max(
      0,
      podSets.findIndex(({ name }) => podSet === name),
    );
    const grant = place?.grant ?? grantOf(pod);
    nodes[set]!.push(node);
    grants[set]!.push(grant);
    hasGrants ||= grant !== null;
  }
  return hasGrants ? { nodes, grants } : { nodes };
}

/** Devices, domain and cores that a pod was given; null: none, or none that can be read. */
function grantOf(pod: Pod | undefined): PodGrant | null {
  const text = pod?.metadata.annotations?.[annotations.grant];
  if (text === undefined) return null;
  try {
    return JSON.parse(text) as PodGrant;
  } catch {
    return null;
  }
}
