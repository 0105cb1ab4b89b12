import { DependencyLinks } from "./dependency-links.ts";
import { SchedulingError } from "./error.ts";
import { Heap } from "./heap.ts";
import { ownReason } from "./own-reason.ts";
import { PreemptionBounds } from "./preemption-bounds.ts";
import { RunGroups } from "./preemption-rules.ts";
import { newArray, newRecord, pendingTasks } from "./records.ts";
import type { JobRecord } from "./records.ts";
import { RunSet } from "./runs.ts";
import { SiteStore } from "./site-store.ts";
import type { JobInput, TaskRuns, Time, WaitReason } from "./types.ts";
import { checkJob } from "./validation.ts";

/** The jobs of a state as they wait, change and go. */
export abstract class JobStore extends SiteStore {
  readonly runGroups = new RunGroups();
  readonly preemptionBounds = new PreemptionBounds();
  readonly links = new DependencyLinks(this.jobs, (job) => this.refresh(job));
  /** Waiting jobs whose turn it is. */
  heads = new Set<JobRecord>();
  expired: number[] = [];
  readonly wakes = new Heap<{ time: Time; job: JobRecord }>(
    (a, b) => a.time < b.time || (a.time === b.time && a.job.id < b.job.id),
  );

  addJob(input: JobInput): void {
    this.settled = undefined;
    if (this.jobs.has(input.id)) throw new SchedulingError(`job ${input.id} is known already`);
    checkJob(input, this.resources, this.deviceResources);
    const job = newRecord(input, this.classTable.join(input));
    this.jobs.set(job.id, job);
    this.links.enroll(job);
    this.links.link(job);
    this.watch(job);
    this.touched.add(job);
    this.charging.count(job, this.now);
    this.refresh(job);
  }

  /** What the passing of time does to a job. */
  watch(job: JobRecord): void {
    this.#wakeAt(job, job.input.beginTime);
    this.watchDeadline(job);
  }

  updateJob(id: number, changes: Partial<Omit<JobInput, "id">>, now: Time): void {
    this.settled = undefined;
    const job = this.known(id);
    const input: JobInput = { ...job.input, ...changes, id };
    checkJob(input, this.resources, this.deviceResources);
    this.tick(now);
    // How many tasks one start takes changes nothing of what waits and why.
    if (Object.keys(changes).join() === "lease") {
      job.input = { ...job.input, lease: changes.lease };
      this.refresh(job);
      return;
    }
    this.#unlist(job);
    const jobClass = this.classTable.join(input);
    const isOther = jobClass !== job.class;
    if (isOther) this.charging.leave(job, this.now);
    if (isOther) this.runGroups.forget();
    this.classTable.leave(job.class);
    job.class = jobClass;
    if (changes.user !== undefined || "name" in changes) this.links.forgetName(job);
    job.input = { ...input, podSets: jobClass.shape.podSets, array: undefined };
    this.links.enroll(job);
    if (changes.array !== undefined) job.array = newArray(changes.array, job.array);
    if (isOther) this.charging.enter(job, this.now);
    else this.charging.count(job, this.now);
    if ("dependencies" in changes || changes.array !== undefined) this.links.link(job);
    this.#wakeAt(job, input.beginTime);
    job.expired = false;
    this.watchDeadline(job);
    this.touched.add(job);
    this.refresh(job);
  }

  removeJob(id: number, now: Time, tasks?: TaskRuns): void {
    this.settled = undefined;
    const job = this.known(id);
    this.tick(now);
    if (job.array === undefined) {
      if (pendingTasks(job) === 0) throw new SchedulingError(`job ${id} runs: end it, do not remove it`);
      this.drop(job, false);
      return;
    }
    const { array } = job;
    for (const set of [array.pending, array.blocked, array.never]) {
      for (const [first, last] of tasks ?? set.runs()) {
        const gone = new RunSet([[first, last]]).intersection(set);
        for (const [low, high] of gone.runs()) {
          set.remove(low, high);
          array.notOk.add(low, high);
          this.links.tellFellows(job, low, high, false);
        }
      }
    }
    this.touched.add(job);
    this.charging.count(job, this.now);
    this.settle(job);
  }

  // --- the life of a record

  ownReason(job: JobRecord): WaitReason | undefined {
    const found = ownReason(job, this.now);
    this.#wakeAt(job, found?.until);
    return found?.reason;
  }

  /** Lists the job with its class or takes it off, as its own state says. */
  refresh(job: JobRecord): void {
    const ready = pendingTasks(job) > (job.claims?.length ?? 0) && this.ownReason(job) === undefined;
    if (ready === job.listed) {
      if (!ready) this.touched.add(job);
      return;
    }
    this.touched.add(job);
    if (!ready) {
      this.#unlist(job);
      return;
    }
    job.listed = true;
    job.class.insert(job);
  }

  #unlist(job: JobRecord): void {
    this.plan.drop(job);
    if (!job.listed) return;
    job.class.remove(job);
    job.listed = false;
  }

  protected known(id: number): JobRecord {
    const job = this.jobs.get(id);
    if (job === undefined) throw new SchedulingError(`job ${id} is not known`);
    return job;
  }

  #wakeAt(job: JobRecord, time: Time | undefined): void {
    if (time !== undefined && time > this.now) this.wakes.push({ time, job });
  }

  protected watchDeadline(job: JobRecord): void {
    const { deadline, wallTimeSeconds, minWallTimeSeconds } = job.input;
    if (deadline === undefined) return;
    const latest = deadline - (minWallTimeSeconds ?? wallTimeSeconds);
    this.wakes.push({ time: latest + 1, job });
  }

  /** An array after a task is gone: forgotten with the last. */
  protected settle(job: JobRecord): void {
    if (pendingTasks(job) === 0 && (job.runs?.size ?? 0) === 0) {
      this.drop(job, job.array!.notOk.size === 0);
      return;
    }
    this.refresh(job);
    this.links.tell(job);
  }

  protected drop(job: JobRecord, ok: boolean): void {
    this.#unlist(job);
    this.charging.count(job, this.now, 0);
    this.jobs.delete(job.id);
    this.touched.delete(job);
    this.classTable.leave(job.class);
    this.links.gone(job, ok);
  }
}
