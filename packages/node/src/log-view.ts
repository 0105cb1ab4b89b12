import { constants, watch, type FSWatcher } from "node:fs";
import { once } from "node:events";
import { open, type FileHandle } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { annotations, labels, leaseOf, leaseReportOf, taskNumber } from "@berth/kinds";
import type { Container, ContainerStatus, Pod, TaskVariables } from "@berth/kinds";
import { badRequest } from "@berth/machinery";
import type { PodWorker } from "./pod-worker.ts";

export interface LogRequest {
  follow: boolean;
  tailLines?: number;
  limitBytes?: number;
  previous: boolean;
  /** Of a pod that carries several: the output files of this one alone. */
  task?: number;
}

interface LogSource {
  pod: Pod;
  worker: PodWorker | undefined;
  container: Container;
  wanted: LogRequest;
  podsDirectory: string;
  signal: AbortSignal;
}

const chunkBytes = 64 * 1024;
/** How often a file that is not there yet, and the end of the pod, are looked for; changes of files are told by the kernel. */
const lookMs = 200;

/**
 * Sends a container's log: what it wrote to its own output and, of a job, its output files, which the job writes directly. They are
 * read as far as the job's user owns them, so that no link can lead to anybody else's file.
 */
export async function sendLog(response: ServerResponse, source: LogSource): Promise<void> {
  const { pod, container, wanted, podsDirectory } = source;
  const initStatuses = (pod.status?.["initContainerStatuses"] ?? []) as ContainerStatus[];
  const statuses = [...(pod.status?.containerStatuses ?? []), ...initStatuses];
  const status = statuses.find(({ name }) => name === container.name);
  const restarts = currentState(source)?.restartCount ?? status?.restartCount ?? 0;
  const number = wanted.previous ? restarts - 1 : restarts;
  if (number < 0)
    throw badRequest(`previous terminated container "${container.name}" in pod "${pod.metadata.name}" not found`);
  const variable = (name: string): string | undefined => container.env?.find((entry) => entry.name === name)?.value;
  const named = leasedFiles(source) ?? [variable("BERTH_OUTPUT"), variable("BERTH_ERROR")];
  const uid = pod.spec.securityContext?.runAsUser;
  const outputs = [...new Set(named)]
    .filter((path) => path !== undefined && path !== "" && !path.startsWith("/dev/"))
    .map((path) => new FollowedFile(path!, uid));
  // Where tasks have files of their own, what stands in the common one is of no single task.
  const isOfOne = wanted.task !== undefined && outputs.length > 0;
  const common = join(podsDirectory, pod.metadata.uid!, `${container.name}.${number}`, "log");
  const files = isOfOne ? outputs : [new FollowedFile(common, undefined), ...outputs];
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  response.writeHead(200, { "Content-Type": "text/plain" });
  response.flushHeaders();
  try {
    await copy(response, source, files, AbortSignal.any([gone.signal, source.signal]));
  } finally {
    for (const file of files) await file.close();
    response.end();
  }
}

/** Of a pod that carries several tasks: the output files of those that have begun, in their order, or of the one that is asked for. */
function leasedFiles({ pod, worker, container, wanted }: LogSource): (string | undefined)[] | undefined {
  if (leaseOf(pod) === undefined) return undefined;
  const text = pod.metadata.annotations?.[annotations.taskVariables];
  const variables = text === undefined ? {} : (JSON.parse(text) as TaskVariables);
  const { [labels.jobId]: jobId = "0", [labels.task]: first = "0" } = pod.metadata.labels ?? {};
  const report = worker?.facts.lease?.() ?? leaseReportOf(pod.status);
  const begun = (report?.ended ?? []).map(({ task }) => task);
  if (report?.running !== undefined) begun.push(report.running);
  const asked = wanted.task === undefined ? begun : [wanted.task];
  return asked.flatMap((task) =>
    ["BERTH_OUTPUT", "BERTH_ERROR"].map((name) =>
      variables[name] === undefined
        ? container.env?.find((entry) => entry.name === name)?.value
        : variables[name]
            .map((part) => (typeof part === "string" ? part : taskNumber(part, task, Number(jobId) - Number(first))))
            .join(""),
    ),
  );
}

