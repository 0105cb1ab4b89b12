/** An Explanation as people read it: one screen, in words. */
import type { Blocker, Explanation, ExplanationStatus, PriorityFactor } from "@berth/kinds";
import { compressHostlist } from "@berth/slurm";
import { labelled } from "./labelled-lines.ts";
import { paint } from "./table.ts";
import { formatDuration, formatTime, formatWait } from "./times.ts";

/** Messages are stored with times in UTC (`14:05Z`, of the day of `asOf`); people read their own clock. */
export function localTimes(message: string, asOf: string): string {
  return message.replace(/(?:(\d{4}-\d\d-\d\d) )?\b(\d\d:\d\d)Z/g, (_, day: string | undefined, clock: string) => {
    const local = formatTime(`${day ?? asOf.slice(0, 10)}T${clock}:00Z`)!;
    return local.slice(0, -3);
  });
}

/** `Job 42 (align) of ada` and what it is up to, in bold. */
export function titleOf(name: string, { spec }: Pick<Explanation, "spec">, state: string): string {
  const title = spec.jobName === undefined ? "" : ` (${spec.jobName})`;
  return `${paint("bold", `Job ${name}${title}`)} of ${spec.user ?? "nobody"}, ${state}`;
}

/** What waits: why, since when, until when, behind whom, with which priority. */
export function waitingLines({ spec, status = {} }: Explanation, now = Date.now()): string[] {
  const { reason = "None", slurmReason, message = "", position, asOf = new Date(now).toISOString() } = status;
  const code = slurmReason === undefined || slurmReason === reason ? "" : ` (in squeue: ${slurmReason})`;
  const lines = labelled("why", `${reason}${code}: ${localTimes(message, asOf)}`);
  lines[0] = lines[0]!.replace(reason, paint("yellow", reason));
  lines.push(...startLines(status, now));
  for (const [index, blocker] of (status.blockers ?? []).entries())
    lines.push(...labelled(index === 0 ? "behind" : "", blockerWords(blocker, now)));
  if (position !== undefined)
    lines.push(...labelled("position", `${position.queue} of ${position.of} that wait in queue ${spec.queue}`));
  lines.push(...labelled("waited", waitedWords(status, now)));
  lines.push(...needLines(status, spec.wallTimeSeconds));
  if (status.priority !== undefined) lines.push(...labelled("priority", priorityWords(status.priority)));
  if (status.advice !== undefined) lines.push(...labelled("advice", status.advice));
  return lines;
}

function startLines({ expectedStart, reason }: ExplanationStatus, now: number): string[] {
  if (expectedStart === undefined) {
    const why = ["HeldByUser", "HeldByAdmin", "DependencyNeverSatisfied", "QueueTimeLimit", "QueueNodeLimit"];
    const words = why.includes(reason ?? "") ? "not before that changes" : "not known yet";
    return labelled("starts", words);
  }
  const { time, basis, nodes = [], assumes, first } = expectedStart;
  const at = `${formatTime(time)} (${formatWait(time, now)})`;
  const where = nodes.length === 0 ? "" : ` on ${compressHostlist(nodes)}`;
  const moved = first === undefined ? 0 : Math.round((Date.parse(time) - Date.parse(first)) / 1000);
  const history =
    Math.abs(moved) <= 60
      ? ""
      : `; ${formatDuration(Math.abs(moved))} ${moved > 0 ? "later" : "earlier"} than first told`;
  const sure = { Reserved: "", Forecast: "about ", Earliest: "not before " }[basis];
  const lines = labelled("starts", `${sure}${at}${where}${history}`);
  lines[0] = lines[0]!.replace(at, paint("green", at));
  return [...lines, ...labelled("", assumes)];
}

function blockerWords({ job, task, how, user, jobName, until, node }: Blocker, now: number): string {
  const name = `job ${task === undefined ? job : `${job}_${task}`}`;
  const title = jobName === undefined ? "" : ` (${jobName})`;
  const who = `${name}${title}${user === undefined ? "" : ` of ${user}`}`;
  if (how === "Dependency") return `${who}, by its own --dependency`;
  if (how === "Before") {
    const over = until === undefined ? "" : `; it is to be over by ${formatTime(until)} (${formatWait(until, now)})`;
    return `${who} goes before it, and waits too${over}`;
  }
  const end = until === undefined ? "" : ` until ${formatTime(until)} at the latest (${formatWait(until, now)})`;
  return `${who} holds what it is to get${node === undefined ? "" : ` on ${node}`}${end}`;
}

/** `1:40 for Resources` */
export function waitedFor(reason: string, seconds: number): string {
  return `${formatDuration(seconds)} for ${reason === "None" ? "the scheduler's first look" : reason}`;
}

function waitedWords({ submitTime, waitedSecondsByReason = {} }: ExplanationStatus, now: number): string {
  const whole = submitTime === undefined ? 0 : (now - Date.parse(submitTime)) / 1000;
  const parts = Object.entries(waitedSecondsByReason)
    .filter(([, seconds]) => seconds > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, seconds]) => waitedFor(reason, seconds));
  return `${formatDuration(whole)} so far${parts.length < 2 ? "" : `: ${parts.join(", ")}`}`;
}

