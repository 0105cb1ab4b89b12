/** Whatever has pods that come and go, and waits for nodes with all of them together: groups of pods, and Jobs that are held as one. */
import { WorkQueue } from "@berth/client";
import type { Pod, Workload } from "@berth/kinds";
import { type Context } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { hostsOf, kindsOfHosts } from "../model/hosts-of-pods.ts";
import type { WorkloadRecord } from "../model/record.ts";
import { hostOf } from "../model/wrapped-pod.ts";
import { hostKey, type Stores } from "../stores.ts";
import type { HostedLife, HostEvents } from "../workload/hosted-life.ts";
import { Groups, type LonePods } from "./groups.ts";

const concurrency = 8;

export interface HostsParts {
  context: Context;
  stores: Stores;
  ledger: Ledger;
  hosted: HostedLife;
  isAlone: boolean;
  pods: LonePods;
}

export class Hosts implements HostEvents {
  readonly #parts: HostsParts;
  readonly #queue: WorkQueue<string>;
  readonly #groups: Groups;
  #isStarted = false;

  constructor(parts: HostsParts) {
    const { log, signal } = parts.context;
    this.#parts = parts;
    this.#groups = new Groups({ ...parts, look: (key) => this.#queue.add(key) });
    this.#queue = new WorkQueue<string>({
      process: (key) => this.#sync(key),
      concurrency,
      onError: (key, error) => log("warn", `pods of ${key}: ${(error as Error).message}`),
      signal,
    });
  }

  /** To be called once what earlier leaders began is known. */
  start(): void {
    const { stores } = this.#parts;
    this.#isStarted = true;
    const ofPod = (pod: Pod): void => {
      const host = this.hostFor(pod);
      if (host !== undefined) this.#queue.add(hostKey(pod.metadata.namespace, host));
    };
    stores.pods.addHandler({
      add: ofPod,
      update: ofPod,
      delete: (pod) => {
        ofPod(pod);
        this.#groups.forget(pod);
      },
    });
    const ofWorkload = (workload: Workload): void => {
      const host = hostOf(workload);
      if (host !== undefined) this.#queue.add(hostKey(workload.metadata.namespace, host));
    };
    stores.workloads.addHandler({ add: ofWorkload, update: ofWorkload, delete: ofWorkload });
  }

  /** With whom a pod waits for its node; undefined: by itself. */
  hostFor(pod: Pod): string | undefined {
    return hostsOf(pod).find((host) => !host.startsWith(`${kindsOfHosts.job}/`));
  }

  async #sync(key: string): Promise<number | void> {
    if (!this.#isStarted) return;
    const at = key.indexOf("|");
    return this.#groups.sync(key.slice(0, at), key.slice(at + 1));
  }

  changed({ namespace, workload }: WorkloadRecord): void {
    this.#queue.add(hostKey(namespace, hostOf(workload)!));
  }

  async hold(_record: WorkloadRecord): Promise<void> {
    // Who makes the pods of a group is not known: what comes after its end is another gang.
  }
}
