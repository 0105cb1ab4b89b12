/**
 * What is known of nodes that do not answer. On an embedded cluster that is found out here, from the nodes' Leases; elsewhere
 * kube-controller-manager says it of each Node. An attempt on one of them counts as ended only when it cannot be running any more:
 * its Node is gone or tainted out-of-service, its latest possible end has passed, or the queue allows to assume so.
 */
import { type AnyObject, Informer, isReason, type Lease, resources } from "@berth/client";
import { annotations, isReady, type Node } from "@berth/kinds";
import type { Context } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import type { Attempt, AttemptPod, WorkloadRecord } from "../model/record.ts";
import type { Stores } from "../stores.ts";
import type { AttemptLife } from "../workload/life.ts";
import type { Writer } from "../writer.ts";

/** A node that has not renewed its Lease for this long is not ready (kube-controller-manager's default is 50 s). */
const leaseGraceSeconds = 40;
const leaseNamespace = "kube-node-lease";
const outOfService = "node.kubernetes.io/out-of-service";
const unknownReason = "NodeStatusUnknown";
const unreachable = "node.kubernetes.io/unreachable";
/** After the latest possible end, for clocks that differ. */
const marginSeconds = 30;
/** A silent node is looked at again after this, whatever ran there when its silence was told. */
const lookAgainMs = 60_000;

export interface NodeLifecycleParts {
  context: Context;
  ledger: Ledger;
  stores: Stores;
  life: AttemptLife;
  writer: Writer;
  /** Nobody else looks after nodes. */
  isAlone: boolean;
}

export class NodeLifecycle {
  readonly #parts: NodeLifecycleParts;
  /** Milliseconds of this process's clock at which each node's Lease last changed. */
  readonly #heard = new Map<string, number>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Those of which kube-controller-manager says so. */
  readonly #silent = new Set<string>();
  /** Attempts by node, while one burst of events is looked at. */
  #byNode: Map<string, [WorkloadRecord, Attempt, AttemptPod][]> | undefined;
  /** How long each node may be silent, milliseconds: what its Lease says, where that is more than the usual. */
  readonly #graceMs = new Map<string, number>();

  constructor(parts: NodeLifecycleParts) {
    this.#parts = parts;
    if (parts.isAlone) this.#followLeases();
    parts.context.signal.addEventListener(
      "abort",
      () => {
        for (const timer of this.#timers.values()) clearTimeout(timer);
      },
      { once: true },
    );
  }

  #followLeases(): void {
    const { client, log, signal } = this.#parts.context;
    void new Informer<Lease>({
      client,
      resource: resources.leases,
      namespace: leaseNamespace,
      handlers: [
        {
          add: (lease) => this.#leased(lease),
          update: (lease) => this.#leased(lease),
          delete: (lease) => this.#schedule(lease.metadata.name),
        },
      ],
      onError: (error) => {
        if (!signal.aborted) log("warn", `watching leases failed: ${(error as Error).message}`);
      },
      signal,
    });
  }