/** `4 cpus`, `2 GiB of memory`, `1 nvidia.com/gpu`. */
function amountOf(resource: string | undefined, amount: number): string {
  if (resource === "cpu") return `${amount / 1000} cpu${amount === 1000 ? "" : "s"}`;
  if (resource === "memory") {
    const mebibytes = amount / 2 ** 20;
    return mebibytes >= 1024 ? `${Math.round((mebibytes / 1024) * 10) / 10} GiB` : `${Math.round(mebibytes)} MiB`;
  }
  return resource === undefined ? String(amount) : `${amount} ${resource}`;
}

function nodesWord(count: number): string {
  return `${count} node${count === 1 ? "" : "s"}`;
}

function needLines({ needs }: ExplanationStatus, wallTimeSeconds: number | undefined): string[] {
  const time = wallTimeSeconds === undefined ? "" : ` for ${formatDuration(wallTimeSeconds)}`;
  if (needs === undefined) return time === "" ? [] : labelled("asks for", `a wall time of ${time.slice(5)}`);
  const amounts = needs.perPod.map(({ resource, asked }) => amountOf(resource, asked)).join(", ");
  const each = needs.wholeNodes === true ? `a whole node (at least ${amounts})` : amounts;
  const gang = needs.pods === 1 ? each : `${needs.pods} × ${each}, together`;
  const fit =
    needs.pods === 1
      ? `${needs.nodesFittingNow === 0 ? "no node" : nodesWord(needs.nodesFittingNow)} of ${needs.nodesUsable} could take it now`
      : `${Math.min(needs.podsFittingNow, needs.pods)} of ${needs.pods} would fit now`;
  return labelled("asks for", `${gang}${time}; ${fit}`);
}

const factorNames: Record<string, string> = { fairShare: "fair share", jobSize: "size", qos: "QOS" };

function priorityWords({ value, factors }: { value: number; factors: PriorityFactor[] }): string {
  const round = (number: number): string => String(Math.round(number));
  const parts = factors
    .filter(({ points, weight }) => points !== 0 || (weight ?? 0) !== 0)
    .map(({ name, factor, weight, points }) => {
      const how = factor === undefined || weight === undefined ? "" : ` (${factor.toFixed(3)} × ${weight})`;
      return `${factorNames[name] ?? name} ${round(points)}${how}`;
    });
  return `${round(value)}${parts.length === 0 ? "" : ` = ${parts.join(" + ").replaceAll("+ nice -", "- nice ")}`}`;
}

/** `; began 10:20 earlier than first told`; nothing where it was told no start, or began when it was told. */
export function beganWords(startTime: string | null | undefined, told: string | null | undefined): string {
  if (!startTime || !told) return "";
  const seconds = Math.round((Date.parse(startTime) - Date.parse(told)) / 1000);
  if (Math.abs(seconds) <= 60) return "; began when it was told";
  return `; began ${formatDuration(Math.abs(seconds))} ${seconds > 0 ? "later" : "earlier"} than first told`;
}

/** What runs: where, since when, until when. */
export function runningLines({ spec, status = {} }: Explanation, now = Date.now()): string[] {
  const { startTime, endTime, nodes = [], suspended, firstExpectedStart: told } = status;
  const lines: string[] = [];
  if (nodes.length > 0) lines.push(...labelled("on", compressHostlist(nodes)));
  if (startTime !== undefined)
    lines.push(
      ...labelled(
        "since",
        `${formatTime(startTime)} (${formatDuration((now - Date.parse(startTime)) / 1000)})${beganWords(startTime, told)}`,
      ),
    );
  if (suspended !== undefined) {
    const { by, job, since, resumeTime } = suspended;
    const ago = `at ${formatTime(since)} (${formatDuration((now - Date.parse(since)) / 1000)} ago)`;
    const operator = `waits for an operator: scontrol resume ${spec.jobId ?? ""}`.trimEnd();
    const resumes =
      resumeTime === undefined ? "" : `, expected at ${formatTime(resumeTime)} (${formatWait(resumeTime, now)})`;
    const words =
      job === undefined
        ? `by ${by ?? "an operator"} ${ago}; it keeps its place, and ${operator}`
        : `for job ${job}, ${ago}; it keeps its memory and its place, and goes on by itself when its cores are free${resumes}${by === undefined ? "" : `; ${by} wants it suspended too: then it ${operator}`}`;
    lines.push(...labelled("suspended", words));
  }
  if (endTime !== undefined) {
    const limit = spec.wallTimeSeconds === undefined ? "" : ` of ${formatDuration(spec.wallTimeSeconds)}`;
    lines.push(
      ...labelled(
        "ends by",
        `${formatTime(endTime)} (${formatWait(endTime, now)}), when its wall time${limit} is over${suspended === undefined ? "" : suspended.job === undefined ? ", if it went on now" : ", if it goes on then"}`,
      ),
    );
  }
  return lines;
}
