import type { LimitHit } from "./account-types.ts";
import type { Association, Party } from "./parties.ts";
import type { JobRecord } from "./records.ts";
import type { Shape } from "./shape.ts";
import type { JobInput, Time, WaitReason } from "./types.ts";

/**
 * Jobs that are equal but for their name and when they came: what one is refused, all are refused, whether for want of room (their
 * shape), of a share or of a limit (whose they are). Holds those of them that nothing of their own keeps from starting, in order.
 */
export class JobClass {
  readonly key: string;
  readonly shape: Shape;
  readonly input: Pick<JobInput, "user" | "account" | "qos" | "reservation" | "priority" | "nice">;
  readonly #jobs: JobRecord[] = [];
  #head = 0;
  /** Jobs of the class, listed or not: it is forgotten with the last. */
  members = 0;
  /** Where a pass has come to, and what orders the job there, as of {@link come}. */
  cursor = 0;
  headTime: Time = 0;
  headId = 0;
  /** Of all of them, as last told. */
  obstacle: WaitReason | undefined = undefined;
  /** Why they wait, if only for what an advance reservation keeps from them; as last told. */
  block: WaitReason | undefined = undefined;
  /** The obstacle that this pass has found, and the limit, if that is what it is. */
  found: WaitReason | undefined = undefined;
  limitHit: LimitHit | undefined = undefined;
  /** Priority of the job at the cursor, without the part that all jobs of the association have in common. */
  priority = 0;
  /** What of it does not change with time. */
  fixedPriority = 0;
  fixedVersion = -1;
  readonly association: Association;
  /** By queue: whose jobs they are; for which version of the accounts. */
  readonly parties = new Map<string, readonly Party[]>();
  partiesVersion = -1;

  constructor(key: string, shape: Shape, input: JobInput, association: Association) {
    this.association = association;
    this.key = key;
    this.shape = shape;
    const { user, account, qos, reservation, priority, nice } = input;
    this.input = { user, account, qos, reservation, priority, nice };
  }

  get begin(): number {
    return this.#head;
  }

  get end(): number {
    return this.#jobs.length;
  }

  /** A pass has come to another job of the class: the one at the cursor. */
  come(): JobRecord {
    const head = this.#jobs[this.cursor]!;
    this.headTime = head.input.submitTime;
    this.headId = head.id;
    return head;
  }

  at(position: number): JobRecord | undefined {
    return this.#jobs[position];
  }

  insert(job: JobRecord): void {
    const jobs = this.#jobs;
    if (jobs.length === this.#head || compareWithin(jobs[jobs.length - 1]!, job) < 0) jobs.push(job);
    else jobs.splice(this.#find(job), 0, job);
  }

  remove(job: JobRecord): void {
    const position = this.#find(job);
    if (position === this.#head) {
      this.#head += 1;
      if (this.#head > 64 && this.#head * 2 > this.#jobs.length) {
        this.#jobs.splice(0, this.#head);
        this.cursor = Math.max(0, this.cursor - this.#head);
        this.#head = 0;
      }
    } else {
      this.#jobs.splice(position, 1);
      if (position < this.cursor) this.cursor -= 1;
    }
    if (this.cursor < this.#head) this.cursor = this.#head;
  }

  *listed(): IterableIterator<JobRecord> {
    for (let position = this.#head; position < this.#jobs.length; position += 1) yield this.#jobs[position]!;
  }

  /** Position of the first listed job that is not before this one. */
  #find(job: JobRecord): number {
    const jobs = this.#jobs;
    let low = this.#head;
    let high = jobs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareWithin(jobs[middle]!, job) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The order within a class: submit time, id. What else orders jobs is the same for all of a class. */
export function compareWithin(a: JobRecord, b: JobRecord): number {
  return a.input.submitTime - b.input.submitTime || a.id - b.id;
}

/** As {@link compareWithin}, of the jobs that the pass has come to in two classes. */
export function compareHeads(a: JobClass, b: JobClass): number {
  return a.headTime - b.headTime || a.headId - b.headId;
}
