/** Whatever has pods that come and go, and waits for nodes with all of them together: groups of pods, and Jobs that are held as one. */
import { WorkQueue } from "@berth/client";
import type { Pod, Workload } from "@berth/kinds";
import { type Context } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { hostsOf, isJob, isVolcanoJob } from "../model/hosts-of-pods.ts";
import type { Attempt, WorkloadRecord } from "../model/record.ts";
import { hostOf } from "../model/wrapped-pod.ts";
import { hostKey, type Stores } from "../stores.ts";
import type { HostEvents } from "../workload/hosted-life.ts";
import type { AttemptLife } from "../workload/life.ts";
import { Groups, type LonePods } from "./groups.ts";
import { VolcanoJobs } from "../volcano/volcano-jobs.ts";
import { HeldJobs } from "./held-jobs.ts";

const concurrency = 8;

export interface HostsParts {
  context: Context;
  stores: Stores;
  ledger: Ledger;
  life: AttemptLife;
  /** Nobody but Berth runs Jobs, which then make no pods. */
  isAlone: boolean;
  pods: LonePods;
  /** Runs Jobs of Volcano's where Volcano does not. */
  hasVolcano: boolean;
}

export class Hosts implements HostEvents {
  readonly #parts: HostsParts;
  readonly #queue: WorkQueue<string>;
  readonly #groups: Groups;
  readonly #jobs: HeldJobs | undefined;
  readonly #volcano: VolcanoJobs | undefined;
  #isStarted = false;

  constructor(parts: HostsParts) {
    const { log, signal } = parts.context;
    this.#parts = parts;
    const { life } = parts;
    const common = { ...parts, hosted: life.hosted, look: (key: string) => this.#queue.add(key) };
    this.#groups = new Groups(common);
    const takeBack = (record: WorkloadRecord, attempt: Attempt): void => life.stop(record, attempt, "Preempted");
    if (!parts.isAlone) this.#jobs = new HeldJobs({ ...common, takeBack });
    if (parts.hasVolcano) this.#volcano = new VolcanoJobs({ ...common, takeBack });
    this.#queue = new WorkQueue<string>({
      process: (key) => this.#sync(key),
      concurrency,
      onError: (key, error) => log("warn", `pods of ${key}: ${(error as Error).message}`),
      signal,
    });
  }

  /** Resolves when it is known who has pods. */
  get synced(): Promise<void> {
    return Promise.all([this.#jobs?.synced, this.#volcano?.synced]).then(() => {});
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
    this.#jobs?.start();
    this.#volcano?.start();
  }

  /** With whom a pod waits for its node; undefined: by itself. */
  hostFor(pod: Pod): string | undefined {
    const { namespace = "" } = pod.metadata;
    return hostsOf(pod).find((host) => {
      if (isJob(host)) return this.#jobs?.has(namespace, host) === true;
      return !isVolcanoJob(host) || this.#volcano?.has(namespace, host) === true;
    });
  }

  async #sync(key: string): Promise<number | void> {
    if (!this.#isStarted) return;
    const at = key.indexOf("|");
    const [namespace, host] = [key.slice(0, at), key.slice(at + 1)];
    if (isJob(host)) return this.#jobs?.sync(namespace, host);
    return isVolcanoJob(host) ? this.#volcano?.sync(namespace, host) : this.#groups.sync(namespace, host);
  }

  changed({ namespace, workload }: WorkloadRecord): void {
    this.#queue.add(hostKey(namespace, hostOf(workload)!));
  }

  async hold(record: WorkloadRecord): Promise<boolean> {
    // Who makes the pods of a group is not known: what comes after its end is another gang.
    return isJob(hostOf(record.workload)!) && (await this.#jobs?.hold(record)) === true;
  }
}
