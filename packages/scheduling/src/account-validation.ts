import type { AccountInput, Limits, LimitVector, QualityOfServiceInput, Shares } from "./account-types.ts";
import { SchedulingError } from "./error.ts";
import type { PriorityPolicy } from "./priority-types.ts";
import type { QueueInput } from "./types.ts";
import { checkVector } from "./validation.ts";

export function checkShares(shares: Shares | undefined, what: string): void {
  if (shares === undefined || shares === "Parent" || (Number.isSafeInteger(shares) && shares >= 0)) return;
  throw new SchedulingError(`${what}: shares are ${shares}, must be an integer from 0, or "Parent"`);
}

function checkNumber(value: number | undefined, what: string): void {
  if (value !== undefined && !(Number.isFinite(value) && value >= 0)) {
    throw new SchedulingError(`${what} is ${value}, must be a number from 0`);
  }
}

function checkLimitVector(vector: LimitVector | undefined, resources: readonly string[], what: string): void {
  if (vector === undefined) return;
  if (vector.length > resources.length) {
    throw new SchedulingError(`${what}: ${vector.length} limits, but only ${resources.length} resources are counted`);
  }
  for (const [index, amount] of vector.entries()) checkNumber(amount, `${what} of ${resources[index]}`);
}

function checkLimits(limits: Limits | undefined, resources: readonly string[], whose: string): void {
  if (limits === undefined) return;
  const { perJob = {}, perUser = {} } = limits;
  for (const [name, value] of Object.entries({
    runningJobs: limits.runningJobs,
    submittedJobs: limits.submittedJobs,
    "perJob.wallTimeSeconds": perJob.wallTimeSeconds,
    "perUser.runningJobs": perUser.runningJobs,
    "perUser.submittedJobs": perUser.submittedJobs,
  })) {
    checkNumber(value, `${whose}: limit ${name}`);
  }
  for (const [name, vector] of Object.entries({
    resources: limits.resources,
    resourceMinutes: limits.resourceMinutes,
    runningResourceMinutes: limits.runningResourceMinutes,
    "perJob.resources": perJob.resources,
    "perJob.resourceMinutes": perJob.resourceMinutes,
    "perUser.resources": perUser.resources,
  })) {
    checkLimitVector(vector, resources, `${whose}: limit ${name}`);
  }
}

export function checkAccount(input: AccountInput, resources: readonly string[]): void {
  const whose = `account ${input.name}`;
  if (input.name === "") throw new SchedulingError("an account has a name");
  checkShares(input.shares, whose);
  checkLimits(input.limits, resources, whose);
  if (input.guaranteed !== undefined) checkVector(input.guaranteed, resources, `${whose}: guaranteed`);
}

export function checkQualityOfService(input: QualityOfServiceInput, resources: readonly string[]): void {
  const whose = `QOS ${input.name}`;
  checkLimits(input.limits, resources, whose);
  checkNumber(input.priority, `${whose}: priority`);
  checkNumber(input.usageFactor, `${whose}: usageFactor`);
}

export function checkQueue(input: QueueInput, resources: readonly string[]): void {
  const whose = `queue ${input.name}`;
  checkLimits(input.limits, resources, whose);
  checkNumber(input.priorityFactor, `${whose}: priorityFactor`);
  if ((input.billingWeights?.length ?? 0) > resources.length) {
    throw new SchedulingError(`${whose}: more billing weights than the ${resources.length} resources that are counted`);
  }
  for (const [index, weight] of (input.billingWeights ?? []).entries()) {
    checkNumber(weight, `${whose}: billing weight of ${resources[index]}`);
  }
}

export function checkPriorityPolicy({ weights = {}, maxAgeSeconds, halfLifeSeconds }: PriorityPolicy): void {
  for (const [factor, weight] of Object.entries(weights)) checkNumber(weight, `policy: weight of ${factor}`);
  if (maxAgeSeconds !== undefined && !(Number.isFinite(maxAgeSeconds) && maxAgeSeconds > 0)) {
    throw new SchedulingError(`policy: maxAgeSeconds is ${maxAgeSeconds}, must be a number above 0`);
  }
  if (halfLifeSeconds === undefined || halfLifeSeconds === "None") return;
  if (!(Number.isFinite(halfLifeSeconds) && halfLifeSeconds > 0)) {
    throw new SchedulingError(
      `policy: halfLifeSeconds is ${halfLifeSeconds}, must be a number above 0, or "None" for usage that never decays`,
    );
  }
}
