import { afterEnd, fromOutcome, sortFellows, statusOn } from "./dependencies.ts";
import type { DependencyRecord, JobRecord } from "./records.ts";
import { RunSet } from "./runs.ts";

/** Who waits for whom: keeps the dependencies of jobs true as the jobs that they name start, end and go. */
export class DependencyLinks {
  readonly #jobs: ReadonlyMap<number, JobRecord>;
  readonly #refresh: (job: JobRecord) => void;
  /** By user and name: ids alive, and of these the ones that wait by `Singleton`. */
  readonly #names = new Map<string, { alive: Set<number>; singletons: Set<number> }>();

  /** `refresh` is called for jobs whose dependencies changed. */
  constructor(jobs: ReadonlyMap<number, JobRecord>, refresh: (job: JobRecord) => void) {
    this.#jobs = jobs;
    this.#refresh = refresh;
  }

  /** A job is alive under its user and name. */
  enroll(job: JobRecord): void {
    this.#name(job).alive.add(job.id);
  }

  /** Ids of jobs of the same user and name that `Singleton` waits for. */
  namesakesBefore(job: JobRecord): number[] {
    return [...this.#name(job).alive].filter((id) => id < job.id).sort((a, b) => a - b);
  }

  /** Reads the dependencies of a job anew. */
  link(job: JobRecord): void {
    for (const { input } of job.dependencies) {
      if (input.job !== undefined) this.#jobs.get(input.job)?.dependents?.delete(job.id);
    }
    const entry = this.#name(job);
    entry.singletons.delete(job.id);
    job.dependencies = [];
    for (const input of job.input.dependencies?.of ?? []) {
      const dependency: DependencyRecord = { input, status: "Waiting" };
      job.dependencies.push(dependency);
      if (input.type === "Singleton") {
        entry.singletons.add(job.id);
        continue;
      }
      const target = input.job === undefined ? undefined : this.#jobs.get(input.job);
      if (target !== undefined) (target.dependents ??= new Set()).add(job.id);
      const fellows = input.type === "AfterCorr" && job.array !== undefined && input.task === undefined;
      if (fellows && (target === undefined ? input.outcome !== undefined : target.array !== undefined)) {
        sortFellows(job, target, input.outcome);
        dependency.status = "Met";
      } else if (target !== undefined) Object.assign(dependency, statusOn(input, target));
      else Object.assign(dependency, fromOutcome(input, input.outcome));
    }
    if (entry.singletons.has(job.id)) this.#checkSingleton(job, entry.alive);
  }

  /** A job, or tasks of it, began or ended while it goes on. */
  tell(job: JobRecord): void {
    for (const id of job.dependents ?? []) {
      const dependent = this.#jobs.get(id);
      if (dependent === undefined) continue;
      for (const dependency of dependent.dependencies) {
        if (dependency.input.job !== job.id || dependency.status !== "Waiting") continue;
        Object.assign(dependency, statusOn(dependency.input, job));
      }
      this.#refresh(dependent);
    }
  }

  /** Tasks of an array ended: fellows in arrays that depend on it by `AfterCorr` may start, or never will. */
  tellFellows(job: JobRecord, first: number, last: number, ok: boolean): void {
    for (const id of job.dependents ?? []) {
      const dependent = this.#jobs.get(id);
      if (dependent?.array === undefined) continue;
      if (!dependent.dependencies.some(({ input }) => input.type === "AfterCorr" && input.job === job.id)) continue;
      const fellows = dependent.array.blocked.intersection(new RunSet([[first, last]]));
      for (const [low, high] of fellows.runs()) {
        dependent.array.blocked.remove(low, high);
        (ok ? dependent.array.pending : dependent.array.never).add(low, high);
      }
      this.#refresh(dependent);
    }
  }

  /** A job ended or was removed; it is no longer among the jobs. */
  gone(job: JobRecord, ok: boolean): void {
    for (const dependency of job.dependencies) {
      if (dependency.input.job !== undefined) this.#jobs.get(dependency.input.job)?.dependents?.delete(job.id);
    }
    for (const id of job.dependents ?? []) {
      const dependent = this.#jobs.get(id);
      if (dependent === undefined) continue;
      for (const dependency of dependent.dependencies) {
        if (dependency.input.job !== job.id || dependency.status !== "Waiting") continue;
        if (job.array !== undefined && dependency.input.task !== undefined) {
          Object.assign(dependency, statusOn(dependency.input, job));
        } else Object.assign(dependency, afterEnd(dependency.input, ok, job.lastStart));
        if (dependent.array !== undefined && dependency.input.type === "AfterCorr" && job.array !== undefined) {
          dependency.status = "Met";
          for (const [first, last] of dependent.array.blocked.runs()) dependent.array.never.add(first, last);
          dependent.array.blocked = new RunSet();
        }
      }
      this.#refresh(dependent);
    }
    this.forgetName(job);
  }

  /** A job is gone, or about to take another user or name. */
  forgetName(job: JobRecord): void {
    const entry = this.#name(job);
    entry.alive.delete(job.id);
    entry.singletons.delete(job.id);
    if (entry.alive.size === 0) this.#names.delete(`${job.input.user}\0${job.input.name ?? ""}`);
    for (const id of entry.singletons) {
      const other = this.#jobs.get(id)!;
      this.#checkSingleton(other, entry.alive);
      this.#refresh(other);
    }
  }

  /** As {@link enroll}, of a job that has its links already. */
  adopt(job: JobRecord): void {
    const { alive, singletons } = this.#name(job);
    alive.add(job.id);
    if (job.dependencies.some(({ input }) => input.type === "Singleton")) singletons.add(job.id);
  }

  #checkSingleton(job: JobRecord, alive: Set<number>): void {
    let first = true;
    for (const id of alive) if (id < job.id) first = false;
    for (const dependency of job.dependencies) {
      if (dependency.input.type === "Singleton") dependency.status = first ? "Met" : "Waiting";
    }
  }

  #name(job: JobRecord): { alive: Set<number>; singletons: Set<number> } {
    const key = `${job.input.user}\0${job.input.name ?? ""}`;
    let entry = this.#names.get(key);
    if (entry === undefined) this.#names.set(key, (entry = { alive: new Set(), singletons: new Set() }));
    return entry;
  }
}