async function copy(
  response: ServerResponse,
  source: LogSource,
  files: FollowedFile[],
  signal: AbortSignal,
): Promise<void> {
  const { wanted } = source;
  let left = wanted.limitBytes ?? Infinity;
  if (wanted.tailLines !== undefined) {
    let lines = wanted.tailLines;
    // The job's files come last and are what the last lines are of.
    for (const file of [...files].reverse()) lines = await file.seekToLastLines(lines);
  }
  for (;;) {
    // Read after the end was seen, so that the last words are not missed.
    const over = !wanted.follow || hasEnded(source);
    for (const file of files) {
      for (let chunk = await file.next(); chunk.length > 0 && left > 0; chunk = await file.next()) {
        const part = chunk.subarray(0, Math.min(chunk.length, left));
        left -= part.length;
        // Rejects when the asker has gone.
        if (!response.write(part)) await once(response, "drain", { signal }).catch(() => {});
        if (signal.aborted) return;
      }
    }
    if (over || left <= 0 || signal.aborted) return;
    await change(files, signal);
  }
}

function currentState(source: LogSource) {
  const facts = source.worker?.facts;
  return [...(facts?.init ?? []), ...(facts?.main ?? [])].find(
    ({ container }) => container.name === source.container.name,
  );
}

function hasEnded(source: LogSource): boolean {
  if (source.worker === undefined || source.worker.finished || source.wanted.previous) return true;
  const state = currentState(source);
  return (
    state === undefined ||
    (state.terminated !== undefined && state.running === undefined && state.waiting === undefined)
  );
}

async function change(files: FollowedFile[], signal: AbortSignal): Promise<void> {
  const timer = new AbortController();
  const waiting = [
    delay(lookMs, undefined, { signal: AbortSignal.any([timer.signal, signal]) }),
    ...files.map((file) => file.changed),
  ];
  await Promise.race(waiting).catch(() => {});
  timer.abort();
}

class FollowedFile {
  readonly #path: string;
  readonly #owner: number | undefined;
  #handle: FileHandle | undefined;
  #watcher: FSWatcher | undefined;
  #offset = 0;
  #change = Promise.withResolvers<void>();

  constructor(path: string, owner: number | undefined) {
    this.#path = path;
    this.#owner = owner;
  }

  get changed(): Promise<void> {
    return this.#change.promise;
  }

  async next(): Promise<Buffer> {
    this.#change = Promise.withResolvers<void>();
    const handle = await this.#open();
    if (handle === undefined) return Buffer.alloc(0);
    const { size } = await handle.stat();
    // Truncated: it begins anew.
    if (size < this.#offset) this.#offset = 0;
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, Math.max(0, size - this.#offset)));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#offset);
    this.#offset += bytesRead;
    return buffer.subarray(0, bytesRead);
  }

  /** Moves to the last `lines` lines; returns how many more than the file has are still wanted. */
  async seekToLastLines(lines: number): Promise<number> {
    const handle = await this.#open();
    if (handle === undefined) return lines;
    const { size } = await handle.stat();
    let at = size;
    let missing = lines;
    while (at > 0) {
      const length = Math.min(chunkBytes, at);
      const buffer = Buffer.allocUnsafe(length);
      await handle.read(buffer, 0, length, at - length);
      for (let index = length - 1; index >= 0; index--) {
        const isEnd = at - length + index === size - 1;
        if (buffer[index] !== 10 || isEnd) continue;
        missing -= 1;
        if (missing <= 0) {
          this.#offset = lines === 0 ? size : at - length + index + 1;
          return 0;
        }
      }
      at -= length;
    }
    this.#offset = lines === 0 ? size : 0;
    return size === 0 ? lines : Math.max(0, missing - 1);
  }

  async close(): Promise<void> {
    this.#watcher?.close();
    await this.#handle?.close();
  }

  async #open(): Promise<FileHandle | undefined> {
    if (this.#handle !== undefined) return this.#handle;
    let handle: FileHandle | undefined;
    try {
      handle = await open(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      const stat = await handle.stat();
      if (!stat.isFile() || (this.#owner !== undefined && stat.uid !== this.#owner && process.getuid?.() === 0)) {
        await handle.close();
        return undefined;
      }
      this.#watcher = watch(this.#path, { persistent: false }, () => this.#change.resolve());
      this.#watcher.on("error", () => {});
      this.#handle = handle;
      return handle;
    } catch {
      await handle?.close().catch(() => {});
      return undefined;
    }
  }
}
