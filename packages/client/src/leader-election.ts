import { setTimeout as delay } from "node:timers/promises";
import type { KubernetesObject } from "@berth/machinery";
import type { Client } from "./client.ts";
import { isReason } from "./errors.ts";
import { resources } from "./resources.ts";
import { jitter } from "./transport.ts";

interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  /** RFC 3339 with microseconds. */
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}
export type Lease = KubernetesObject<LeaseSpec>;

export interface LeaderElectionOptions {
  client: Client;
  namespace: string;
  name: string;
  /** Unique among the candidates: host name, pid and something random. */
  identity: string;
  /** Defaults of client-go: 15, 10 and 2. */
  leaseDurationSeconds?: number;
  renewDeadlineSeconds?: number;
  retryPeriodSeconds?: number;
  /** What the leader does; its signal aborts when the leadership is lost or the election's own signal aborts. */
  lead(signal: AbortSignal): Promise<void>;
  onError?(error: unknown): void;
  signal: AbortSignal;
}

/** An API that does not answer does not hold up who ends. */
const releaseMs = 5000;

/** RFC 3339 with microseconds, as the API wants MicroTime. */
export function microTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace("Z", "000Z");
}

/**
 * Takes part in an election until its signal aborts: holds the Lease, calls `lead` while it does, and waits for it
 * again when it was lost. As with client-go, a holder that hears nothing from the API gives up before others may take
 * over; clocks are compared with themselves only, never with another machine's.
 */
export async function electLeader(options: LeaderElectionOptions): Promise<void> {
  const { signal } = options;
  const retryMs = (options.retryPeriodSeconds ?? 2) * 1000;
  const observer = createObserver(options);
  while (!signal.aborted) {
    if (await observer.acquire(signal)) {
      await holdAndLead(options, observer);
      await observer.release();
      if (signal.aborted) return;
    }
    await delay(jitter(retryMs), undefined, { signal }).catch(() => {});
  }
}

async function holdAndLead(options: LeaderElectionOptions, observer: Observer): Promise<void> {
  const lost = new AbortController();
  const signal = AbortSignal.any([options.signal, lost.signal]);
  const retryMs = (options.retryPeriodSeconds ?? 2) * 1000;
  const deadlineMs = (options.renewDeadlineSeconds ?? 10) * 1000;
  const giveUp = (): void => lost.abort(new Error(`the lease ${options.namespace}/${options.name} was lost`));
  // Whatever becomes of a request that is under way: it may wait for the API longer than the lease lasts.
  const deadline = setTimeout(giveUp, deadlineMs);
  const renewing = (async () => {
    for (;;) {
      await delay(retryMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) break;
      const asked = performance.now();
      if (await observer.acquire(signal)) {
        // The lease counts from somewhere between; what took long is as good as not renewed.
        if (performance.now() - asked < deadlineMs / 2 && !signal.aborted) deadline.refresh();
      } else if (observer.heldByOther) giveUp();
    }
    clearTimeout(deadline);
  })();
  try {
    await options.lead(signal);
  } catch (error) {
    if (!signal.aborted) options.onError?.(error);
  } finally {
    lost.abort();
    await renewing;
  }
}

interface Observer {
  readonly heldByOther: boolean;
  /** @param within ends what is under way */
  acquire(within: AbortSignal): Promise<boolean>;
  release(): Promise<void>;
}

function createObserver(options: LeaderElectionOptions): Observer {
  const { client, namespace, name, identity } = options;
  const durationSeconds = options.leaseDurationSeconds ?? 15;
  let seen: { renewTime: string | undefined; holder: string | undefined; at: number } | undefined;
  let heldByOther = false;

  async function take(signal: AbortSignal): Promise<boolean> {
    const now = microTime(Date.now());
    let lease: Lease;
    try {
      lease = await client.get<Lease>(resources.leases, name, { namespace, signal });
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
      const spec = {
        holderIdentity: identity,
        leaseDurationSeconds: durationSeconds,
        acquireTime: now,
        renewTime: now,
      };
      await client.create<Lease>(resources.leases, {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name, namespace },
        spec: { ...spec, leaseTransitions: 0 },
      });
      return true;
    }
    const spec = lease.spec ?? {};
    const holder = spec.holderIdentity;
    if (seen === undefined || seen.renewTime !== spec.renewTime || seen.holder !== holder) {
      seen = { renewTime: spec.renewTime, holder, at: performance.now() };
    }
    const mine = holder === identity;
    const free = holder === undefined || holder === "";
    heldByOther = !mine && !free;
    const validMs = (spec.leaseDurationSeconds ?? durationSeconds) * 1000;
    if (heldByOther && performance.now() - seen.at < validMs) return false;
    lease.spec = {
      holderIdentity: identity,
      leaseDurationSeconds: durationSeconds,
      acquireTime: mine ? (spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (spec.leaseTransitions ?? 0) + (mine ? 0 : 1),
    };
    // The resource version in the object makes this a compare and swap.
    await client.update(resources.leases, lease, { signal });
    heldByOther = false;
    return true;
  }

  return {
    get heldByOther() {
      return heldByOther;
    },
    async acquire(within) {
      try {
        return await take(within);
      } catch (error) {
        if (!within.aborted && !isReason(error, "Conflict", "AlreadyExists")) options.onError?.(error);
        return false;
      }
    },
    async release() {
      const signal = AbortSignal.timeout(releaseMs);
      try {
        const lease = await client.get<Lease>(resources.leases, name, { namespace, signal });
        if (lease.spec?.holderIdentity !== identity) return;
        lease.spec = { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1 };
        await client.update(resources.leases, lease, { signal });
      } catch {
        // Not told is not harmful: the lease runs out by itself.
      }
    },
  };
}
