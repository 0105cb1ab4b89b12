/** An end to come of a job by its index; `attempt` says of which start, for a job that was stopped before has another. */
export interface ComingEnd {
  time: number;
  index: number;
  attempt: number;
}

/** Ends to come, by time, then by the order in which they were pushed. */
export class EndQueue {
  readonly #heap: (ComingEnd & { order: number })[] = [];
  #pushed = 0;

  first(): ComingEnd | undefined {
    return this.#heap[0];
  }

  push(ending: ComingEnd): void {
    const heap = this.#heap;
    heap.push({ ...ending, order: this.#pushed });
    this.#pushed += 1;
    let child = heap.length - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!isBefore(heap[child]!, heap[parent]!)) break;
      [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
      child = parent;
    }
  }

  take(): ComingEnd {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    heap[0] = last;
    for (let parent = 0; ;) {
      let child = 2 * parent + 1;
      if (child >= heap.length) return top;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, heap[parent]!)) return top;
      [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
      parent = child;
    }
  }
}

function isBefore(a: ComingEnd & { order: number }, b: ComingEnd & { order: number }): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}
