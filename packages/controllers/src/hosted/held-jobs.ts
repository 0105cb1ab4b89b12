/**
 * batch/v1 Jobs of a real cluster that are held and released as one. Kubernetes runs them: Berth suspends what may not run, unsuspends
 * what was given its places, and binds the pods that come.
 */
import { type AnyObject, Informer, isReason, resources } from "@berth/client";
import type { Pod, Workload } from "@berth/kinds";
import { annotations, cancelRequest, isFinal, labels, workloads } from "@berth/kinds";
import { seconds, timestamp } from "../context.ts";
import { tellByEvent } from "../events.ts";
import { isFinished, type Job } from "../job/job.ts";
import { kindsOfHosts } from "../model/hosts-of-pods.ts";
import { type Attempt, noTask, type WorkloadRecord } from "../model/record.ts";
import { hostOf } from "../model/wrapped-pod.ts";
import { isUnscheduled, waitingReport, WrappingError } from "../pod/wrapping.ts";
import { hostKey } from "../stores.ts";
import type { GroupsParts } from "./groups.ts";
import { endOfJob, failedConditions, failureOf, isHeld, placesOf, workloadOfJob } from "./held-job.ts";

/** Who cancels a Workload that another takes the place of. */
const ownName = "job-controller";

export interface HeldJobsParts extends GroupsParts {
  /** Ends an attempt as if it had to make room. */
  takeBack(record: WorkloadRecord, attempt: Attempt): void;
}

export class HeldJobs {
  readonly #parts: HeldJobsParts;
  readonly #jobs: Informer<Job>;
  /** By Job and reason: what an event was written of. */
  readonly #told = new Set<string>();

