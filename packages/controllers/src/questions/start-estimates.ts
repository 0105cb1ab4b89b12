/** Answers StartEstimates: what would become of a job that were submitted now. Nothing of it is kept. */
import { Informer, isReason } from "@berth/client";
import type { StartEstimate, StartEstimateStatus, Workload } from "@berth/kinds";
import { apiVersion, startEstimates } from "@berth/kinds";
import { type Context, timestamp } from "../context.ts";
import { recordOf } from "../model/record.ts";
import type { Scheduling } from "../scheduler/scheduling.ts";
import type { JobIds } from "../workload/job-ids.ts";
import type { Admissions } from "../workload/admissions.ts";

/** Behind all jobs there are, as a new one is. */
const hypotheticalJobId = Number.MAX_SAFE_INTEGER;
/** Answers take not more than this part of one core, so that decisions are not kept waiting. */
const costFactor = 4;

export interface StartEstimatesParts {
  context: Context;
  jobIds: Pick<JobIds, "peek">;
  admissions: Pick<Admissions, "judge">;
  scheduling: Pick<Scheduling, "foresee">;
}

/** Answers questions, one after the other, until the signal aborts. */
export function answerStartEstimates(parts: StartEstimatesParts): void {
  const { context } = parts;
  const { client, log, signal } = context;
  const waiting: StartEstimate[] = [];
  let isAnswering = false;
  const answerAll = async (): Promise<void> => {
    isAnswering = true;
    for (let question = waiting.shift(); question !== undefined; question = waiting.shift()) {
      const { namespace, name, uid } = question.metadata;
      // Whoever asked may have gone meanwhile.
      if (signal.aborted) break;
      if (questions.get(namespace, name)?.metadata.uid !== uid) continue;
      try {
        const { status, costMs } = await answer(parts, question);
        await client.patchStatus(startEstimates, name, { metadata: { uid }, status }, { namespace, signal });
        if (costMs > 1) await new Promise((resolve) => setTimeout(resolve, costMs * costFactor));
      } catch (error) {
        if (signal.aborted || isReason(error, "NotFound", "Conflict")) continue;
        log("warn", `a start estimate could not be answered: ${(error as Error).message}`, { question: name });
      }
    }
    isAnswering = false;
  };
  const questions = new Informer<StartEstimate>({
    client,
    resource: startEstimates,
    signal,
    handlers: [
      {
        add: (question) => {
          if (question.status !== undefined) return;
          waiting.push(question);
          if (!isAnswering) void answerAll();
        },
      },
    ],
    onError: (error) => {
      if (!signal.aborted) log("warn", `watching start estimates failed: ${(error as Error).message}`);
    },
  });
}

/** The status of one question, and what it took of the core that decides. */
async function answer(
  { context, jobIds, admissions, scheduling }: StartEstimatesParts,
  { metadata, spec }: StartEstimate,
): Promise<{ status: StartEstimateStatus; costMs: number }> {
  const now = timestamp(context.now());
  const asked: Workload = { apiVersion, kind: "Workload", metadata, spec };
  const record = recordOf(asked, now);
  const { verdict, identity } = await admissions.judge(record);
  if ("reason" in verdict) {
    const { reason, message } = verdict;
    return { status: { refusal: { reason, message }, asOf: now }, costMs: 0 };
  }
  const jobId = await jobIds.peek();
  const { name: user, uid, gid, groups } = identity!;
  const status = { ...verdict, jobId: hypotheticalJobId, identity: { user, uid, gid, groups }, submitTime: now };
  const job = { ...recordOf({ ...asked, status }, now), history: record.history };
  const began = performance.now();
  const { asOf, start, basis, explanation, message, cpus } = scheduling.foresee(job);
  return {
    status: {
      jobId,
      queue: start?.queue ?? verdict.queue,
      account: verdict.account,
      cpus,
      asOf: timestamp(asOf * 1000),
      ...(start === undefined
        ? {}
        : { startTime: timestamp(start.time * 1000), nodes: [...new Set(start.nodes.flat())] }),
      ...(basis === undefined ? {} : { basis }),
      ...(explanation === undefined ? {} : { reason: explanation.reason }),
      ...(message === undefined ? {} : { message }),
    },
    costMs: performance.now() - began,
  };
}
