/** When the containers of a pod are ended at the latest, on the clock that counts from the machine's start. */
import type { Pod } from "@berth/kinds";
import { annotations, defaultGraceSeconds, labels, startAllowanceSeconds } from "@berth/kinds";
import { uptimeSeconds } from "./host.ts";

/**
 * The wall time counts from `begunAt`, of gangs from the opening of the gate, of containers that are started again from the pod's start,
 * as activeDeadlineSeconds does. Both times in milliseconds.
 */
export function deadlineOf(
  pod: Pod,
  podStartedAt: number,
  begunAt?: number,
): { uptimeSeconds: number; stage: string } | undefined {
  const wall = pod.metadata.annotations?.[annotations.wallTimeSeconds];
  const opened = pod.metadata.annotations?.[annotations.gateOpenedAt];
  const active = activeSeconds(pod, wall);
  const uptime = uptimeSeconds();
  const now = Date.now();
  const found: { uptimeSeconds: number; stage: string }[] = [];
  if (wall !== undefined) {
    const begun = opened !== undefined ? Date.parse(opened) : (begunAt ?? podStartedAt);
    const since = Math.max(0, (now - begun) / 1000);
    found.push({ uptimeSeconds: Math.ceil(uptime + Number(wall) - since), stage: "timelimit" });
  }
  if (active !== undefined) {
    const since = (now - podStartedAt) / 1000;
    found.push({ uptimeSeconds: Math.ceil(uptime + active - since), stage: "activedeadline" });
  }
  return found.sort((a, b) => a.uptimeSeconds - b.uptimeSeconds)[0];
}

/** Of each task of a lease, from its own beginning; undefined without a wall time. */
export function leaseDeadline(pod: Pod): { uptimeSeconds: `+${number}`; stage: string } | undefined {
  const wall = pod.metadata.annotations?.[annotations.wallTimeSeconds];
  return wall === undefined ? undefined : { uptimeSeconds: `+${Math.ceil(Number(wall))}`, stage: "timelimit" };
}

/** Seconds between TERM and KILL. */
export function graceOf(pod: Pod): number {
  return pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds;
}

/** activeDeadlineSeconds stands behind the wall time; where that was made longer, which the former cannot be, it moves on with it. */
function activeSeconds(pod: Pod, wall: string | undefined): number | undefined {
  const stated = pod.spec.activeDeadlineSeconds;
  const isAttempt = wall !== undefined && pod.metadata.labels?.[labels.attempt] !== undefined;
  return stated === undefined || !isAttempt
    ? stated
    : Math.max(stated, startAllowanceSeconds + Number(wall) + graceOf(pod));
}
