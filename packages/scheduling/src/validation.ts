import { wholeDevice } from "./devices.ts";
import { SchedulingError } from "./error.ts";
import type { AdvanceReservationInput } from "./reservation-types.ts";
import type { JobInput, ResourceVector } from "./types.ts";

export function checkVector(vector: ResourceVector, resources: readonly string[], what: string): void {
  if (vector.length > resources.length) {
    throw new SchedulingError(`${what}: ${vector.length} amounts, but only ${resources.length} resources are counted`);
  }
  for (const [index, amount] of vector.entries()) {
    if (!Number.isSafeInteger(amount) || amount < 0) {
      throw new SchedulingError(`${what}: ${resources[index]} is ${amount}, must be an integer from 0`);
    }
  }
}

function checkCount(value: number | undefined, what: string, least: number): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
    throw new SchedulingError(`${what} is ${value}, must be an integer from ${least}`);
  }
}

/** Throws in words what of a job cannot be meant. */
export function checkJob(job: JobInput, resources: readonly string[], devices: ReadonlySet<number>): void {
  const name = `job ${job.id}`;
  if (!Number.isSafeInteger(job.id)) throw new SchedulingError(`${name}: the id must be an integer`);
  if (job.queues.length === 0) throw new SchedulingError(`${name} names no queue`);
  if (job.podSets.length === 0) throw new SchedulingError(`${name} has no pod set`);
  if (job.topology !== undefined && job.topology.level === "") {
    throw new SchedulingError(`${name}: the level of its topology has no name`);
  }
  for (const [licence, amount] of Object.entries(job.licences ?? {})) {
    checkCount(amount, `${name}: licences of ${licence}`, 1);
  }
  for (const [index, set] of job.podSets.entries()) {
    for (const resource of devices) {
      const amount = set.request[resource] ?? 0;
      if (amount > wholeDevice && amount % wholeDevice !== 0) {
        throw new SchedulingError(
          `${name}: pod set ${index} asks for ${amount} of ${resources[resource]}; a part of one device is at most ${wholeDevice}, and several must be whole`,
        );
      }
    }
    for (const { maxSkew, key } of set.rules?.spread ?? []) {
      checkCount(maxSkew, `${name}: maxSkew over ${key} of pod set ${index}`, 1);
    }
    checkCount(set.count, `${name}: count of pod set ${index}`, 1);
    checkCount(set.minCount, `${name}: minCount of pod set ${index}`, 1);
    if ((set.minCount ?? 1) > set.count) {
      throw new SchedulingError(`${name}: minCount of pod set ${index} is more than its count ${set.count}`);
    }
    checkVector(set.request, resources, `${name}: request of pod set ${index}`);
  }
  if (!Number.isSafeInteger(job.submitTime)) throw new SchedulingError(`${name}: submitTime must be an integer`);
  checkCount(job.wallTimeSeconds, `${name}: wallTimeSeconds`, 1);
  checkCount(job.minWallTimeSeconds, `${name}: minWallTimeSeconds`, 1);
  checkCount(job.overheadSeconds, `${name}: overheadSeconds`, 0);
  checkCount(job.podsPerNode, `${name}: podsPerNode`, 1);
  for (const field of ["tasks", "seconds", "places", "atMost"] as const) {
    checkCount(job.lease?.[field], `${name}: lease.${field}`, 1);
  }
  checkCount(job.array?.maxRunning, `${name}: maxRunning`, 1);
}

/** Throws in words what of an advance reservation cannot be meant. */
export function checkReservation(input: AdvanceReservationInput): void {
  const name = `reservation ${input.name}`;
  if (input.name === "") throw new SchedulingError("a reservation must have a name");
  if (!Number.isSafeInteger(input.startTime)) throw new SchedulingError(`${name}: startTime must be an integer`);
  checkCount(input.durationSeconds, `${name}: durationSeconds`, 1);
  checkCount(input.everySeconds, `${name}: everySeconds`, 1);
  if ((input.everySeconds ?? Infinity) < input.durationSeconds) {
    throw new SchedulingError(
      `${name}: everySeconds is less than durationSeconds: a window would begin in the one before`,
    );
  }
  checkShifts(input, name);
  checkCount(input.nodeCount, `${name}: nodeCount`, 1);
  if (input.nodes !== undefined && (input.nodeCount !== undefined || input.selector !== undefined)) {
    throw new SchedulingError(`${name} names nodes; nodeCount and selector do not go with that`);
  }
  const isForNobody = (input.users?.length ?? 0) + (input.accounts?.length ?? 0) === 0;
  if (isForNobody && input.maintenance !== true) {
    throw new SchedulingError(`${name} is for nobody: give users or accounts, or say that it is a maintenance`);
  }
}

function checkShifts({ everySeconds, shifts }: AdvanceReservationInput, name: string): void {
  let [from, seconds] = [-Infinity, 0];
  for (const shift of shifts ?? []) {
    if (!Number.isSafeInteger(shift.from) || !Number.isSafeInteger(shift.seconds) || shift.from <= from)
      throw new SchedulingError(`${name}: shifts must be integers, in order of time`);
    if (Math.abs(shift.seconds - seconds) >= (everySeconds ?? 0))
      throw new SchedulingError(`${name}: a shift by ${shift.seconds - seconds} s is not less than everySeconds`);
    ({ from, seconds } = shift);
  }
}
