/** Answers Explanations: why a Workload waits, who holds it back, when it is expected to start. */
import type { Blocker, ExpectedStart, ExplanationStatus, InquirySpec } from "@berth/kinds";
import {
  amountOfParts,
  questionsApiVersion,
  type Explanation as ExplanationObject,
  isFinal,
  suspendedSeconds,
  suspendMarkOf,
} from "@berth/kinds";
import { type ClusterState, explain, type Explanation, forecast } from "@berth/scheduling";
import { adviceFor, slurmReason } from "@berth/slurm";
import { timestamp } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { noTask, type WorkloadRecord } from "../model/record.ts";
import { waitMessage, wantsNodes } from "../scheduler/messages.ts";
import type { Scheduling } from "../scheduler/scheduling.ts";
import type { Stores } from "../stores.ts";
import { waitSeconds } from "../workload/rows.ts";
import { phaseOf } from "../workload/status.ts";
import type { Answer } from "./inquiries.ts";
import { priorityOf } from "./priority.ts";
import { type Privacy, privacyFor } from "./privacy.ts";
import type { QueueOrders } from "./queue-order.ts";
import { accountOf, userOf } from "./queue-views.ts";
import { Readings } from "./readings.ts";

/** With so many waiting, the plan is played onwards for one question, within this many milliseconds. */
const mostPlayed = 500;
const playBudgetMs = 50;
/** Each costs a look at every node. */
const explainedAtOnce = 20;

const assumptions: Record<ExpectedStart["basis"], string> = {
  Reserved:
    "it holds a reservation: it starts then at the latest, unless a job that goes before it comes, a running job outlives its wall time, or a node is lost",
  Forecast:
    "nobody comes who goes before it, and all jobs use their whole wall time; they seldom do, so it may be earlier",
  Earliest: "only running jobs and reservations are taken into account: the other jobs before it may make it later",
};

interface ExplanationParts {
  ledger: Ledger;
  stores: Pick<Stores, "memberships" | "sites">;
  scheduling: Pick<Scheduling, "inspected" | "claimProblem">;
  orders: QueueOrders;
  /** Milliseconds since 1970. */
  now: () => number;
}

export class Explanations {
  readonly #parts: ExplanationParts;
  readonly #readings = new Readings<WorkloadRecord>();

  constructor(parts: ExplanationParts) {
    this.#parts = parts;
  }

