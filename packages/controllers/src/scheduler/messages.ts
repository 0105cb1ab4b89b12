/** Why a job waits, in words and with the numbers. Pure. */
import type { PendingReason, Workload } from "@berth/kinds";
import type { Explanation } from "@berth/scheduling";
import { amountOfParts, isDevice } from "@berth/kinds";
import { formatAmount } from "../workload/oversize.ts";
import { limitMessage } from "./limit-message.ts";

/** Times of the same day stand as a clock, others with their date; UTC, as all that is stored. */
function formatTime(time: number, now: number): string {
  const text = new Date(time * 1000).toISOString();
  const isToday = text.slice(0, 10) === new Date(now * 1000).toISOString().slice(0, 10);
  return isToday ? `${text.slice(11, 16)}Z` : `${text.slice(0, 10)} ${text.slice(11, 16)}Z`;
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function jobName(job: number, task: number | undefined): string {
  return task === undefined ? `job ${job}` : `job ${job}_${task}`;
}

function jobNames(jobs: readonly number[]): string {
  const shown = jobs.slice(0, 5).join(", ");
  return `${jobs.length === 1 ? "job" : "jobs"} ${shown}${jobs.length > 5 ? `, and ${jobs.length - 5} more` : ""}`;
}

/**
 * The rest of a sentence on when room comes: at what time, and by whose end. Only of reservations: other starts are a matter of
 * the forecast, which stands in `estimatedStart`.
 */
function whenFree({ start, waitsFor }: Explanation, now: number): string {
  if (start?.reserved !== true) return "";
  if (waitsFor !== undefined) {
    const node =
      start.nodes.length === 1 ? `${start.nodes[0]} has room` : `${plural(start.nodes.length, "node")} have room`;
    return `, ${node} at ${formatTime(start.time, now)} when ${jobName(waitsFor.job, waitsFor.task)} ends`;
  }
  if (start.time > now) return `, expected at ${formatTime(start.time, now)}`;
  return "";
}

/** Whether each pod of the job is to be on a node of its own, so that it waits for nodes rather than for room. */
export function wantsNodes({ spec }: Pick<Workload, "spec">): boolean {
  return spec.placement?.exclusive === true || spec.placement?.podsPerNode === 1;
}

/** `2 cpus, 4 nvidia.com/gpu` */
function eachPod(request: readonly number[], resources: readonly string[]): string {
  return request
    .flatMap((amount, index) => {
      const resource = resources[index] ?? "pods";
      return amount === 0 || resource === "pods" ? [] : [formatAmount(resource, amountOfParts(resource, amount))];
    })
    .join(", ");
}

function resourcesMessage(
  explanation: Explanation,
  resources: readonly string[],
  now: number,
  wantsNodes: boolean,
): string {
  const { perPod, short, pods, nodes, numa, rules, topology } = explanation;
  if (short !== undefined) {
    const resource = resources[short] ?? "pods";
    const asked = perPod.request[short] ?? 0;
    const needed = formatAmount(resource, amountOfParts(resource, asked));
    const free = formatAmount(resource, amountOfParts(resource, perPod.mostFree[short] ?? 0));
    const one = isDevice(resource) && asked < 1000 ? "of one device" : numa ? "in one NUMA domain" : "on one node";
    return `needs ${needed} ${one}; at most ${free} ${free.endsWith(" cpus") ? "are" : "is"} free${whenFree(explanation, now)}`;
  }
  if (topology !== undefined && pods.fitting < pods.needed) {
    const where =
      topology.domain === undefined ? "none has room" : `${topology.domain} has room for ${topology.fitting}`;
    return `needs room for ${plural(pods.needed, "pod")} in one domain of ${topology.level}; ${where} now${whenFree(explanation, now)}`;
  }
  if (rules === true) {
    return `what it asks of the pods beside it (affinity, anti-affinity, spread, host ports, claims of one pod), or they of it, leaves too few nodes now${whenFree(explanation, now)}`;
  }
  if (pods.needed > 1) {
    const each = eachPod(perPod.request, resources);
    if (wantsNodes) {
      const free = pods.fitting === 1 ? "1 is free" : `${pods.fitting === 0 ? "none" : pods.fitting} are free`;
      return `needs ${plural(pods.needed, "node")} with ${each} each; ${free}${whenFree(explanation, now)}`;
    }
    const fits = pods.fitting === 1 ? "1 fits" : `${pods.fitting} fit`;
    return `needs room for ${plural(pods.needed, "pod")} of ${each} at once; ${fits} now on ${plural(nodes.fitting, "node")}${whenFree(explanation, now)}`;
  }
  return `no node has all that it needs free together${whenFree(explanation, now)}`;
}

/**
 * A sentence for `status.message`.
 * @param resources names by index of the vectors
 * @param now seconds since 1970
 * @param wantsNodes each of its pods is to be on a node of its own
 */
export function waitMessage(
  explanation: Explanation,
  resources: readonly string[],
  now: number,
  wantsNodes = false,
): string {
  const { reason, queue = "", limit, until, dependsOn, behind, nodes, window } = explanation;
  const limited = (): string =>
    explanation.limitHit === undefined ? "a limit is reached" : limitMessage(explanation.limitHit, resources);
  const messages: Record<PendingReason, () => string> = {
    None: () => "not considered yet",
    Resources: () => resourcesMessage(explanation, resources, now, wantsNodes),
    Priority: () =>
      `${behind === undefined ? "jobs before it" : `job ${behind} before it`} in queue ${queue} waits for resources, and this one can neither start beside it nor before it${whenFree(explanation, now)}`,
    Dependency: () =>
      until === undefined
        ? `waits for ${dependsOn === undefined || dependsOn.length === 0 ? "another job" : jobNames(dependsOn)}`
        : `its dependency holds from ${formatTime(until, now)} on`,
    DependencyNeverSatisfied: () =>
      `${dependsOn === undefined || dependsOn.length === 0 ? "a job" : jobNames(dependsOn)} that it depends on ended in another way than was asked; cancel it, or change its dependencies`,
    BeginTime: () => `may not start before ${until === undefined ? "its begin time" : formatTime(until, now)}`,
    HeldByUser: () => "held by its owner until released",
    HeldByAdmin: () => "held by an operator until released",
    ArrayTaskLimit: () => `as many of its tasks run as may run at once${limit === undefined ? "" : ` (${limit})`}`,
    QueueDown: () => `queue ${queue} is not up; nothing of it starts until an operator sets it up`,
    QueueTimeLimit: () =>
      `its wall time is longer than queue ${queue} allows${limit === undefined ? "" : ` (${limit} seconds)`}; ask for less`,
    QueueNodeLimit: () =>
      `needs more nodes than queue ${queue} gives to one job${limit === undefined ? "" : ` (${limit})`}; ask for fewer`,
    NodeUnavailable: () => "a node that it names is down or drained",
    NodesUnavailable: () =>
      explanation.rules === true
        ? "rules between its pods (anti-affinity, spread, host ports), or of others for ever there, leave too few nodes even if all were empty"
        : explanation.topology !== undefined && nodes.usable > 0
          ? `no domain of ${explanation.topology.level} could hold its ${plural(explanation.pods.needed, "pod")} even if empty`
          : explanation.numa === true && nodes.usable > 0
            ? `of the ${plural(nodes.usable, "node")} that it may use none tells a NUMA domain that could hold a pod of it`
            : nodes.usable === 0
              ? "no node that it may use is up"
              : `the ${plural(nodes.usable, "node")} that it may use and that ${nodes.usable === 1 ? "is" : "are"} up could not hold it even if empty`,
    Reservation: () =>
      `reservation ${window?.reservation ?? "that it names"} ${window === undefined ? "has not begun" : `begins at ${formatTime(window.startTime, now)}`}`,
    ReservationDeleted: () => "the reservation that it names is over or was deleted",
    ReservationNotAllowed: () => "the reservation that it names is not for this user and account",
    ReservationTimeLimit: () =>
      `it could not end before ${window === undefined ? "the reservation that it names does" : `reservation ${window.reservation} does at ${formatTime(window.endTime, now)}`}; ask for less wall time`,
    ReservedForMaintenance: () => `${blockMessage(window, "maintenance", now)}${whenFree(explanation, now)}`,
    ReservedForOthers: () => `${blockMessage(window, "others", now)}${whenFree(explanation, now)}`,
    Licenses: () => {
      const { licence } = explanation;
      if (licence === undefined) return "licences that it asks for are in use";
      const { name, needed, free, total } = licence;
      if (needed > total) return `needs ${needed} of licence ${name}; the cluster has ${total}`;
      return `needs ${needed} of licence ${name}; ${free} of ${total} are free${whenFree(explanation, now)}`;
    },
    PodAffinity: () => "the pods that it is to run beside are not there, or where they are it may not go",
    UserJobLimit: () => `as many jobs of this user run as the site allows${limit === undefined ? "" : ` (${limit})`}`,
    QueueJobLimit: limited,
    QueueResourceLimit: limited,
    QueueMinutesLimit: limited,
    QueueUserJobLimit: limited,
    QueueUserResourceLimit: limited,
    AccountJobLimit: limited,
    AccountResourceLimit: limited,
    AccountMinutesLimit: limited,
    AccountUserJobLimit: limited,
    AccountUserResourceLimit: limited,
    AccountUserMinutesLimit: limited,
    QosJobLimit: limited,
    QosResourceLimit: limited,
    QosMinutesLimit: limited,
    QosUserJobLimit: limited,
    QosUserResourceLimit: limited,
    PerJobLimit: limited,
    Claims: () => "a claim of its pods is not ready",
    Cleaning: () => "what its last attempt left is still being removed",
    LaunchFailedRequeuedHeld: () => "it could not be started several times over and is held",
    InvalidTemplate: () => "the cluster refuses its pods as they stand",
  };
  const { preempts = [], preempted } = explanation;
  const still =
    explanation.cannotSuspend === true
      ? "; jobs that would be suspended for it cannot be: a kubelet cannot do that, nor can it be done to what others make"
      : "";
  const why = preempts.length > 0 ? preemptsMessage(explanation, now) : `${messages[reason]()}${still}`;
  return preempted === undefined
    ? why
    : `${why}; preempted by job ${preempted.by} at ${formatTime(preempted.time, now)}, it waits again`;
}

/** Of a job for which others are leaving. */
function preemptsMessage({ preempts = [], start }: Explanation, now: number): string {
  const names = preempts.slice(0, 5).map(({ job, task }) => (task === undefined ? `${job}` : `${job}_${task}`));
  const more = preempts.length > 5 ? `, and ${preempts.length - 5} more` : "";
  const who = `${preempts.length === 1 ? "job" : "jobs"} ${names.join(", ")}${more}`;
  const when = start === undefined ? "" : `, by ${formatTime(start.time, now)} at the latest`;
  return `${who} ${preempts.length === 1 ? "makes" : "make"} room for it (preempted)${when}`;
}

function blockMessage(window: Explanation["window"], whom: string, now: number): string {
  if (window === undefined) return `nodes that it needs are reserved for ${whom}`;
  const times = `from ${formatTime(window.startTime, now)} to ${formatTime(window.endTime, now)}`;
  return `it could not end before nodes that it needs are reserved for ${whom} (${window.reservation}, ${times})`;
}

/**
 * Whether a start that moved is worth a write: by more than a minute and a tenth of the wait.
 * @param told seconds since 1970, as last written; undefined: nothing was
 */
export function isWorthTelling(told: number | undefined, start: number | undefined, submitTime: number): boolean {
  if (told === undefined || start === undefined) return told !== start;
  const moved = Math.abs(start - told);
  return moved > 60 && moved > (told - submitTime) / 10;
}
