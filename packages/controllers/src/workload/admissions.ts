/** Workloads as they come, change and go: admission, cancellation, and what deletion must not skip. */
import { type AnyObject, isReason, resources } from "@berth/client";
import type { Workload } from "@berth/kinds";
import {
  accountingFinalizer,
  annotations,
  cancelRequest,
  isFinal,
  labels,
  parseIndexList,
  workloads,
} from "@berth/kinds";
import { type Context, type Identity, timestamp } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { idSpan, recordOf, type WorkloadRecord } from "../model/record.ts";
import { fetchHistory } from "../scheduler/outcomes.ts";
import type { Scheduling } from "../scheduler/scheduling.ts";
import { wallTimeOf } from "../scheduler/snapshot.ts";
import type { Stores } from "../stores.ts";
import { persist, type Writer } from "../writer.ts";
import type { Admission } from "./admission.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { JobIds } from "./job-ids.ts";
import { Judge } from "./judge.ts";
import type { AttemptLife } from "./life.ts";
import type { Refusal } from "./refusal.ts";
import { condition, phaseOf } from "./status.ts";

export interface AdmissionsParts {
  context: Context;
  ledger: Ledger;
  stores: Stores;
  writer: Writer;
  jobIds: JobIds;
  life: AttemptLife;
  scheduling: Scheduling;
}

export class Admissions {
  readonly #parts: AdmissionsParts;
  /** Workloads whose turn has not come, in order of arrival; each gets its id in that order. */
  readonly #waiting: WorkloadRecord[] = [];
  #isAdmitting = false;
  readonly #judge: Judge;
  readonly #checkpoints: Checkpoints;

  constructor(parts: AdmissionsParts) {
    this.#parts = parts;
    this.#judge = new Judge(parts);
    this.#checkpoints = new Checkpoints(parts);
  }

  /** A Workload that was not known. */
  added(workload: Workload): WorkloadRecord {
    const { ledger, context } = this.#parts;
    const record = recordOf(workload, timestamp(context.now()));
    ledger.add(record);
    if (isFinal(record.phase)) this.#letGo(record);
    else if (record.jobId === undefined) this.#enqueue(record);
    else ledger.countJobs(workload.status?.identity?.user ?? "", 1);
    return record;
  }

  /** Takes an admitted Workload into scheduling; of one that was found at the start, its attempts are adopted after this. */
  async resume(record: WorkloadRecord): Promise<void> {
    const { ledger, context, scheduling } = this.#parts;
    // What is not known of a dependency would end the job.
    await persist(() => fetchHistory(record, ledger, context.accounting), context);
    scheduling.add(record);
    this.#repair(record);
  }

  /** Cancellations that came while nobody looked. To be called once the attempts are adopted. */
  resumed(record: WorkloadRecord): void {
    this.#cancelAsAsked(record);
  }

  updated(workload: Workload, before: Workload): void {
    const { ledger, scheduling, life } = this.#parts;
    const record = ledger.byUid(workload.metadata.uid ?? "");
    if (record === undefined) {
      this.added(workload);
      return;
    }
    record.workload = workload;
    if (isFinal(record.phase)) {
      if (isFinal(workload.status?.phase)) record.book = undefined;
      this.#letGo(record);
      return;
    }
    if (record.jobId === undefined) return;
    if (workload.metadata.generation !== before.metadata.generation) {
      record.blocked = undefined;
      if (wallTimeOf(workload) !== wallTimeOf(before)) this.#changeWallTime(record, wallTimeOf(before));
      scheduling.update(record);
      const { queue, account } = workload.spec;
      if (queue !== before.spec.queue || account !== before.spec.account) void this.#move(record);
      life.flushSoon(record);
    }
    this.#checkpoints.updated(record, before);
    const { suspend } = annotations;
    if (workload.metadata.annotations?.[suspend] !== before.metadata.annotations?.[suspend]) life.suspend(record);
    this.#cancelAsAsked(record);
  }

  deleted(workload: Workload): void {
    const { ledger, scheduling } = this.#parts;
    const record = ledger.byUid(workload.metadata.uid ?? "");
    if (record === undefined) return;
    record.isGone = true;
    if (!isFinal(record.phase) && record.jobId !== undefined) {
      // Its finalizer was taken away by someone: what waits goes with it, what runs is ended by the garbage collection of its pods.
      scheduling.endPending(record, "Cancelled");
      record.phase = "Cancelled";
    }
    clearTimeout(record.flushTimer);
    if (record.live.size === 0) ledger.remove(record);
  }

