import type { Accounts } from "./accounts.ts";
import { JobClass } from "./classes.ts";
import { Shape, shapeKey } from "./shape.ts";
import type { ResourceKinds } from "./shape.ts";
import type { JobInput } from "./types.ts";

/** The shapes and classes of the jobs there are. */
export class ClassTable {
  readonly classes = new Map<string, JobClass>();
  readonly shapes = new Map<string, Shape>();
  readonly #kinds: ResourceKinds;
  /** Tier of a queue by its name. */
  readonly #tierOf: (queue: string) => number;
  readonly #accounts: Accounts;
  #nextShape = 0;

  constructor(kinds: ResourceKinds, tierOf: (queue: string) => number, accounts: Accounts) {
    this.#accounts = accounts;
    this.#kinds = kinds;
    this.#tierOf = tierOf;
  }

  /** The class of a job that joins it. */
  join(input: JobInput): JobClass {
    const ofShape = shapeKey(input);
    let shape = this.shapes.get(ofShape);
    if (shape === undefined) {
      shape = new Shape(ofShape, this.#nextShape, input, this.#kinds);
      shape.tier = this.#tierOf(input.queues[0] ?? "");
      this.#nextShape += 1;
      this.shapes.set(ofShape, shape);
    }
    const { account = "", user, qos = "", reservation = "", priority = "", nice = 0 } = input;
    const key = [shape.id, account, user, qos, reservation, priority, nice].join("\0");
    let jobClass = this.classes.get(key);
    if (jobClass === undefined) {
      jobClass = new JobClass(key, shape, input, this.#accounts.association(account, user));
      jobClass.association.classes += 1;
      shape.classes += 1;
      this.classes.set(key, jobClass);
    }
    jobClass.members += 1;
    return jobClass;
  }

  /** A job leaves its class. */
  leave(jobClass: JobClass): void {
    jobClass.members -= 1;
    if (jobClass.members > 0) return;
    this.classes.delete(jobClass.key);
    jobClass.association.classes -= 1;
    this.#accounts.forgetUnused(jobClass.association);
    jobClass.shape.classes -= 1;
    if (jobClass.shape.classes === 0) this.shapes.delete(jobClass.shape.key);
  }

  queueChanged(name: string): void {
    for (const shape of this.shapes.values()) {
      if (shape.input.queues[0] === name) shape.tier = this.#tierOf(name);
    }
  }
}
