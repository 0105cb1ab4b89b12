/** The output of jobs: as files on this machine, or through the API from the node that runs them. */
import { isReason, resources } from "@berth/client";
import { labels, leaseOf, type Pod, type Workload } from "@berth/kinds";
import { jobFiles } from "@berth/slurm";
import { accessSync, closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { Cluster } from "./connect.ts";
import type { FoundJob } from "./jobs.ts";

/** File systems of clusters tell nobody when a file grows, so that it is looked at. */
const lookAgainMilliseconds = 100;
const chunkBytes = 64 * 1024;

/** The files into which a job, or an element of an array, writes; those that are no files of their own are left out. */
export function outputFilesOf(workload: Workload, task: number | undefined): string[] {
  const { standardOutput, standardError } = jobFiles(workload, task, workload.status?.nodes?.[0]);
  return [...new Set([standardOutput, standardError])].filter(
    (path): path is string => path !== undefined && !path.startsWith("/dev/"),
  );
}

/** A file that is read as it grows; it need not exist yet. */
export class GrowingFile {
  readonly path: string;
  #file: number | undefined;
  #offset: number;
  readonly #buffer = Buffer.alloc(chunkBytes);

  /** @param offset what stands before it is not read */
  constructor(path: string, offset = 0) {
    this.path = path;
    this.#offset = offset;
  }

  /** Hands on what was added since the last call; a file that became shorter is read from its start. */
  read(take: (bytes: Buffer) => void): void {
    try {
      this.#file ??= openSync(this.path, "r");
    } catch {
      return;
    }
    if (fstatSync(this.#file).size < this.#offset) this.#offset = 0;
    for (;;) {
      const bytes = readSync(this.#file, this.#buffer, 0, chunkBytes, this.#offset);
      if (bytes === 0) return;
      this.#offset += bytes;
      take(Buffer.from(this.#buffer.subarray(0, bytes)));
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** Copies files to standard output as they grow, until `ended` resolves and all that was written until then is copied. */
export async function followFiles(paths: readonly string[], ended: Promise<unknown>): Promise<void> {
  const files = paths.map((path) => new GrowingFile(path));
  const copy = (): void => files.forEach((file) => file.read((bytes) => process.stdout.write(bytes)));
  const over = new AbortController();
  const end = ended.finally(() => over.abort());
  try {
    while (!over.signal.aborted) {
      copy();
      await pause(lookAgainMilliseconds, undefined, { signal: over.signal }).catch(() => undefined);
    }
    copy();
    await end;
  } finally {
    for (const file of files) file.close();
  }
}

/** Whether the user may read the file; one that is on another machine, or another's, is none. */
export function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Copies the log of the job's first pod, or of the pod that carries the element of the array (among others), to standard output; false
 * when there is no such pod (any more).
 */
export async function copyPodLog({ client }: Cluster, { workload, task }: FoundJob, follow: boolean): Promise<boolean> {
  const { namespace = "", name } = workload.metadata;
  const { items } = await client.listAll<Pod>(resources.pods, {
    namespace,
    labelSelector: `${labels.workload}=${name}`,
  });
  const carries = (pod: Pod): boolean =>
    task === undefined || (leaseOf(pod)?.tasks.includes(task) ?? pod.metadata.labels?.[labels.task] === String(task));
  const attemptNumber = (pod: Pod): number => Number(pod.metadata.labels?.[labels.attempt] ?? 0);
  const pod = items
    .filter(
      (each) =>
        carries(each) &&
        each.metadata.labels?.[labels.podSet] === "main" &&
        (each.metadata.labels[labels.podIndex] ?? "0") === "0",
    )
    .sort((a, b) => attemptNumber(b) - attemptNumber(a))[0];
  if (pod === undefined) return false;
  try {
    const log = await client.logs(namespace, pod.metadata.name, {
      follow,
      ...(task !== undefined && leaseOf(pod) !== undefined && { task }),
    });
    for await (const bytes of log) process.stdout.write(bytes as Buffer);
    return true;
  } catch (error) {
    if (isReason(error, "NotFound")) return false;
    throw error;
  }
}