  constructor(parts: HeldJobsParts) {
    const { client, log, signal } = parts.context;
    this.#parts = parts;
    this.#jobs = new Informer<Job>({
      client,
      resource: resources.jobs,
      labelSelector: labels.queue,
      signal,
      transform: (job) => {
        delete job.metadata.managedFields;
        return job;
      },
      onError: (error) => {
        if (!signal.aborted) log("warn", `watching Jobs failed: ${(error as Error).message}`);
      },
    });
  }

  get synced(): Promise<void> {
    return this.#jobs.synced;
  }

  /** To be called once what earlier leaders began is known. */
  start(): void {
    const changed = ({ metadata: { name, namespace } }: Job): void =>
      this.#parts.look(hostKey(namespace, `${kindsOfHosts.job}/${name}`));
    this.#jobs.addHandler({ add: changed, update: changed, delete: changed });
  }

  /** Whether pods of this host wait with their Job. */
  has(namespace: string, host: string): boolean {
    const job = this.#jobs.get(namespace, nameIn(host));
    return job !== undefined && isHeld(job);
  }

  async sync(namespace: string, host: string): Promise<void> {
    const job = this.#jobs.get(namespace, nameIn(host));
    // What is deleted takes its Workload with it.
    if (job === undefined || !isHeld(job) || job.metadata.deletionTimestamp !== undefined) return;
    const { stores, ledger, hosted } = this.#parts;
    const mine = stores.workloads
      .byIndex("host", hostKey(namespace, host))
      .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) === true)
      .sort((a, b) => (seconds(a.metadata.creationTimestamp) ?? 0) - (seconds(b.metadata.creationTimestamp) ?? 0));
    const current = mine.find(({ status }) => !isFinal(status?.phase));
    const record = ledger.byUid(current?.metadata.uid ?? "");
    const attempt = record?.live.get(noTask);
    if (isFinished(job)) {
      if (record !== undefined && attempt?.stopped === undefined && attempt !== undefined)
        hosted.end(record, endOfJob(job, attempt.worst));
      else if (attempt === undefined) await this.#cancel(current);
      return;
    }
    if (current === undefined) await this.#begin(job, mine);
    else if (record === undefined || isFinal(record.phase)) return;
    else if (attempt === undefined) await this.#wait(job, current);
    else if (attempt.stopped === undefined && attempt.state !== "Ended") await this.#run(job, record, attempt, host);
  }

  /** It has no Workload that is not over. */
  async #begin(job: Job, before: readonly Workload[]): Promise<void> {
    const last = before.at(-1);
    if (last !== undefined && cancelRequest(last)?.by !== ownName) {
      await this.#fail(job, failureOf(last));
      return;
    }
    await this.#suspend(job);
    if (placesOf(job) === 0) return;
    try {
      await this.#parts.context.client.create(workloads, workloadOfJob(job, before.length));
    } catch (error) {
      if (isReason(error, "AlreadyExists")) return;
      if (!(error instanceof WrappingError) && !isReason(error, "Invalid", "BadRequest")) throw error;
      await this.#fail(job, { reason: "Invalid", message: (error as Error).message });
    }
  }

  async #wait(job: Job, workload: Workload): Promise<void> {
    const { client } = this.#parts.context;
    const { name, namespace } = workload.metadata;
    if (job.spec.suspend !== true) {
      // Whoever had suspended it by hand lets it go on by hand.
      if (workload.spec.hold === "User") {
        await client.patch(workloads, name, { spec: { hold: null } }, { namespace });
      }
      await this.#suspend(job);
    }
    const count = placesOf(job);
    const isResized = workload.spec.podSets[0]!.count !== count && workload.status?.phase === "Pending";
    if (isResized && (workload.status?.attempts ?? 0) === 0) {
      await this.#cancel(workload);
      return;
    }
    const report = waitingReport(workload);
    if (report !== undefined) await this.#tell(job, "Normal", "Waiting", report.reason, report.message);
  }

  /** It was given places. */
  async #run(job: Job, record: WorkloadRecord, attempt: Attempt, host: string): Promise<void> {
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
    const podSet = record.workload.spec.podSets[0]!.name;
    const waiting = stores.pods
      .byIndex("host", hostKey(namespace, host))
      .filter((pod) => isUnscheduled(pod, isAlone) && isOwnedBy(pod, uid) && !hosted.has(attempt, pod.metadata.name));
    for (const pod of waiting) {
      if (hosted.take(record, attempt, podSet, pod)) continue;
      const message = `waits for one of the ${attempt.pods.length} places that Job ${name} was given to be free`;
      await lone.tell(pod, { reason: "NoPlace", message, isOver: false });
    }
  }

  /** Nobody makes pods of it any more; whether those that there are go by that. */
  async hold({ workload, namespace }: WorkloadRecord): Promise<boolean> {
    const job = this.#jobs.get(namespace, nameIn(hostOf(workload)!));
    const owner = workload.metadata.ownerReferences?.find(({ kind }) => kind === "Job")?.uid;
    if (job === undefined || job.metadata.uid !== owner || isFinished(job)) return false;
    const metadata = { uid: owner, annotations: { [annotations.released]: null } };
    await this.#patch(job, { metadata, spec: { suspend: true } });
    return true;
  }

  async #suspend(job: Job): Promise<void> {
    const isMarked = job.metadata.annotations?.[annotations.released] !== undefined;
    if (job.spec.suspend === true && !isMarked) return;
    const metadata = { uid: job.metadata.uid, ...(isMarked ? { annotations: { [annotations.released]: null } } : {}) };
    await this.#patch(job, { metadata, spec: { suspend: true } });
  }

  /** A Job that another has followed by its name is left alone. */
  async #patch({ metadata: { name, namespace } }: Job, patch: object): Promise<void> {
    await this.#parts.context.client
      .patch<AnyObject>(resources.jobs, name, patch, { namespace })
      .catch((error: unknown) => {
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      });
  }

  /** The Job will never run, or run no more. */
  async #fail(job: Job, why: { reason: string; message: string }): Promise<void> {
    await this.#suspend(job);
    const { active = 0, startTime } = job.status ?? {};
    const { terminating = 0 } = (job.status ?? {}) as { terminating?: number };
    // Its status is told again when its pods are gone.
    if (job.spec.suspend !== true || active > 0 || terminating > 0) return;
    const { client, now } = this.#parts.context;
    const { name, namespace, uid, resourceVersion } = job.metadata;
    const status = {
      conditions: failedConditions(job, why, now()),
      startTime: startTime ?? timestamp(now()),
      ready: null,
    };
    await client
      .patchStatus<AnyObject>(resources.jobs, name, { metadata: { uid, resourceVersion }, status }, { namespace })
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

  async #tell(job: Job, type: "Normal" | "Warning", reason: string, key: string, message: string): Promise<void> {
    const told = `${job.metadata.uid} ${reason} ${key}`;
    if (this.#told.has(told)) return;
    this.#told.add(told);
    await tellByEvent(
      this.#parts.context,
      { ...job, apiVersion: "batch/v1", kind: "Job" },
      { type, reason, key, message },
    );
  }
}

function nameIn(host: string): string {
  return host.slice(kindsOfHosts.job.length + 1);
}

function isOwnedBy({ metadata }: Pod, uid: string | undefined): boolean {
  return metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
}
