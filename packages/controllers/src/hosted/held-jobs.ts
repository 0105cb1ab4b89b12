/**
 * batch/v1 Jobs and JobSets of a real cluster that are held and released as one. Others run them: Berth suspends what may not run, unsuspends
 * what was given its places, and binds the pods that come.
 */
import { type AnyObject, Informer, isReason } from "@berth/client";
import type { Workload } from "@berth/kinds";
import { annotations, cancelRequest, isFinal, labels, workloads } from "@berth/kinds";
import { apiVersionOf } from "@berth/machinery";
import { seconds, timestamp } from "../context.ts";
import { tellByEvent } from "../events.ts";
import { type Attempt, noTask, type WorkloadRecord } from "../model/record.ts";
import { hostOf } from "../model/wrapped-pod.ts";
import { isUnscheduled, waitingReport, WrappingError } from "../pod/wrapping.ts";
import { hostKey } from "../stores.ts";
import type { GroupsParts } from "./groups.ts";
import type { HeldForm, HeldObject } from "./held-form.ts";
import { failureOf } from "./held-job.ts";

/** Who cancels a Workload that another takes the place of. */
const ownName = "job-controller";

export interface HeldJobsParts extends GroupsParts {
  /** Ends an attempt as if it had to make room. */
  takeBack(record: WorkloadRecord, attempt: Attempt): void;
}

export class HeldJobs {
  readonly #parts: HeldJobsParts;
  readonly #form: HeldForm;
  readonly #jobs: Informer<HeldObject>;
  /** By Job and reason: what an event was written of. */
  readonly #told = new Set<string>();

