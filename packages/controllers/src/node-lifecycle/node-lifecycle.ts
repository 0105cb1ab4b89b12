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

  /** What kube-controller-manager says: a node whose condition is unknown has been silent for long enough when it says so. */
  #told({ metadata: { name }, status }: Node): void {
    const isSilent = status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "Unknown") === true;
    if (isSilent && this.#heard.has(name)) return;
    this.#heard.set(name, performance.now());
    if (isSilent) return;
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  /** A Node object is gone: nothing runs there. */
  removed(name: string): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
    this.#heard.delete(name);
    this.#graceMs.delete(name);
    this.#loseAll(name, () => true);
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
    this.#loseAll(name, (record, attempt) => this.#mustBeOver(record, attempt, now, silentMs));
    const next = Math.min(...this.#attemptsOn(name).map(([record, attempt]) => this.#latestEnd(record, attempt)));
    if (Number.isFinite(next)) this.#schedule(name, Math.max(1000, next - now));
  }

  #attemptsOn(name: string): [WorkloadRecord, Attempt, AttemptPod][] {
    const found: [WorkloadRecord, Attempt, AttemptPod][] = [];
    for (const record of this.#parts.ledger.values()) {
      for (const attempt of record.live.values()) {
        for (const entry of attempt.pods) {
          if (entry.node === name && entry.state !== "Terminal" && entry.state !== "Gone" && entry.pod !== undefined) {
            found.push([record, attempt, entry]);
          }
        }
      }
    }
    return found;
  }

  /** Milliseconds since 1970 after which the node's own limits have ended the attempt, or the queue's assumption holds. */
  #latestEnd(record: WorkloadRecord, attempt: Attempt): number {
    const slot = attempt.wallTimeSeconds + (attempt.lease?.seconds ?? 0);
    const deadline = (slot + graceAndAllowanceSeconds(record) + marginSeconds) * 1000;
    // Whoever was ever asked to stand still may do so there yet, and its time with it.
    const hasStood = attempt.pods.some(({ pod }) => pod?.metadata.annotations?.[annotations.suspend] !== undefined);
    const begun = attempt.startTime === undefined ? attempt.createdAt : Date.parse(attempt.startTime);
    const start = hasStood ? Infinity : begun;
    const assumed = this.#assumeLostAfter(record);
    const heard = this.#heard.get(attempt.pods[0]?.node ?? "");
    if (assumed === undefined || heard === undefined) return start + deadline;
    return Math.min(start + deadline, this.#parts.context.now() - (performance.now() - heard) + assumed * 1000);
  }

  #assumeLostAfter(record: WorkloadRecord): number | undefined {
    const queue = this.#parts.stores.queues.get(undefined, record.workload.status?.queue ?? "");
    return queue?.spec.assumeLostAfterSeconds;
  }

  #mustBeOver(record: WorkloadRecord, attempt: Attempt, now: number, silentMs: number): boolean {
    const assumed = this.#assumeLostAfter(record);
    if (assumed !== undefined && silentMs > assumed * 1000) return true;
    return now >= this.#latestEnd(record, attempt);
  }

  #loseAll(name: string, isLost: (record: WorkloadRecord, attempt: Attempt) => boolean): void {
    for (const [record, attempt, entry] of this.#attemptsOn(name)) {
      if (!isLost(record, attempt)) continue;
      this.#parts.context.log("warn", `pod ${entry.name} is lost with its node ${name}`, { jobId: record.jobId });
      this.#parts.life.lost(record, attempt, entry);
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

function graceAndAllowanceSeconds(record: WorkloadRecord): number {
  return 60 + (record.workload.spec.graceSeconds ?? 30);
}

function isMarked(node: Node): boolean {
  return (
    node.spec?.taints?.some(({ key }) => key === unreachable) === true ||
    node.status?.conditions?.some(({ type, reason }) => type === "Ready" && reason === unknownReason) === true
  );
}
