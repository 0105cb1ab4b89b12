/** Runs batch/v1 Jobs of the embedded cluster; a real cluster has its own controller for them. */
import { type AnyObject, Informer, isReason, resources, WorkQueue } from "@berth/client";
import type { Workload } from "@berth/kinds";
import { annotations, workloads } from "@berth/kinds";
import { type Context, seconds, timestamp } from "../context.ts";
import type { Stores } from "../stores.ts";
import { differs, isFinished, type Job, planJob } from "./job.ts";

const concurrency = 8;

/** Starts to follow Jobs until the context's signal aborts. */
export function startJobController(context: Context, stores: Stores): void {
  const { client, log, signal } = context;
  /** Workloads by the uid of the Job that owns them. */
  const owned = new Map<string, Map<string, Workload>>();
  const jobs = new Informer<Job>({
    client,
    resource: resources.jobs,
    signal,
    onError: (error) => {
      if (!signal.aborted) log("warn", `watching Jobs failed: ${(error as Error).message}`);
    },
  });
  const queue = new WorkQueue<string>({
    process: (key) => sync(key),
    concurrency,
    onError: (key, error) => log("warn", `Job ${key}: ${(error as Error).message}`),
    signal,
  });

  async function sync(key: string): Promise<number | void> {
    const job = jobs.getByKey(key);
    if (job === undefined) return;
    const { name, namespace, uid = "" } = job.metadata;
    if (isFinished(job)) return removeWhenDue(job);
    const plan = planJob(job, [...(owned.get(uid)?.values() ?? [])], context.now());
    if (plan.create !== undefined) await create(job, plan.create);
    if (plan.cancel !== undefined) {
      const metadata = { annotations: { [annotations.cancel]: `job-controller ${timestamp(context.now())}` } };
      await client.patch(workloads, plan.cancel, { metadata }, { namespace });
    }
    if (plan.hold !== undefined) {
      await client.patch(workloads, plan.hold.name, { spec: { hold: plan.hold.hold } }, { namespace });
    }
    if (plan.status !== undefined && differs(job, plan.status)) {
      await client.patchStatus(resources.jobs, name, { metadata: { uid }, status: plan.status }, { namespace });
    }
  }

  async function create(job: Job, workload: Workload): Promise<void> {
    try {
      await client.create(workloads, workload);
    } catch (error) {
      if (isReason(error, "AlreadyExists")) {
        const found = await client.get<Workload>(workloads, workload.metadata.name, {
          namespace: workload.metadata.namespace,
        });
        if (found.metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) === true) return;
        throw new Error(`Workload ${workload.metadata.name} is not this Job's; give the Job another name`, {
          cause: error,
        });
      }
      if (!isReason(error, "Invalid", "BadRequest")) throw error;
      const now = timestamp(context.now());
      const message = (error as Error).message;
      const condition = { type: "Failed", status: "True", reason: "Invalid", message, lastTransitionTime: now };
      const { name, namespace } = job.metadata;
      await client.patchStatus<AnyObject>(resources.jobs, name, { status: { conditions: [condition] } }, { namespace });
    }
  }

  async function removeWhenDue(job: Job): Promise<number | void> {
    const { ttlSecondsAfterFinished } = job.spec;
    if (ttlSecondsAfterFinished === undefined) return;
    const ends = (job.status?.conditions ?? []).map(({ lastTransitionTime }) => seconds(lastTransitionTime));
    const due = (Math.max(...ends) + ttlSecondsAfterFinished) * 1000 - context.now();
    if (due > 0) return due;
    const { name, namespace, uid } = job.metadata;
    await client
      .delete(resources.jobs, name, { namespace, propagationPolicy: "Background", preconditions: { uid } })
      .catch((error: unknown) => {
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      });
  }

  const ownerOf = (workload: Workload): { name: string; uid: string } | undefined =>
    workload.metadata.ownerReferences?.find(({ kind }) => kind === "Job");
  const changed = (workload: Workload, isDeleted: boolean): void => {
    const owner = ownerOf(workload);
    if (owner === undefined) return;
    let mine = owned.get(owner.uid);
    if (mine === undefined) {
      mine = new Map();
      owned.set(owner.uid, mine);
    }
    if (isDeleted) mine.delete(workload.metadata.name);
    else mine.set(workload.metadata.name, workload);
    if (mine.size === 0) owned.delete(owner.uid);
    // A finished Workload that retention removes says nothing new of its Job.
    if (!isDeleted) queue.add(`${workload.metadata.namespace}/${owner.name}`);
  };
  stores.workloads.addHandler({
    add: (workload) => changed(workload, false),
    update: (workload) => changed(workload, false),
    delete: (workload) => changed(workload, true),
  });
  const added = (job: Job): void => queue.add(`${job.metadata.namespace}/${job.metadata.name}`);
  jobs.addHandler({ add: added, update: added });
}
