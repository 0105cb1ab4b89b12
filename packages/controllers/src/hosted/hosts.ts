/** Whatever has pods that come and go, and waits for nodes with all of them together: groups of pods, and Jobs that are held as one. */
import { isReason, WorkQueue } from "@berth/client";
import type { Pod, Workload } from "@berth/kinds";
import { type Context } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { hostsOf, isHeldHost, isVolcanoJob, kindsOfHosts } from "../model/hosts-of-pods.ts";
import type { Attempt, WorkloadRecord } from "../model/record.ts";
import { hostOf } from "../model/wrapped-pod.ts";
import { hostKey, type Stores } from "../stores.ts";
import type { HostEvents } from "../workload/hosted-life.ts";
import type { AttemptLife } from "../workload/life.ts";
import { Groups, type LonePods } from "./groups.ts";
import { VolcanoJobs } from "../volcano/volcano-jobs.ts";
import { heldForms } from "./held-form.ts";
import { HeldJobs } from "./held-jobs.ts";

const concurrency = 8;
/** How soon it is looked again whether JobSets are served. */
const unservedMs = 60_000;

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
  /** What is held and released as one, by the kind of host. */
  readonly #held = new Map<string, HeldJobs>();
  readonly #volcano: VolcanoJobs | undefined;
  /** Resolves when it is known whether there are any, and which. */
  readonly #jobSets: Promise<void> | undefined;
  #isStarted = false;

  constructor(parts: HostsParts) {
    const { log, signal } = parts.context;
    this.#parts = parts;
    const { life } = parts;
    const common = { ...parts, hosted: life.hosted, look: (key: string) => this.#queue.add(key) };
    this.#groups = new Groups(common);
    const takeBack = (record: WorkloadRecord, attempt: Attempt): void => life.stop(record, attempt, "Preempted");
    if (!parts.isAlone) {
      this.#held.set(kindsOfHosts.job, new HeldJobs({ ...common, takeBack }, heldForms.jobs));
      this.#jobSets = this.#findJobSets(() => new HeldJobs({ ...common, takeBack }, heldForms.jobSets));
    }
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
    const held = [...this.#held.values()].map((each) => each.synced);
    return Promise.all([...held, this.#jobSets, this.#volcano?.synced]).then(() => {});
  }

  /** JobSets are a kind that a cluster may not have, or be given later. */
  async #findJobSets(follow: () => HeldJobs): Promise<void> {
    const { client, log, signal } = this.#parts.context;
    try {
      await client.list(heldForms.jobSets.resource, { limit: 1 });
    } catch (error) {
      if (signal.aborted) return;
      if (!isReason(error, "NotFound")) log("warn", `JobSets cannot be read: ${(error as Error).message}`);
      const timer = setTimeout(() => void this.#findJobSets(follow), unservedMs);
      signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
      return;
    }
    const found = follow();
    await found.synced.catch(() => {});
    this.#held.set(kindsOfHosts.jobSet, found);
    if (this.#isStarted) found.start();
  }

  #heldOf(host: string): HeldJobs | undefined {
    return this.#held.get(host.slice(0, host.indexOf("/")));
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
    for (const held of this.#held.values()) held.start();
    this.#volcano?.start();
  }

  /** With whom a pod waits for its node; undefined: by itself. */
  hostFor(pod: Pod): string | undefined {
    const { namespace = "" } = pod.metadata;
    return hostsOf(pod).find((host) => {
      if (isHeldHost(host)) return this.#heldOf(host)?.has(namespace, host) === true;
      return !isVolcanoJob(host) || this.#volcano?.has(namespace, host) === true;
    });
  }

  async #sync(key: string): Promise<number | void> {
    if (!this.#isStarted) return;
    const at = key.indexOf("|");
    const [namespace, host] = [key.slice(0, at), key.slice(at + 1)];
    if (isHeldHost(host)) return this.#heldOf(host)?.sync(namespace, host);
    return isVolcanoJob(host) ? this.#volcano?.sync(namespace, host) : this.#groups.sync(namespace, host);
  }

  changed({ namespace, workload }: WorkloadRecord): void {
    this.#queue.add(hostKey(namespace, hostOf(workload)!));
  }

  async hold(record: WorkloadRecord): Promise<boolean> {
    // Who makes the pods of a group is not known: what comes after its end is another gang.
    return (await this.#heldOf(hostOf(record.workload)!)?.hold(record)) === true;
  }
}