  constructor(parts: HeldJobsParts, form: HeldForm) {
    const { client, log, signal } = parts.context;
    this.#parts = parts;
    this.#form = form;
    this.#jobs = new Informer<HeldObject>({
      client,
      resource: form.resource,
      labelSelector: labels.queue,
      signal,
      transform: (job) => {
        delete job.metadata.managedFields;
        return job;
      },
      onError: (error) => {
        if (!signal.aborted) log("warn", `watching ${form.resource.kind}s failed: ${(error as Error).message}`);
      },
    });
  }

  get synced(): Promise<void> {
    return this.#jobs.synced;
  }

  /** To be called once what earlier leaders began is known. */
  start(): void {
    const changed = ({ metadata: { name, namespace } }: HeldObject): void =>
      this.#parts.look(hostKey(namespace, `${this.#form.host}/${name}`));
    this.#jobs.addHandler({ add: changed, update: changed, delete: changed });
  }

  /** Whether pods of this host wait with their Job. */
  has(namespace: string, host: string): boolean {
    const job = this.#jobs.get(namespace, this.#nameIn(host));
    return job !== undefined && this.#form.isHeld(job);
  }

  async sync(namespace: string, host: string): Promise<void> {
    const job = this.#jobs.get(namespace, this.#nameIn(host));
    // What is deleted takes its Workload with it.
    if (job === undefined || !this.#form.isHeld(job) || job.metadata.deletionTimestamp !== undefined) return;
    const { stores, ledger, hosted } = this.#parts;
    const mine = stores.workloads
      .byIndex("host", hostKey(namespace, host))
      .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) === true)
      .sort((a, b) => (seconds(a.metadata.creationTimestamp) ?? 0) - (seconds(b.metadata.creationTimestamp) ?? 0));
    const current = mine.find(({ status }) => !isFinal(status?.phase));
    const record = ledger.byUid(current?.metadata.uid ?? "");
    const attempt = record?.live.get(noTask);
    if (this.#form.isFinished(job)) {
      if (record !== undefined && attempt?.stopped === undefined && attempt !== undefined)
        hosted.end(record, this.#form.endOf(job, attempt.worst));
      else if (attempt === undefined) await this.#cancel(current);
      return;
    }
    if (current === undefined) await this.#begin(job, mine);
    else if (record === undefined || isFinal(record.phase)) return;
    else if (attempt === undefined) await this.#wait(job, current);
    else if (attempt.stopped === undefined && attempt.state !== "Ended") await this.#run(job, record, attempt, host);
  }

  /** It has no Workload that is not over. */
  async #begin(job: HeldObject, before: readonly Workload[]): Promise<void> {
    const last = before.at(-1);
    if (last !== undefined && cancelRequest(last)?.by !== ownName) {
      await this.#fail(job, failureOf(last));
      return;
    }
    await this.#suspend(job);
    if (this.#form.placesOf(job).size === 0) return;
    try {
      await this.#parts.context.client.create(workloads, this.#form.workloadOf(job, before.length));
    } catch (error) {
      if (isReason(error, "AlreadyExists")) return;
      if (!(error instanceof WrappingError) && !isReason(error, "Invalid", "BadRequest")) throw error;
      await this.#fail(job, { reason: "Invalid", message: (error as Error).message });
    }
  }

  async #wait(job: HeldObject, workload: Workload): Promise<void> {
    const { client } = this.#parts.context;
    const { name, namespace } = workload.metadata;
    if (job.spec.suspend !== true) {
      // Whoever had suspended it by hand lets it go on by hand.
      if (workload.spec.hold === "User") {
        await client.patch(workloads, name, { spec: { hold: null } }, { namespace });
      }
      await this.#suspend(job);
    }
    const counts = [...this.#form.placesOf(job).values()];
    const { podSets } = workload.spec;
    const isSame = counts.length === podSets.length && podSets.every(({ count }, at) => count === counts[at]);
    const isResized = !isSame && workload.status?.phase === "Pending";
    if (isResized && (workload.status?.attempts ?? 0) === 0) {
      await this.#cancel(workload);
      return;
    }
    const report = waitingReport(workload);
    if (report !== undefined) await this.#tell(job, "Normal", "Waiting", report.reason, report.message);
  }

  /** It was given places. */
  async #run(job: HeldObject, record: WorkloadRecord, attempt: Attempt, host: string): Promise<void> {
    const { context, stores, hosted, pods: lone, isAlone, takeBack } = this.#parts;
    const { name, namespace = "", uid } = job.metadata;
    const number = String(attempt.number);
    if (job.metadata.annotations?.[annotations.released] !== number) {
      const metadata = { uid, annotations: { [annotations.released]: number } };
      await this.#patch(job, { metadata, spec: { suspend: false } });
      const nodes = new Set(attempt.pods.map(({ node }) => node)).size;
      await this.#tell(
        job,
        "Normal",
        "Released",
        number,
        `released as job ${record.jobId}, with ${attempt.pods.length} places on ${nodes} nodes`,
      );
      return;
    }
    if (job.spec.suspend === true) {
      // Not by Berth: its user wants it to wait.
      await context.client.patch(workloads, record.name, { spec: { hold: "User" } }, { namespace });
      takeBack(record, attempt);
      await this.#tell(job, "Normal", "Held", number, `was suspended: it waits until it is released, or unsuspended`);
      return;
    }
    const waiting = stores.pods
      .byIndex("host", hostKey(namespace, host))
      .filter(
        (pod) => isUnscheduled(pod, isAlone) && this.#form.owns(pod, job) && !hosted.has(attempt, pod.metadata.name),
      );
    for (const pod of waiting) {
      if (hosted.take(record, attempt, this.#form.podSetOf(pod, record.workload), pod)) continue;
      const message = `waits for one of the ${attempt.pods.length} places that ${this.#form.resource.kind} ${name} was given to be free`;
      await lone.tell(pod, { reason: "NoPlace", message, isOver: false });
    }
  }

  /** Nobody makes pods of it any more; whether those that there are go by that. */
  async hold({ workload, namespace }: WorkloadRecord): Promise<boolean> {
    const job = this.#jobs.get(namespace, this.#nameIn(hostOf(workload)!));
    const owner = workload.metadata.ownerReferences?.find(({ kind }) => kind === this.#form.resource.kind)?.uid;
    if (job === undefined || job.metadata.uid !== owner || this.#form.isFinished(job)) return false;
    const metadata = { uid: owner, annotations: { [annotations.released]: null } };
    await this.#patch(job, { metadata, spec: { suspend: true } });
    return true;
  }

  async #suspend(job: HeldObject): Promise<void> {
    const isMarked = job.metadata.annotations?.[annotations.released] !== undefined;
    if (job.spec.suspend === true && !isMarked) return;
    const metadata = { uid: job.metadata.uid, ...(isMarked ? { annotations: { [annotations.released]: null } } : {}) };
    await this.#patch(job, { metadata, spec: { suspend: true } });
  }

  /** A Job that another has followed by its name is left alone. */
  async #patch({ metadata: { name, namespace } }: HeldObject, patch: object): Promise<void> {
    await this.#parts.context.client
      .patch<AnyObject>(this.#form.resource, name, patch, { namespace })
      .catch((error: unknown) => {
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      });
  }

  /** The Job will never run, or run no more. */
  async #fail(job: HeldObject, why: { reason: string; message: string }): Promise<void> {
    await this.#suspend(job);
    const { client, now } = this.#parts.context;
    const status = job.spec.suspend === true ? this.#form.failed(job, why, now()) : undefined;
    if (status === undefined) return;
    const { name, namespace, uid, resourceVersion } = job.metadata;
    await client
      .patchStatus<AnyObject>(this.#form.resource, name, { metadata: { uid, resourceVersion }, status }, { namespace })
      .catch((error: unknown) => {
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      });
    await this.#tell(job, "Warning", "Failed", why.reason, why.message);
  }

  async #cancel(workload: Workload | undefined): Promise<void> {
    if (workload === undefined || cancelRequest(workload) !== undefined) return;
    const { client, now } = this.#parts.context;
    const { name, namespace } = workload.metadata;
    const metadata = { annotations: { [annotations.cancel]: `${ownName} ${timestamp(now())}` } };
    await client.patch(workloads, name, { metadata }, { namespace }).catch((error: unknown) => {
      if (!isReason(error, "NotFound")) throw error;
    });
  }

  #nameIn(host: string): string {
    return host.slice(this.#form.host.length + 1);
  }

  async #tell(
    job: HeldObject,
    type: "Normal" | "Warning",
    reason: string,
    key: string,
    message: string,
  ): Promise<void> {
    const told = `${job.metadata.uid} ${reason} ${key}`;
    if (this.#told.has(told)) return;
    this.#told.add(told);
    await tellByEvent(
      this.#parts.context,
      { ...job, apiVersion: apiVersionOf(this.#form.resource), kind: this.#form.resource.kind! },
      { type, reason, key, message },
    );
  }
}
