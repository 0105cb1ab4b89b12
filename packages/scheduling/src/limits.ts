/** Whether limits let a job run, or be submitted. */
import type { LimitHit, LimitHolder, LimitVector } from "./account-types.ts";
import type { Accounts } from "./accounts.ts";
import type { Party } from "./parties.ts";
import type { Time, WaitReason } from "./types.ts";

/** What a job (task) asks for; `seconds`: of its slot. */
export interface Ask {
  amounts: readonly number[];
  seconds: number;
  wallTimeSeconds: number;
}

/** The first limit of the parties that speaks against a job: what one job may have, then what all may have together. */
export function limitAgainst(accounts: Accounts, parties: readonly Party[], ask: Ask, now: Time): LimitHit | undefined {
  for (const party of parties) {
    const hit = perJob(party, ask);
    if (hit !== undefined) return hit;
  }
  for (const party of parties) {
    const hit = together(accounts, party, ask, now);
    if (hit !== undefined) return hit;
  }
  return undefined;
}

/** The first limit that speaks against the submission of so many tasks. */
export function limitAgainstSubmission(parties: readonly Party[], ask: Ask, tasks: number): LimitHit | undefined {
  for (const party of parties) {
    const hit = perJob(party, ask);
    if (hit !== undefined) return hit;
  }
  for (const { holder, limits, submitted } of parties) {
    const limit = limits?.submittedJobs;
    if (limit !== undefined && submitted + tasks > limit) {
      return { of: holder, what: "SubmittedJobs", limit, inUse: submitted, asked: tasks };
    }
  }
  return undefined;
}

function over(
  of: LimitHolder,
  what: LimitHit["what"],
  limits: LimitVector | undefined,
  inUse: (resource: number) => number,
  asked: (resource: number) => number,
): LimitHit | undefined {
  if (limits === undefined) return undefined;
  for (let resource = 0; resource < limits.length; resource += 1) {
    const limit = limits[resource];
    if (limit === undefined) continue;
    const needed = asked(resource);
    // Who asks for nothing of it is not held.
    if (needed <= 0) continue;
    const used = inUse(resource);
    if (used + needed > limit) return { of, what, resource, limit, inUse: used, asked: needed };
  }
  return undefined;
}

const nothing = (): number => 0;

function perJob({ holder, limits }: Party, { amounts, seconds, wallTimeSeconds }: Ask): LimitHit | undefined {
  const most = limits?.perJob;
  if (most === undefined) return undefined;
  if (most.wallTimeSeconds !== undefined && wallTimeSeconds > most.wallTimeSeconds) {
    return { of: holder, what: "JobWallTime", limit: most.wallTimeSeconds, inUse: 0, asked: wallTimeSeconds };
  }
  return (
    over(holder, "JobResources", most.resources, nothing, (resource) => amounts[resource] ?? 0) ??
    over(holder, "JobResourceMinutes", most.resourceMinutes, nothing, (resource) =>
      minutes((amounts[resource] ?? 0) * seconds),
    )
  );
}

function together(accounts: Accounts, party: Party, { amounts, seconds }: Ask, now: Time): LimitHit | undefined {
  const { holder, limits, meter, running } = party;
  if (limits === undefined) return undefined;
  if (limits.runningJobs !== undefined && running + 1 > limits.runningJobs) {
    return { of: holder, what: "RunningJobs", limit: limits.runningJobs, inUse: running, asked: 1 };
  }
  const promised = (resource: number): number => meter.promisedAmountAt(resource, now);
  const used = (resource: number): number => meter.usedAmountAt(resource, now, accounts.halfLifeSeconds);
  const asked = (resource: number): number => minutes((amounts[resource] ?? 0) * seconds);
  return (
    over(
      holder,
      "Resources",
      limits.resources,
      (resource) => meter.inUse[resource]!,
      (resource) => amounts[resource] ?? 0,
    ) ??
    over(
      holder,
      "ResourceMinutes",
      limits.resourceMinutes,
      (resource) => minutes(used(resource) + promised(resource)),
      asked,
    ) ??
    over(
      holder,
      "RunningResourceMinutes",
      limits.runningResourceMinutes,
      (resource) => minutes(promised(resource)),
      asked,
    )
  );
}

function minutes(seconds: number): number {
  return seconds / 60;
}

/** The reason of the closed list. */
export function reasonOfLimit({ of, what }: LimitHit): WaitReason {
  if (what === "JobWallTime" || what === "JobResources" || what === "JobResourceMinutes") return "PerJobLimit";
  const kind = what === "Resources" ? "ResourceLimit" : what === "RunningJobs" ? "JobLimit" : "MinutesLimit";
  if (of.kind === "Membership" || (of.kind === "Account" && of.user !== undefined)) return `AccountUser${kind}`;
  if (of.kind === "Account") return `Account${kind}`;
  const whose = of.kind === "Queue" ? "Queue" : "Qos";
  // There are no minutes of users in queues and qualities of service.
  if (of.user !== undefined && kind !== "MinutesLimit") return `${whose}User${kind}`;
  return `${whose}${kind}`;
}
