import { compareClasses } from "./classes.ts";
import type { JobClass } from "./classes.ts";
import { Heap } from "./heap.ts";
import { priorityNow } from "./priority.ts";
import type { ClusterStore } from "./store.ts";

/** Classes by the priority, at this moment, of the jobs that the pass has come to. */
export class ClassOrder {
  readonly #store: ClusterStore;
  readonly #heap: Heap<JobClass>;

  constructor(store: ClusterStore, classes: JobClass[]) {
    this.#store = store;
    for (const jobClass of classes) jobClass.priority = priorityNow(store, jobClass, jobClass.at(jobClass.cursor)!);
    this.#heap = new Heap<JobClass>((a, b) => compareClasses(a, b) < 0, classes);
  }

  pop(): JobClass | undefined {
    return this.#heap.pop();
  }

  /** Puts a class back whose cursor has moved. */
  push(jobClass: JobClass): void {
    jobClass.priority = priorityNow(this.#store, jobClass, jobClass.at(jobClass.cursor)!);
    this.#heap.push(jobClass);
  }

  /** What is left, in no order. */
  rest(): readonly JobClass[] {
    return this.#heap.items();
  }
}