  /** Gives every node the time of a Lease from now: what happened before this process looked is not held against it. */
  start(): void {
    const names = new Set<string>();
    for (const node of this.#parts.stores.nodes.values()) {
      names.add(node.metadata.name);
      if (!this.#parts.isAlone) this.changed(node);
      else if (!this.#heard.has(node.metadata.name)) this.#renewed(node.metadata.name);
    }
    for (const record of this.#parts.ledger.values()) {
      for (const attempt of record.live.values()) {
        for (const entry of attempt.pods) if (!names.has(entry.node)) this.removed(entry.node);
      }
    }
  }

  /** A Node object is new or changed. */
  changed(node: Node): void {
    const { name } = node.metadata;
    if (!this.#parts.isAlone) this.#told(node);
    else if (!this.#heard.has(name)) this.#renewed(name);
    if (node.spec?.taints?.some(({ key }) => key === outOfService) === true) this.#loseAll(name, () => true);
    else if (!isReady(node)) this.#schedule(name);
  }

  /**
   * What kube-controller-manager says. A node that is well may tell its status every five minutes only, so that its silence counts from
   * when that is told, and not from its last word.
   */
  #told({ metadata: { name }, status }: Node): void {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    if (ready?.status === "Unknown") {
      if (this.#silent.has(name)) return;
      this.#silent.add(name);
      const silentMs = this.#parts.context.now() - (Date.parse(ready.lastTransitionTime ?? "") || Infinity);
      this.#heard.set(name, performance.now() - Math.max(0, silentMs));
      return;
    }
    this.#silent.delete(name);
    this.#heard.set(name, performance.now());
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  /** A Node object is gone: nothing runs there. */
  removed(name: string): void {
    this.#loseAll(name, () => true);
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
    this.#heard.delete(name);
    this.#silent.delete(name);
    this.#graceMs.delete(name);
  }

  /** A Lease may promise less than the usual: thousands of simulated nodes live and die together and renew theirs seldom. */
  #leased(lease: Lease): void {
    const seconds = lease.spec?.leaseDurationSeconds ?? leaseGraceSeconds;
    this.#graceMs.set(lease.metadata.name, Math.max(leaseGraceSeconds, seconds) * 1000);
    this.#renewed(lease.metadata.name);
    const node = this.#parts.stores.nodes.get(undefined, lease.metadata.name);
    if (node !== undefined && isMarked(node)) this.#unmark(node);
  }

  #graceOf(name: string): number {
    if (!this.#parts.isAlone) return 0;
    return this.#graceMs.get(name) ?? leaseGraceSeconds * 1000;
  }

  #renewed(name: string): void {
    this.#heard.set(name, performance.now());
    this.#schedule(name);
  }

  /** Looks at the node again when its Lease will have run out, or later at the next time at which an attempt there must be over. */
  #schedule(name: string, milliseconds?: number): void {
    const heard = this.#heard.get(name);
    if (heard === undefined || this.#parts.context.signal.aborted) return;
    clearTimeout(this.#timers.get(name));
    const due = milliseconds ?? heard + this.#graceOf(name) - performance.now();
    this.#timers.set(
      name,
      setTimeout(() => this.#look(name), Math.min(Math.max(0, due), 2 ** 31 - 1)),
    );
  }

  #look(name: string): void {
    const node = this.#parts.stores.nodes.get(undefined, name);
    const heard = this.#heard.get(name);
    if (node === undefined || heard === undefined) return;
    const silentMs = performance.now() - heard;
    if (silentMs < this.#graceOf(name)) {
      this.#schedule(name);
      return;
    }
    if (isReady(node)) {
      if (!this.#parts.isAlone) return;
      this.#markUnknown(node);
    }
    const now = this.#parts.context.now();
    this.#loseAll(name, (record, attempt) => now >= this.#latestEnd(record, attempt, now - silentMs));
    // A pod that was on its way there may be known later than its node's silence.
    let next = now + lookAgainMs;
    for (const [record, attempt] of this.#attemptsOn(name))
      next = Math.min(next, this.#latestEnd(record, attempt, now - silentMs));
    this.#schedule(name, Math.max(1000, next - now));
  }

  #attemptsOn(name: string): [WorkloadRecord, Attempt, AttemptPod][] {
    // Half of thousands of nodes may go in one moment: the ledger is read through once for them all.
    if (this.#byNode === undefined) {
      this.#byNode = this.#indexed();
      setImmediate(() => (this.#byNode = undefined));
    }
    return (this.#byNode.get(name) ?? []).filter(([, , { state, pod }]) => isOpen(state) && pod !== undefined);
  }

  #indexed(): Map<string, [WorkloadRecord, Attempt, AttemptPod][]> {
    const byNode = new Map<string, [WorkloadRecord, Attempt, AttemptPod][]>();
    for (const record of this.#parts.ledger.values()) {
      for (const attempt of record.live.values()) {
        for (const entry of attempt.pods) {
          if (!isOpen(entry.state)) continue;
          const known = byNode.get(entry.node);
          if (known === undefined) byNode.set(entry.node, [[record, attempt, entry]]);
          else known.push([record, attempt, entry]);
        }
      }
    }
    return byNode;
  }

  /**
   * Milliseconds since 1970 after which the node's own limits have ended the attempt, or the queue's assumption holds.
   * @param silentSince likewise, of its node
   */
  #latestEnd(record: WorkloadRecord, attempt: Attempt, silentSince: number): number {
    const slot = attempt.wallTimeSeconds + (attempt.lease?.seconds ?? 0);
    // Whoever was ever asked to stand still may do so there yet, and its time with it.
    const hasStood = attempt.pods.some(({ pod }) => pod?.metadata.annotations?.[annotations.suspend] !== undefined);
    const begun = attempt.startTime === undefined ? attempt.createdAt : Date.parse(attempt.startTime);
    const start = hasStood ? Infinity : begun;
    const end = start + (slot + graceAndAllowanceSeconds(record) + marginSeconds) * 1000;
    const assumed = this.#assumeLostAfter(record);
    return assumed === undefined ? end : Math.min(end, silentSince + assumed * 1000);
  }

  #assumeLostAfter(record: WorkloadRecord): number | undefined {
    const queue = this.#parts.stores.queues.get(undefined, record.workload.status?.queue ?? "");
    return queue?.spec.assumeLostAfterSeconds;
  }

  #loseAll(name: string, isLost: (record: WorkloadRecord, attempt: Attempt) => boolean): void {
    const silentMs = performance.now() - (this.#heard.get(name) ?? performance.now());
    const silentSince = this.#parts.context.now() - silentMs;
    for (const [record, attempt, entry] of this.#attemptsOn(name)) {
      if (!isLost(record, attempt)) continue;
      this.#parts.context.log("warn", `pod ${entry.name} is lost with its node ${name}`, { jobId: record.jobId });
      this.#parts.life.lost(record, attempt, entry, silentSince);
    }
  }

  #markUnknown(node: Node): void {
    const { name } = node.metadata;
    const now = new Date(this.#parts.context.now()).toISOString().replace(/\.\d+Z$/, "Z");
    const conditions = (node.status?.conditions ?? []).map((known) =>
      known.type === "Ready"
        ? Object.assign({}, known, {
            status: "Unknown",
            reason: unknownReason,
            message: `no word of the node for ${this.#graceOf(node.metadata.name) / 1000} seconds`,
            lastTransitionTime: now,
          })
        : known,
    );
    const taints = [
      ...(node.spec?.taints ?? []).filter(({ key }) => key !== unreachable),
      { key: unreachable, effect: "NoSchedule", timeAdded: now },
    ];
    const { client } = this.#parts.context;
    this.#write(name, async () => {
      await client.patchStatus<AnyObject>(resources.nodes, name, { status: { conditions } });
      await client.patch<AnyObject>(resources.nodes, name, { spec: { taints } });
    });
  }

  /** The node renews its Lease again. Its kubelet may take minutes to tell its conditions anew. */
  #unmark(node: Node): void {
    const { name } = node.metadata;
    const taints = (node.spec?.taints ?? []).filter(({ key }) => key !== unreachable);
    const now = new Date(this.#parts.context.now()).toISOString().replace(/\.\d+Z$/, "Z");
    const conditions = (node.status?.conditions ?? []).map((known) =>
      known.type === "Ready" && known.reason === unknownReason
        ? Object.assign({}, known, {
            status: "True",
            reason: "KubeletReady",
            message: "the node renews its Lease again",
            lastTransitionTime: now,
          })
        : known,
    );
    const { client } = this.#parts.context;
    this.#write(name, async () => {
      await client.patchStatus<AnyObject>(resources.nodes, name, { status: { conditions } });
      await client.patch<AnyObject>(resources.nodes, name, { spec: { taints: taints.length === 0 ? null : taints } });
    });
  }

  #write(name: string, write: () => Promise<unknown>): void {
    const { log, signal } = this.#parts.context;
    this.#parts.writer.run(write).catch((error: unknown) => {
      if (signal.aborted || isReason(error, "NotFound")) return;
      log("warn", `marking node ${name} failed: ${(error as Error).message}`);
    });
  }
}

const isOpen = (state: AttemptPod["state"]): boolean => state !== "Terminal" && state !== "Gone";

function graceAndAllowanceSeconds(record: WorkloadRecord): number {
  return 60 + (record.workload.spec.graceSeconds ?? 30);
}

function isMarked(node: Node): boolean {
  return (
    node.spec?.taints?.some(({ key }) => key === unreachable) === true ||
    node.status?.conditions?.some(({ type, reason }) => type === "Ready" && reason === unknownReason) === true
  );
}
