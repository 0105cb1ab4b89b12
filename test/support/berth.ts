/** Drives the real `./berth` commands on a data folder of its own, as a person would. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hangSeconds } from "./waiting.ts";

export const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, or kills it after `timeoutSeconds` (default {@link hangSeconds}). Never throws on a non-zero exit. */
export function run(
  program: string,
  argv: string[],
  options: {
    input?: string;
    cwd?: string;
    env?: Record<string, string>;
    timeoutSeconds?: number;
    /** Runs it as another user; only root may. */
    as?: { uid: number; gid: number };
  } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, argv, {
      cwd: options.cwd ?? repository,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      ...options.as,
    });
    let stdout = "";
    let stderr = "";
    const timer = setTimeout(() => child.kill("SIGKILL"), (options.timeoutSeconds ?? hangSeconds) * 1000);
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

/** A running embedded cluster on a temporary folder; `await using` ends it and removes the folder. */
export interface TestCluster extends AsyncDisposable {
  directory: string;
  data: string;
  /** Runs `berth WORDS...` (or another name such as `sbatch`) against this cluster. */
  berth(argv: string[], options?: Parameters<typeof run>[2]): Promise<Outcome>;
  /** Starts the control plane (again, after a kill) and waits until it is ready. */
  up(): Promise<void>;
}

/**
 * @param options.data the data folder, where it is not to be one of its own; it is left to the caller
 * @param options.program the launcher, asked at each command; that of this repository by default
 */
export async function startCluster(
  options: { flags?: string[]; data?: string; program?: () => string } = {},
): Promise<TestCluster> {
  const directory = mkdtempSync(join(tmpdir(), "berth-test-"));
  const { data = join(directory, "data"), program = () => join(repository, "berth") } = options;
  const env = { BERTH_CONTEXT: data, XDG_STATE_HOME: join(directory, "state") };
  const berth: TestCluster["berth"] = (argv, more = {}) =>
    run(program(), argv, { cwd: directory, ...more, env: { ...env, ...more.env } });
  const up = async (): Promise<void> => {
    const outcome = await berth(["up", "--data", data, "--detach", ...(options.flags ?? [])], {
      timeoutSeconds: hangSeconds,
    });
    if (outcome.code !== 0) throw new Error(`berth up failed with ${outcome.code}: ${outcome.stdout}${outcome.stderr}`);
  };
  await up();
  return {
    directory,
    data,
    berth,
    up,
    async [Symbol.asyncDispose]() {
      await berth(["down", "--data", data]);
      endJobs(directory);
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Jobs outlive their cluster, and what ends them at their wall time lies in its folder: those that a failed test left end before it. */
function endJobs(directory: string): void {
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const texts = ["cmdline", "environ"].map((file) => readFileSync(`/proc/${entry}/${file}`, "utf8"));
      if (texts.some((text) => text.includes(directory))) process.kill(Number(entry), "SIGKILL");
    } catch {
      // It has ended, or is somebody else's.
    }
  }
}

/** Pids of the supervisor of a data folder and of its Node.js children; empty when it is not running. */
export function nodeProcesses(data: string): number[] {
  let supervisor: number;
  try {
    supervisor = (JSON.parse(readFileSync(join(data, "supervisor.json"), "utf8")) as { pid: number }).pid;
  } catch {
    return [];
  }
  const children = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => parentOf(pid) === supervisor && isNode(pid));
  return isNode(supervisor) ? [supervisor, ...children] : children;
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

function isNode(pid: number): boolean {
  try {
    return /(^|\/)node$/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? "");
  } catch {
    return false;
  }
}
