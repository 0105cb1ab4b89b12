/** Answers inquiries, that is, reads of kinds that are kept in memory only. */
import { Informer, isReason } from "@berth/client";
import type { Inquiry, InquirySpec, InquiryStatus } from "@berth/kinds";
import { inquiries } from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";
import type { Context } from "../context.ts";

/** What a status says, with the objects themselves. */
export interface Answer extends Omit<InquiryStatus, "items"> {
  items?: KubernetesObject<object, object>[];
}

/** By the name of the resource. */
export type Answers = Readonly<Record<string, (spec: InquirySpec) => Answer>>;

/** Answers each inquiry in a turn of its own, until the signal aborts. Those that were there before are answered first. */
export function answerInquiries({ client, log, signal }: Context, answers: Answers): void {
  const waiting: Inquiry[] = [];
  let isAnswering = false;
  const next = (): void => {
    const inquiry = waiting.shift();
    isAnswering = inquiry !== undefined;
    if (inquiry === undefined || signal.aborted) return;
    // Whoever asked may have gone meanwhile.
    if (asked.get(undefined, inquiry.metadata.name) === undefined) {
      next();
      return;
    }
    answer(inquiry).catch((error: unknown) => {
      if (signal.aborted || isReason(error, "NotFound", "Conflict")) return;
      log("warn", `an inquiry could not be answered: ${(error as Error).message}`, { about: inquiry.spec.resource });
    });
    setImmediate(next);
  };
  const answer = async ({ metadata: { name, uid }, spec }: Inquiry): Promise<void> => {
    const status = statusOf(spec, answers, (error) =>
      log("error", `answering about ${spec.resource} failed: ${error.message}`, { stack: error.stack }),
    );
    await client.patchStatus(inquiries, name, { metadata: { uid }, status }, { signal });
  };
  const asked = new Informer<Inquiry>({
    client,
    resource: inquiries,
    signal,
    handlers: [
      {
        add: (inquiry) => {
          if (inquiry.status !== undefined) return;
          waiting.push(inquiry);
          if (!isAnswering) {
            isAnswering = true;
            setImmediate(next);
          }
        },
      },
    ],
    onError: (error) => {
      if (!signal.aborted) log("warn", `watching inquiries failed: ${(error as Error).message}`);
    },
  });
}

function statusOf(spec: InquirySpec, answers: Answers, failed: (error: Error) => void): InquiryStatus {
  const answer = answers[spec.resource];
  if (answer === undefined) {
    const message = `these controllers answer nothing about ${spec.resource}: they are older than the API server`;
    return { refusal: { code: 501, reason: "NotImplemented", message } };
  }
  try {
    const { items, ...rest } = answer(spec);
    return items === undefined ? rest : { ...rest, items: items.map((item) => JSON.stringify(item)) };
  } catch (error) {
    failed(error as Error);
    return { refusal: { code: 500, reason: "InternalError", message: (error as Error).message } };
  }
}
