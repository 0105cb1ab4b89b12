import { Worker } from "node:worker_threads";
import type { CertificateRequest, KeyAndCertificate } from "./certificate.ts";

/** What the thread is told; without `authority` the certificate signs itself. */
export interface IssueRequest {
  request: CertificateRequest;
  authority?: KeyAndCertificate;
}

export type IssueAnswer = { issued: KeyAndCertificate } | { failed: string };

export type Issue = (request: CertificateRequest, authority?: KeyAndCertificate) => Promise<KeyAndCertificate>;

/**
 * Lends out what issues certificates, one at a time: a thread that begins with the first of them and ends with `use`, for the library takes
 * 25 MiB and is needed once in a cluster's life.
 */
export async function withIssuer<T>(use: (issue: Issue) => Promise<T>): Promise<T> {
  let thread: Worker | undefined;
  try {
    return await use(async (request, authority) => {
      thread ??= new Worker(new URL("./issuer-worker.ts", import.meta.url));
      const answer = await ask(thread, { request, authority });
      if ("failed" in answer) throw new Error(answer.failed);
      return answer.issued;
    });
  } finally {
    await thread?.terminate();
  }
}

function ask(thread: Worker, asked: IssueRequest): Promise<IssueAnswer> {
  return new Promise((resolve, reject) => {
    thread.once("message", resolve);
    thread.once("error", reject);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
    thread.postMessage(asked);
  });
}