  nodesChanged(): void {
    this.#judge.nodesChanged();
  }

  // Admission

  #enqueue(record: WorkloadRecord): void {
    this.#waiting.push(record);
    if (!this.#isAdmitting) void this.#admitAll();
  }

  async #admitAll(): Promise<void> {
    const { context } = this.#parts;
    this.#isAdmitting = true;
    try {
      for (let record = this.#waiting.shift(); record !== undefined; record = this.#waiting.shift()) {
        if (context.signal.aborted) return;
        await this.#admit(record).catch((error: unknown) => {
          if (context.signal.aborted) return;
          context.log("error", `admission failed, and is tried again: ${(error as Error).message}`, {
            workload: `${record.namespace}/${record.name}`,
          });
          setTimeout(() => this.#enqueue(record), 1000);
        });
      }
    } finally {
      this.#isAdmitting = false;
    }
  }

  async #admit(record: WorkloadRecord): Promise<void> {
    const { context, ledger, jobIds, writer, scheduling } = this.#parts;
    const { workload } = record;
    if (ledger.byUid(record.uid) !== record || record.isGone) return;
    const now = timestamp(context.now());
    if (cancelRequest(workload) !== undefined || workload.metadata.deletionTimestamp !== undefined) {
      record.cancelledBy = cancelRequest(workload)?.by;
      this.#refuse(record, { reason: "Cancelled", message: "was cancelled before it was admitted" }, "Cancelled");
      return;
    }
    const { verdict, identity } = await this.judge(record);
    if ("reason" in verdict) {
      this.#refuse(record, verdict, "Failed");
      return;
    }
    const span = idSpan(workload);
    let jobId = jobIds.next(span);
    while (jobId === undefined) {
      await writer.run(() => jobIds.take(span));
      jobId = jobIds.next(span);
    }
    ledger.countJobs(identity!.name, 1);
    const written = this.#write(record, jobId, verdict, identity!, now);
    // The next may be one too many: it is judged when this one counts.
    if (scheduling.hasLimits) await written;
    else void written;
  }

  /** See {@link Judge.judge}. */
  judge(...of: Parameters<Judge["judge"]>): ReturnType<Judge["judge"]> {
    return this.#judge.judge(...of);
  }

  /** Its owner put it into another queue or account while it waits: what holds for it is found out anew. */
  async #move(record: WorkloadRecord): Promise<void> {
    const { context, scheduling, writer } = this.#parts;
    const { generation } = record.workload.metadata;
    try {
      const { verdict } = await this.#judge.judge(record, true);
      if (record.workload.metadata.generation !== generation || record.isGone || isFinal(record.phase)) return;
      const now = timestamp(context.now());
      const isRefused = "reason" in verdict;
      const conditions = (record.workload.status?.conditions ?? []).filter(({ type }) => type !== "Moved");
      const moved = isRefused
        ? condition("Moved", "False", verdict.reason, verdict.message, now, generation)
        : condition(
            "Moved",
            "True",
            "Moved",
            `waits in queue ${verdict.queue} for account ${verdict.account}`,
            now,
            generation,
          );
      const status = { ...(isRefused ? {} : { qos: null, ...verdict }), conditions: [...conditions, moved] };
      const patch = { metadata: { uid: record.uid }, status };
      const written = await writer.run(() =>
        context.client.patchStatus<Workload>(workloads, record.name, patch, { namespace: record.namespace }),
      );
      record.workload = { ...record.workload, status: written.status };
      scheduling.update(record);
    } catch (error) {
      if (context.signal.aborted || isReason(error, "NotFound", "Conflict")) return;
      context.log("error", `moving job ${record.jobId} failed: ${(error as Error).message}`);
    }
  }

  async #write(
    record: WorkloadRecord,
    jobId: number,
    admission: Admission,
    identity: Identity,
    now: string,
  ): Promise<void> {
    const { context, ledger, writer } = this.#parts;
    const { workload } = record;
    const { name: user, uid, gid, groups, home, shell } = identity;
    const { generation, creationTimestamp = now } = workload.metadata;
    const { spec } = workload;
    const isEligible = spec.dependencies === undefined && spec.beginTime === undefined && spec.hold === undefined;
    const status: Workload["status"] = {
      jobId,
      phase: "Pending",
      identity: { user, uid, gid, groups, home, shell },
      ...admission,
      reason: "None",
      submitTime: creationTimestamp,
      ...(isEligible ? { eligibleTime: creationTimestamp } : {}),
      waits: { since: creationTimestamp, seconds: {} },
      conditions: [condition("Admitted", "True", "Admitted", `admitted as job ${jobId}`, now, generation)],
      observedGeneration: generation,
    };
    const patch = { metadata: { uid: record.uid }, status };
    try {
      const written = await writer.run(() =>
        context.client.patchStatus<Workload>(workloads, record.name, patch, { namespace: record.namespace }),
      );
      if (record.isGone) return;
      const { resourceVersion } = record.workload.metadata;
      // Annotations may have come since; the newer of the two is what holds.
      if (resourceVersion === workload.metadata.resourceVersion) record.workload = written;
      else record.workload = { ...record.workload, status: written.status };
    } catch (error) {
      ledger.countJobs(user, -1);
      if (isReason(error, "NotFound", "Conflict") || context.signal.aborted) return;
      context.log("error", `admitting ${record.namespace}/${record.name} failed: ${(error as Error).message}`);
      return;
    }
    const fresh = recordOf(record.workload, now);
    record.jobId = jobId;
    record.phase = "Pending";
    record.book = fresh.book;
    record.waiting = fresh.waiting;
    record.eligibleTime = fresh.eligibleTime;
    ledger.addJobId(record);
    this.#parts.scheduling.add(record);
    this.#repair(record);
    this.#cancelAsAsked(record);
  }

  #refuse(
    record: WorkloadRecord,
    refusal: { reason: Refusal["reason"] | "Cancelled"; message: string },
    phase: "Failed" | "Cancelled",
  ): void {
    const { context, writer, life } = this.#parts;
    const now = timestamp(context.now());
    const { generation } = record.workload.metadata;
    record.phase = phase;
    const status = {
      phase,
      message: refusal.message,
      submitTime: record.workload.metadata.creationTimestamp,
      endTime: now,
      cancelledBy: record.cancelledBy ?? null,
      conditions: [
        condition("Admitted", "False", refusal.reason, refusal.message, now, generation),
        condition("Finished", "True", phase, refusal.message, now, generation),
      ],
      observedGeneration: generation,
    };
    writer
      .run(() =>
        context.client.patchStatus(
          workloads,
          record.name,
          { metadata: { uid: record.uid }, status },
          { namespace: record.namespace },
        ),
      )
      .then(() => life.tellFinished(record))
      .catch((error: unknown) => {
        if (context.signal.aborted || isReason(error, "NotFound", "Conflict")) return;
        context.log("error", `refusing ${record.namespace}/${record.name} failed: ${(error as Error).message}`);
      });
  }

  /** What admission leaves on other objects: the label and finalizer of the Workload, the owner of its Secret. */
  #repair(record: WorkloadRecord): void {
    const { workload } = record;
    const { labels: has = {}, finalizers = [], deletionTimestamp } = workload.metadata;
    const jobId = String(record.jobId);
    const isHeld = finalizers.includes(accountingFinalizer) || deletionTimestamp !== undefined;
    if (has[labels.jobId] !== jobId || !isHeld) {
      const metadata: Record<string, unknown> = { uid: record.uid, labels: { [labels.jobId]: jobId } };
      if (!isHeld) metadata["finalizers"] = [...finalizers, accountingFinalizer];
      this.#try("labelling", record, () =>
        this.#parts.context.client.patch(workloads, record.name, { metadata }, { namespace: record.namespace }),
      );
      if (has[labels.jobId] === undefined) this.#adoptSecret(record);
    }
  }

  /** The Secret of the submission goes with its Workload from now on; only one that is marked as a submission's. */
  #adoptSecret(record: WorkloadRecord): void {
    const name = record.workload.spec.submission?.secretName;
    if (name === undefined) return;
    const { apiVersion, kind } = record.workload;
    const escape = (label: string): string => label.replaceAll("/", "~1");
    const owner = { apiVersion, kind, name: record.name, uid: record.uid };
    const patch = [
      { op: "test", path: `/metadata/labels/${escape(labels.submission)}`, value: "true" },
      { op: "add", path: `/metadata/labels/${escape(labels.workload)}`, value: record.name },
      { op: "add", path: "/metadata/ownerReferences", value: [owner] },
    ];
    this.#try("adopting the submission's Secret", record, () =>
      this.#parts.context.client.patch<AnyObject>(resources.secrets, name, patch, {
        namespace: record.namespace,
        type: "Json",
      }),
    );
  }

  // Changes and ends

  /** What runs with less than it had asked for keeps that, unless the wall time is now longer than it was, or shorter than that. */
  #changeWallTime(record: WorkloadRecord, before: number): void {
    const { life } = this.#parts;
    const now = wallTimeOf(record.workload);
    // What was told before its admission says nothing.
    if (now === 0 || before === 0) return;
    for (const attempt of record.live.values()) {
      if (now > before || now < attempt.wallTimeSeconds) life.setWallTime(record, attempt, now);
    }
  }

  #cancelAsAsked(record: WorkloadRecord): void {
    const { workload } = record;
    if (record.jobId === undefined || isFinal(record.phase)) return;
    const request = cancelRequest(workload);
    const isDeleted = workload.metadata.deletionTimestamp !== undefined;
    const tasks = workload.metadata.annotations?.[annotations.cancelTasks];
    if (request === undefined && !isDeleted && (tasks === undefined || tasks === record.cancelledTasks)) return;
    const { life, scheduling, context } = this.#parts;
    if (request !== undefined || isDeleted) {
      record.cancelledBy ??= request?.by ?? "deletion";
      scheduling.endPending(record, "Cancelled");
      for (const attempt of record.live.values()) life.stop(record, attempt, "Cancelled");
      return;
    }
    record.cancelledTasks = tasks;
    try {
      // `WHO INDICES` names who asked; INDICES alone is taken too.
      const words = tasks!.trim().split(/\s+/);
      const list = words.at(-1)!;
      const wanted = parseIndexList(list);
      record.cancelledBy = words.length > 1 ? words[0] : (record.cancelledBy ?? workload.status?.identity?.user);
      scheduling.endPending(record, "Cancelled", list);
      for (const attempt of record.live.values()) life.stopTasks(record, attempt, wanted);
    } catch (error) {
      context.log("warn", `annotation ${annotations.cancelTasks}: ${(error as Error).message}`, {
        jobId: record.jobId,
      });
    }
  }

  /** A Workload that is over may go once it is asked to: nothing of it is left to account. */
  #letGo(record: WorkloadRecord): void {
    const { metadata } = record.workload;
    if (metadata.deletionTimestamp === undefined || metadata.finalizers?.includes(accountingFinalizer) !== true) return;
    if (
      record.live.size > 0 ||
      record.toAccount.length > 0 ||
      record.toRemove.length > 0 ||
      record.toAccountPending.length > 0 ||
      record.isFlushing
    ) {
      return;
    }
    const rest = metadata.finalizers.filter((finalizer) => finalizer !== accountingFinalizer);
    const patch = { metadata: { uid: record.uid, finalizers: rest.length === 0 ? null : rest } };
    this.#try("letting go", record, () =>
      this.#parts.context.client.patch(workloads, record.name, patch, { namespace: record.namespace }),
    );
  }

  /** To be called when a final status is written. */
  finished(record: WorkloadRecord): void {
    const { ledger } = this.#parts;
    record.phase = phaseOf(record);
    if (record.jobId !== undefined) ledger.countJobs(record.workload.status?.identity?.user ?? "", -1);
    if (record.isGone) ledger.remove(record);
    else this.#letGo(record);
  }

  #try(what: string, record: WorkloadRecord, write: () => Promise<unknown>): void {
    const { context, writer } = this.#parts;
    writer.run(write, "Idle").catch((error: unknown) => {
      if (context.signal.aborted || isReason(error, "NotFound", "Conflict")) return;
      context.log("warn", `${what} failed: ${(error as Error).message}`, { jobId: record.jobId });
    });
  }
}
