import { chownSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  annotations,
  attemptOf,
  labels,
  parseStepRecord,
  stepProgram,
  submissionMountPath,
  type Container,
  type Pod,
  type StepReport,
} from "@berth/kinds";
import { uptimeSeconds } from "./host.ts";
import type { BindMount } from "./mounts.ts";
import type { Identity } from "./task.ts";

/** Where the step program is seen by jobs. */
const programMountPath = "/berth-bin";
/** More steps than these are not told of one pod: the first, for a row must not grow without end. */
const mostSteps = 1000;

/** The steps that jobs of this machine start: the program, and the folders in which a job's nodes meet. */
export class Steps {
  readonly #directory: string;
  readonly #programs: string;

  /** `programs` is a folder that jobs can reach; `directory` has the agent's own `pods` folder. */
  constructor(directory: string, programs: string) {
    this.#directory = join(directory, "steps");
    this.#programs = programs;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    mkdirSync(programs, { recursive: true, mode: 0o755 });
    // Shells read their program as they go: what runs keeps the file that it began with.
    const path = join(programs, "srun");
    writeFileSync(`${path}.new`, stepProgram, { mode: 0o755 });
    renameSync(`${path}.new`, path);
  }

  /** What a container needs so that steps can be started in it; undefined where it is no part of a submission. */
  prepare(
    pod: Pod,
    container: Container,
    run: string,
    owner: Identity | undefined,
  ): { folder: string; mount: BindMount } | undefined {
    if (!hasSteps(pod, container)) return undefined;
    const folder = this.#folder(pod, run);
    const path = join(this.#directory, "..", "pods", folder);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
    return { folder, mount: { source: this.#programs, target: programMountPath, readOnly: true } };
  }

  /** The steps that were begun by a run, in their order; of an array's tasks in one pod those of all. */
  reports(pod: Pod, run: string): StepReport[] {
    const path = join(this.#directory, "..", "pods", this.#folder(pod, run));
    const now = Date.now() - uptimeSeconds() * 1000;
    const reports: StepReport[] = [];
    for (const name of namesIn(path)) {
      if (!name.startsWith("record.") || reports.length >= mostSteps) continue;
      const report = parseStepRecord(readFileSync(join(path, name), "utf8"), (uptime) =>
        Math.round(now + uptime * 1000),
      );
      if (report !== undefined) reports.push(report);
    }
    return reports.sort((a, b) => a.startedAt - b.startedAt || a.id - b.id);
  }

  /** The folder that the pods of a gang share goes with the pod that its script ran in. */
  forget(pod: Pod): void {
    const attempt = attemptOf(pod);
    if (!isGang(pod) || attempt?.podSet !== "main" || attempt.index !== 0) return;
    rmSync(join(this.#directory, gangKey(pod)), { recursive: true, force: true });
  }

  /** Folders of gangs that are gone since an agent before this one go too. */
  keepOnly(pods: Iterable<Pod>): void {
    const keys = new Set([...pods].filter(isGang).map(gangKey));
    for (const name of namesIn(this.#directory)) {
      if (!keys.has(name)) rmSync(join(this.#directory, name), { recursive: true, force: true });
    }
  }

  /** Relative to the folder of pods. */
  #folder(pod: Pod, run: string): string {
    return isGang(pod) ? `../steps/${gangKey(pod)}` : `${run}/steps`;
  }
}

/** Whether the pod is one of several of an attempt: the script of a submission in the first, the others serve it. */
function isGang(pod: Pod): boolean {
  return Number(pod.metadata.annotations?.[annotations.gangSize] ?? 1) > 1;
}

function hasSteps(pod: Pod, container: Container): boolean {
  if (attemptOf(pod) === undefined) return false;
  const mounts = container.volumeMounts ?? [];
  return mounts.some(({ mountPath }) => mountPath === submissionMountPath) || (isGang(pod) && mounts.length === 0);
}

/** One for all pods of an attempt. */
function gangKey(pod: Pod): string {
  const owner = pod.metadata.ownerReferences?.[0]?.uid ?? pod.metadata.labels?.[labels.jobId] ?? "";
  const { task, attempt } = attemptOf(pod) ?? {};
  return `${owner}.${task ?? ""}.${attempt ?? ""}`.replaceAll("/", "_");
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
