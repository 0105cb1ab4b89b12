import { compareHeads } from "./classes.ts";
import type { JobClass } from "./classes.ts";
import { Heap } from "./heap.ts";
import { ownPriority, sharePriority } from "./priority.ts";
import type { ClusterStore } from "./store.ts";

/** Classes whose order among themselves does not change with fair share. */
interface Group {
  classes: Heap<JobClass>;
  /** The part of priority that they have in common. */
  share: number;
}

/**
 * Classes by the tier and priority, at this moment, of the jobs that the pass has come to. A start changes the order of its association
 * alone, or, now and then, that of all.
 */
export class ClassOrder {
  readonly #store: ClusterStore;
  readonly #byFairShare: boolean;
  /** Where classes have no group of their own. */
  readonly #common: Group;
  readonly #groups = new Map<unknown, Group>();
  #order: Heap<Group>;
  /** The group of the class that was taken last: not in the order until it is put back, or the next is asked for. */
  #taken: Group | undefined;
  #mustSort = false;

  constructor(store: ClusterStore, classes: readonly JobClass[]) {
    this.#store = store;
    this.#byFairShare = store.rules.weights.fairShare > 0;
    this.#common = { classes: new Heap(beforeWithin), share: 0 };
    const byGroup = new Map<Group, JobClass[]>([[this.#common, []]]);
    for (const jobClass of classes) {
      jobClass.priority = ownPriority(store, jobClass, jobClass.come());
      const group = this.#groupOf(jobClass);
      const list = byGroup.get(group);
      if (list === undefined) byGroup.set(group, [jobClass]);
      else list.push(jobClass);
    }
    for (const [group, list] of byGroup) group.classes = new Heap(beforeWithin, list);
    this.#order = new Heap(
      beforeGroup,
      [...byGroup.keys()].filter(({ classes: { size } }) => size > 0),
    );
  }

  #groupOf(jobClass: JobClass): Group {
    if (!this.#byFairShare || jobClass.input.priority !== undefined) return this.#common;
    let group = this.#groups.get(jobClass.association);
    if (group === undefined) {
      group = { classes: new Heap(beforeWithin), share: sharePriority(this.#store, jobClass) };
      this.#groups.set(jobClass.association, group);
    }
    return group;
  }

  pop(): JobClass | undefined {
    this.#putBack();
    const group = this.#order.pop();
    this.#taken = group;
    return group?.classes.pop();
  }

  /** Puts a class back whose cursor has moved: the one taken last. */
  push(jobClass: JobClass): void {
    jobClass.priority = ownPriority(this.#store, jobClass, jobClass.come());
    this.#groupOf(jobClass).classes.push(jobClass);
  }

  /** A job of the class began. */
  started(jobClass: JobClass): void {
    if (!this.#byFairShare) return;
    if (this.#store.accounts.reRank(jobClass.association, this.#store.now)) this.#mustSort = true;
  }

  /** What is left, in no order. */
  rest(): JobClass[] {
    this.#putBack();
    return this.#order.items().flatMap(({ classes }) => classes.items());
  }

  #putBack(): void {
    const group = this.#taken;
    this.#taken = undefined;
    if (group !== undefined && group.classes.size > 0) {
      this.#refresh(group);
      this.#order.push(group);
    }
    if (!this.#mustSort) return;
    this.#mustSort = false;
    const groups = this.#order.items().slice();
    for (const one of groups) this.#refresh(one);
    this.#order = new Heap(beforeGroup, groups);
  }

  #refresh(group: Group): void {
    if (group !== this.#common) group.share = sharePriority(this.#store, group.classes.peek()!);
  }
}

function beforeWithin(a: JobClass, b: JobClass): boolean {
  return (b.shape.tier - a.shape.tier || b.priority - a.priority || compareHeads(a, b)) < 0;
}

function beforeGroup(a: Group, b: Group): boolean {
  const [first, second] = [a.classes.peek()!, b.classes.peek()!];
  return (
    (second.shape.tier - first.shape.tier ||
      second.priority + b.share - (first.priority + a.share) ||
      compareHeads(first, second)) < 0
  );
}
