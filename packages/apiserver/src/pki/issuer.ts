import { Worker } from "node:worker_threads";
import type { CertificateRequest, KeyAndCertificate } from "./certificate.ts";

/** What the thread is told; without `authority` the certificate signs itself. */
export interface IssueRequest {
  request: CertificateRequest;
  authority?: KeyAndCertificate;
}

export type IssueAnswer = { issued: KeyAndCertificate } | { failed: string };

/**
 * Issues certificates, one at a time, in a thread that begins with the first of them and ends with this object: the library takes 25 MiB
 * and is needed once in a cluster's life.
 */
export class CertificateIssuer implements AsyncDisposable {
  #thread: Worker | undefined;

  async issue(request: CertificateRequest, authority?: KeyAndCertificate): Promise<KeyAndCertificate> {
    const thread = (this.#thread ??= new Worker(new URL("./issuer-worker.ts", import.meta.url)));
    const answer = await new Promise<IssueAnswer>((resolve, reject) => {
      thread.once("message", resolve);
      thread.once("error", reject);
      const asked: IssueRequest = { request, authority };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
      thread.postMessage(asked);
    });
    if ("failed" in answer) throw new Error(answer.failed);
    return answer.issued;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread?.terminate();
  }
}
