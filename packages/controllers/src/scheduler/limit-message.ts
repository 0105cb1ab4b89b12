/** Limits that are reached, in words. Pure. */
import type { LimitHit } from "@berth/scheduling";
import { amountOfParts } from "@berth/kinds";
import { formatAmount } from "../workload/oversize.ts";

function jobs(count: number): string {
  return `${count} job${count === 1 ? "" : "s"}`;
}

/** Whose limit is reached, and the numbers. */
export function limitMessage(hit: LimitHit, resources: readonly string[]): string {
  const { of, what, resource, limit, inUse, asked } = hit;
  const kinds = { Queue: "queue", Account: "account", Membership: "account", QualityOfService: "QOS" } as const;
  const whose = `${of.user === undefined ? "" : `user ${of.user} in `}${kinds[of.kind]} ${of.name}`;
  const name = resource === undefined ? undefined : (resources[resource] ?? "a resource");
  const amount = (value: number): string =>
    name === undefined ? String(value) : formatAmount(name, amountOfParts(name, value));
  switch (what) {
    case "RunningJobs":
      return `${whose} may run ${jobs(limit)} at once; ${inUse} ${inUse === 1 ? "runs" : "run"}`;
    case "SubmittedJobs":
      return `${whose} may have ${jobs(limit)} pending or running; there are ${inUse}`;
    case "Resources":
      return `${whose} may use ${amount(limit)} at once; ${amount(inUse)} in use, this job needs ${amount(asked)}`;
    case "ResourceMinutes":
      return `${whose} may use ${amount(limit)} minutes; ${amount(inUse)} minutes are used or promised to running jobs, this job may need ${amount(asked)} minutes`;
    case "RunningResourceMinutes":
      return `running jobs of ${whose} may have ${amount(limit)} minutes before them; they have ${amount(inUse)} minutes, this job would add ${amount(asked)} minutes`;
    case "JobWallTime":
      return `one job of ${whose} may run for ${limit} seconds; this one asks for ${asked}`;
    case "JobResources":
      return `one job of ${whose} may use ${amount(limit)}; this one asks for ${amount(asked)}`;
    default:
      return `one job of ${whose} may use ${amount(limit)} minutes; this one may need ${amount(asked)} minutes`;
  }
}
