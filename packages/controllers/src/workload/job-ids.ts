/** Job ids: one counter for all, in a ConfigMap, from which the leader takes blocks. An id is never given twice. */
import { type AnyObject, type Client, isReason, resources } from "@berth/client";
import { systemNamespace } from "@berth/kinds";

interface Counter extends AnyObject {
  data?: Record<string, string>;
}

const name = "job-ids";
const blockSize = 100;

export class JobIds {
  readonly #client: Client;
  #next = 0;
  #end = 0;
  #taking: Promise<void> | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  /** `count` consecutive ids, if the block that is at hand has them; else call {@link take} and ask again. */
  next(count: number): number | undefined {
    if (this.#next + count > this.#end) return undefined;
    const first = this.#next;
    this.#next += count;
    return first;
  }

  /** The id that the next job will get, if no array comes before it. It is not taken by this. */
  async peek(): Promise<number> {
    await this.take(1);
    return this.#next;
  }

  /** Takes a block that has room for `count`. What was left of the last one is given up, unless the two are neighbours. */
  async take(count: number): Promise<void> {
    while (this.#taking !== undefined) await this.#taking;
    if (this.#next + count <= this.#end) return;
    this.#taking = this.#take(Math.max(blockSize, count + blockSize));
    try {
      await this.#taking;
    } finally {
      this.#taking = undefined;
    }
  }

  /** Gives back what was not used, so that ids go on without a gap after an orderly stop. */
  async release(): Promise<void> {
    if (this.#next === this.#end) return;
    const [next, end] = [this.#next, this.#end];
    this.#next = this.#end;
    const counter = await this.#client.get<Counter>(resources.configMaps, name, { namespace: systemNamespace });
    if (Number(counter.data?.["next"]) !== end) return;
    await this.#client.update(resources.configMaps, { ...counter, data: { ...counter.data, next: String(next) } });
  }

  async #take(size: number): Promise<void> {
    for (;;) {
      try {
        const counter = await this.#read();
        const next = Number(counter.data?.["next"]);
        if (!Number.isSafeInteger(next) || next < 1) {
          throw new Error(
            `ConfigMap ${systemNamespace}/${name}: data.next is ${JSON.stringify(counter.data?.["next"])}, not the next job id`,
          );
        }
        // The resource version in the object makes this a compare and swap.
        await this.#client.update(resources.configMaps, {
          ...counter,
          data: { ...counter.data, next: String(next + size) },
        });
        if (next !== this.#end) this.#next = next;
        this.#end = next + size;
        return;
      } catch (error) {
        if (!isReason(error, "Conflict", "AlreadyExists")) throw error;
      }
    }
  }

  async #read(): Promise<Counter> {
    try {
      return await this.#client.get<Counter>(resources.configMaps, name, { namespace: systemNamespace });
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
    const counter: Counter = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: systemNamespace },
      data: { next: "1" },
    };
    return this.#client.create<Counter>(resources.configMaps, counter);
  }
}