  /** Rights on the namespace are checked already: whoever asks may read all Workloads in it. */
  answer(spec: InquirySpec): Answer {
    const { stores, ledger } = this.#parts;
    const privacy = privacyFor(spec.asker, stores);
    if (spec.verb === "get") {
      const record = ledger.byName(spec.namespace ?? "", spec.name ?? "");
      return { items: record === undefined ? [] : [this.#explain(record, privacy, true)] };
    }
    return this.#readings.page(
      { ...spec, limit: Math.min(spec.limit, explainedAtOnce) },
      () => this.#select(spec),
      (record) => (record.isGone ? undefined : this.#explain(record, privacy, false)),
    );
  }

  #select({ namespace, fields = [] }: InquirySpec): WorkloadRecord[] {
    const chosen: WorkloadRecord[] = [];
    for (const record of this.#parts.ledger.values()) {
      if (namespace !== undefined && record.namespace !== namespace) continue;
      const isWanted = fields.every(({ field, operator, value }) => {
        const has = field === "metadata.namespace" ? record.namespace : record.name;
        return (has === value) === (operator === "=");
      });
      if (isWanted) chosen.push(record);
    }
    return chosen.sort((a, b) => (a.jobId ?? 0) - (b.jobId ?? 0));
  }

  /** @param isAlone only this one was asked for: its start may be played */
  #explain(record: WorkloadRecord, privacy: Privacy, isAlone: boolean): ExplanationObject {
    const { spec, status, metadata } = record.workload;
    return {
      apiVersion: questionsApiVersion,
      kind: "Explanation",
      metadata: { name: record.name, namespace: record.namespace, creationTimestamp: metadata.creationTimestamp },
      spec: present({
        jobId: record.jobId,
        jobName: spec.jobName,
        user: userOf(record),
        account: accountOf(record),
        queue: status?.queue ?? spec.queue,
        qos: spec.qos,
        wallTimeSeconds: status?.wallTimeSeconds ?? spec.wallTimeSeconds,
      }),
      status: present(this.#statusOf(record, privacy, isAlone)),
    };
  }

  #statusOf(record: WorkloadRecord, privacy: Privacy, isAlone: boolean): ExplanationStatus {
    const asOf = timestamp(this.#parts.now());
    const { status = {}, spec } = record.workload;
    const phase = phaseOf(record);
    const common: ExplanationStatus = {
      phase,
      submitTime: status.submitTime,
      eligibleTime: record.eligibleTime ?? status.eligibleTime,
      array: arrayOf(record),
      asOf,
    };
    if (isFinal(phase)) {
      const { startTime, endTime, nodes, exitCode, signal, message } = status;
      return { ...common, startTime, endTime, nodes, exitCode, signal, message };
    }
    const isHeld = record.book === undefined ? record.live.size === 0 : record.book.pending.size > 0;
    const running =
      record.book === undefined && record.live.size > 0
        ? runningOf(record, this.#parts.scheduling.inspected.core, this.#parts.now())
        : {};
    if (!isHeld || record.jobId === undefined) {
      const condition = status.conditions?.find(({ type, status }) => type === "Admitted" && status === "False");
      return { ...common, ...running, message: condition?.message };
    }
    const { core, resources, now } = this.#parts.scheduling.inspected;
    const explanation = core.has(record.jobId) ? explain(core, record.jobId, now) : undefined;
    const lacking = record.blocked ?? this.#parts.scheduling.claimProblem(record);
    const reason = record.blocked === undefined ? (explanation?.reason ?? record.waiting.reason) : "InvalidTemplate";
    const message =
      lacking ??
      (explanation === undefined
        ? record.waiting.message
        : waitMessage(explanation, resources, now, wantsNodes(record.workload)));
    return {
      ...common,
      reason,
      slurmReason: slurmReason(reason, spec.placement?.nodes?.join(",")),
      message,
      advice: adviceFor(reason).replace("JOB", String(record.jobId)),
      waitedSecondsByReason: waitSeconds(record, asOf),
      position: this.#parts.orders.current().positionOf(record),
      expectedStart: expectedStartOf(record, core, explanation, now, isAlone),
      blockers: explanation && this.#blockers(explanation, privacy),
      priority: priorityOf(core, record.jobId, now),
      needs: explanation && { ...needsOf(explanation, resources), wholeNodes: spec.placement?.exclusive },
      limits: explanation && limitsOf(explanation, resources),
      ...(explanation && roomOf(explanation)),
    };
  }

  #blockers({ waitsFor, behind, dependsOn }: Explanation, privacy: Privacy): Blocker[] | undefined {
    const named = (job: number): Pick<Blocker, "user" | "jobName"> => {
      const record = this.#parts.ledger.byJobId(job)?.record;
      if (record === undefined || privacy.ofJobs(userOf(record), accountOf(record)) === "Counted") return {};
      return present({ user: userOf(record), jobName: record.workload.spec.jobName });
    };
    const blockers: Blocker[] = (dependsOn ?? []).map((job) =>
      Object.assign({ job, how: "Dependency" as const }, named(job)),
    );
    if (waitsFor !== undefined) {
      const { job, task, endTime, node } = waitsFor;
      // One that waits as well is known by its reservation: then to be over by this time.
      const how = job === behind ? "Before" : "Ends";
      blockers.push(present({ job, task, how, until: timestamp(endTime * 1000), node, ...named(job) }));
    }
    if (behind !== undefined && behind !== waitsFor?.job)
      blockers.push({ job: behind, how: "Before", ...named(behind) });
    return blockers.length === 0 ? undefined : blockers;
  }
}

/** Without what is undefined. */
function present<T extends object>(object: T): T {
  for (const key of Object.keys(object) as (keyof T)[]) if (object[key] === undefined) delete object[key];
  return object;
}

function arrayOf({ book, workload }: WorkloadRecord): ExplanationStatus["array"] {
  if (book === undefined) return undefined;
  const running = book.creating.size + book.running.size;
  const pending = book.pending.size + book.leased.size;
  const ended = book.indices.size - pending - running;
  return present({ pending, running, ended, maxRunning: workload.spec.array?.maxRunning });
}

function runningOf(
  record: WorkloadRecord,
  core: ClusterState,
  nowMs: number,
): Pick<ExplanationStatus, "startTime" | "endTime" | "nodes" | "suspended" | "firstExpectedStart"> {
  const attempt = record.live.get(noTask)!;
  const { startTime, wallTimeSeconds, suspension } = attempt;
  const stood = suspendedSeconds(suspension, nowMs);
  const planned = record.jobId === undefined ? undefined : core.suspension(record.jobId);
  const waits = planned === undefined ? 0 : Math.max(0, planned.resume - Math.floor(nowMs / 1000));
  const end =
    startTime === undefined ? undefined : timestamp(Date.parse(startTime) + (wallTimeSeconds + stood + waits) * 1000);
  const pod = attempt.pods[0]?.pod;
  const by = pod && suspendMarkOf(pod).by;
  const { since = "", seconds = 0 } = suspension ?? {};
  const job = planned?.by ?? attempt.standsFor;
  const resumeTime = planned && timestamp(planned.resume * 1000);
  const suspended = suspension?.isSuspended === true ? { by, job, since, seconds, resumeTime } : undefined;
  return {
    startTime,
    endTime: end,
    suspended: suspended && present(suspended),
    nodes: record.nodes,
    firstExpectedStart: record.waiting.firstEstimatedStart,
  };
}

function expectedStartOf(
  record: WorkloadRecord,
  core: ClusterState,
  explanation: Explanation | undefined,
  now: number,
  mayPlay: boolean,
): ExpectedStart | undefined {
  const id = record.jobId!;
  const asOf = timestamp(now * 1000);
  const { firstEstimatedStart: first } = record.waiting;
  const expected = (time: number, basis: ExpectedStart["basis"], nodes?: string[]): ExpectedStart =>
    present({ time: timestamp(time * 1000), basis, asOf, assumes: assumptions[basis], nodes, first });
  if (!core.has(id)) return undefined;
  const reservation = core.reservation(id);
  if (reservation !== undefined)
    return expected(reservation.startTime, "Reserved", [...new Set(reservation.nodes.flat())]);
  if (mayPlay && core.counts().pendingJobs <= mostPlayed) {
    const end = performance.now() + playBudgetMs;
    const played = forecast(core, now, { maxStarts: mostPlayed, isOver: () => performance.now() > end });
    const start = played.starts.find(({ job }) => job === id);
    if (start !== undefined) return expected(start.time, "Forecast");
    if (played.complete) return undefined;
  }
  const { estimatedStart } = record.waiting;
  if (estimatedStart !== undefined) return expected(Date.parse(estimatedStart) / 1000, "Forecast");
  if (explanation?.start === undefined) return undefined;
  return expected(explanation.start.time, "Earliest");
}

function needsOf(
  { pods, nodes, perPod }: Explanation,
  resources: readonly string[],
): NonNullable<ExplanationStatus["needs"]> {
  return {
    pods: pods.needed,
    podsFittingNow: pods.fitting,
    nodesUsable: nodes.usable,
    nodesFittingNow: nodes.fitting,
    perPod: resources.flatMap((resource, index) => {
      const asked = perPod.request[index] ?? 0;
      if (asked === 0 || resource === "pods") return [];
      const [most, largest] = [perPod.mostFree[index] ?? 0, perPod.largest[index] ?? 0];
      const of = (parts: number): number => amountOfParts(resource, parts);
      return [{ resource, asked: of(asked), mostFree: of(most), largest: of(largest) }];
    }),
  };
}

/** What advance reservations and preemption have to do with it. */
function roomOf({
  window,
  preempts,
  preempted,
}: Explanation): Pick<ExplanationStatus, "window" | "preempts" | "preempted"> {
  const time = (seconds: number): string => timestamp(seconds * 1000);
  return {
    window: window && {
      reservation: window.reservation,
      startTime: time(window.startTime),
      endTime: time(window.endTime),
    },
    preempts,
    preempted: preempted && { by: preempted.by, time: time(preempted.time) },
  };
}

function limitsOf({ limit, limitHit, reason }: Explanation, resources: readonly string[]): ExplanationStatus["limits"] {
  if (limitHit !== undefined) {
    const { of, what, resource, limit: most, inUse, asked } = limitHit;
    const holder = `${of.kind} ${of.name}${of.user === undefined ? "" : ` for user ${of.user}`}`;
    const name = resource === undefined ? undefined : resources[resource];
    return [present({ name: what, of: holder, resource: name, limit: most, used: inUse, asked })];
  }
  return limit === undefined ? undefined : [{ name: reason, limit }];
}
