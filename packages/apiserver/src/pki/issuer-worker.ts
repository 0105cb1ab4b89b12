/** The thread that `withIssuer` lends out. */
import { parentPort } from "node:worker_threads";
import { issueCertificate } from "./certificate.ts";
import type { IssueAnswer, IssueRequest } from "./issuer.ts";

async function answerTo({ request, authority }: IssueRequest): Promise<IssueAnswer> {
  try {
    return { issued: await issueCertificate(request, authority) };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

parentPort!.on("message", (asked: IssueRequest) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
  void answerTo(asked).then((answer) => parentPort!.postMessage(answer));
});
