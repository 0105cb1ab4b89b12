/** All records, and the ways to find them. */
import { idSpan, type WorkloadRecord } from "./record.ts";

export class Ledger {
  readonly #byUid = new Map<string, WorkloadRecord>();
  readonly #byKey = new Map<string, WorkloadRecord>();
  readonly #byJobId = new Map<number, WorkloadRecord>();
  readonly #unfinished = new Map<string, number>();
  /** Arrays by their first id, ascending: ids of their elements are found by bisection. */
  #arrays: { first: number; last: number; record: WorkloadRecord }[] = [];

  get size(): number {
    return this.#byUid.size;
  }

  add(record: WorkloadRecord): void {
    this.#byUid.set(record.uid, record);
    this.#byKey.set(`${record.namespace}/${record.name}`, record);
    if (record.jobId !== undefined) this.addJobId(record);
  }

  /** To be called once the record has its job id. */
  addJobId(record: WorkloadRecord): void {
    const first = record.jobId!;
    this.#byJobId.set(first, record);
    if (record.workload.spec.array === undefined) return;
    const entry = { first, last: first + idSpan(record.workload) - 1, record };
    const at = this.#arrays.findLastIndex((array) => array.first < first) + 1;
    this.#arrays.splice(at, 0, entry);
  }

  remove(record: WorkloadRecord): void {
    this.#byUid.delete(record.uid);
    const key = `${record.namespace}/${record.name}`;
    if (this.#byKey.get(key) === record) this.#byKey.delete(key);
    if (record.jobId === undefined) return;
    this.#byJobId.delete(record.jobId);
    if (record.workload.spec.array !== undefined) {
      this.#arrays = this.#arrays.filter((array) => array.record !== record);
    }
  }

  byUid(uid: string): WorkloadRecord | undefined {
    return this.#byUid.get(uid);
  }

  byName(namespace: string, name: string): WorkloadRecord | undefined {
    return this.#byKey.get(`${namespace}/${name}`);
  }

  /** The record with this job id, and the task where it is the id of an array's element other than the first. */
  byJobId(jobId: number): { record: WorkloadRecord; task?: number } | undefined {
    const record = this.#byJobId.get(jobId);
    if (record !== undefined) return { record };
    let low = 0;
    let high = this.#arrays.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#arrays[middle]!.last < jobId) low = middle + 1;
      else high = middle;
    }
    const array = this.#arrays[low];
    if (array === undefined || array.first > jobId) return undefined;
    return { record: array.record, task: jobId - array.first };
  }

  values(): IterableIterator<WorkloadRecord> {
    return this.#byUid.values();
  }

  /** Admitted and unfinished Workloads of a user; an array counts once. */
  jobsOf(user: string): number {
    return this.#unfinished.get(user) ?? 0;
  }

  /** To be called when a Workload of the user was admitted (1), and when it reached its final phase (-1). */
  countJobs(user: string, change: 1 | -1): void {
    const count = this.jobsOf(user) + change;
    if (count <= 0) this.#unfinished.delete(user);
    else this.#unfinished.set(user, count);
  }
}
