import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { quoteForShell, type Container, type Pod } from "@berth/kinds";
import { ApiError } from "@berth/machinery";
import type { RawData, WebSocket } from "ws";
import { hostTools } from "./host.ts";
import type { PodWorker } from "./pod-worker.ts";
import { identityWords, type Identity } from "./task.ts";
import type { Tasks } from "./tasks.ts";

interface ExecRequest {
  pod: Pod;
  worker: PodWorker | undefined;
  container: Container;
  query: URLSearchParams;
  tasks: Tasks;
}

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const highWaterBytes = 1024 * 1024;

/** Runs a command within a running container, in its namespaces and as its user, and speaks the channel protocol. */
export function serveExec(socket: WebSocket, request: ExecRequest): void {
  const send = (number: number, bytes: Buffer): void => socket.send(Buffer.concat([Buffer.from([number]), bytes]));
  const finish = (status: unknown): void => {
    send(channel.error, Buffer.from(JSON.stringify(status)));
    socket.close(1000);
  };
  let words: string[];
  let environment: Record<string, string>;
  try {
    ({ words, environment } = entering(request));
  } catch (error) {
    finish((error instanceof ApiError ? error : new ApiError(500, "InternalError", (error as Error).message)).status);
    return;
  }
  const [program, ...rest] = words;
  const child = spawn(program!, rest, { cwd: "/", env: environment, stdio: "pipe", detached: true });
  const forward = (number: number, stream: NodeJS.ReadableStream): void => {
    stream.on("data", (bytes: Buffer) => {
      send(number, bytes);
      if (socket.bufferedAmount < highWaterBytes) return;
      stream.pause();
      const timer = setInterval(() => {
        if (socket.bufferedAmount > highWaterBytes / 2 && socket.readyState === socket.OPEN) return;
        clearInterval(timer);
        stream.resume();
      }, 10);
    });
  };
  forward(channel.stdout, child.stdout);
  forward(channel.stderr, child.stderr);
  child.stdin.on("error", () => {});
  if (request.query.get("stdin") !== "true" && request.query.get("stdin") !== "1") child.stdin.end();
  socket.on("message", (data: RawData) => {
    const frame = data as Buffer;
    // Sizes of a terminal cannot be passed on: util-linux' `script` has no way to be told.
    if (frame[0] === channel.stdin) child.stdin.write(frame.subarray(1));
    else if (frame[0] === channel.close && frame[1] === channel.stdin) child.stdin.end();
  });
  const gone = (): void => {
    try {
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  };
  socket.on("close", gone);
  socket.on("error", gone);
  child.on("error", (error) => finish(new ApiError(500, "InternalError", `exec: ${error.message}`).status));
  child.on("close", (code, signal) => {
    const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
    if (exitCode === 0) finish({ metadata: {}, status: "Success" });
    else {
      finish({
        metadata: {},
        status: "Failure",
        reason: "NonZeroExitCode",
        message: `command terminated with non-zero exit code: exit status ${exitCode}`,
        details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
      });
    }
  });
}

function entering({ pod, worker, container, query, tasks }: ExecRequest): {
  words: string[];
  environment: Record<string, string>;
} {
  const command = query.getAll("command");
  if (command.length === 0) throw new ApiError(400, "BadRequest", "exec: there is no command");
  const state = worker?.facts.main.find((one) => one.container.name === container.name);
  const run = `${pod.metadata.uid}/${container.name}.${state?.restartCount ?? 0}`;
  const launcher = tasks.state(run)?.launcher?.pid;
  if (worker === undefined || state?.running === undefined || launcher === undefined) {
    throw new ApiError(400, "BadRequest", `container "${container.name}" of pod "${pod.metadata.name}" is not running`);
  }
  const tools = hostTools();
  const depth = tasks.record(run)?.depth ?? 1;
  const first = firstProcess(launcher, depth);
  if (first === undefined) throw new ApiError(500, "InternalError", "exec: the job's first process cannot be found");
  const environment = environmentOf(first);
  // Of a pid namespace the first process began the script, and nothing before it.
  const script = depth === 1 ? childrenByParent().get(first) : 2;
  if (script !== undefined) environment["BERTH_SCRIPT_PID"] = String(script);
  if (depth === 1) environment["BERTH_SHARED_PROCESSES"] = "1";
  // Where the first process holds the folder of the job's steps open, as it tells the script itself.
  environment["BERTH_STEPS"] = `/proc/${depth === 1 ? first : 1}/fd/9`;
  const terminal = query.get("tty") === "true" || query.get("tty") === "1";
  // `script` starts its command by this shell, and a service account's may be one that refuses.
  if (terminal) environment["SHELL"] = tools.shell;
  const identity = (process.getuid?.() === 0 ? worker.identity : undefined) as Identity | undefined;
  const inside = [
    tools.shell,
    "-c",
    `cd "$1" 2>/dev/null; shift; exec "$@"`,
    "berth-exec",
    environment["BERTH_CHDIR"] ?? container.workingDir ?? "/",
    ...(terminal ? inTerminal(command) : command),
  ];
  const entered = identity === undefined ? inside : [...identityWords(identity, tools), ...inside];
  if (depth === 1) return { words: entered, environment };
  if (tools.nsenter === undefined)
    throw new ApiError(501, "NotImplemented", "exec: nsenter of util-linux is not installed");
  const enter = (pid: number, ...namespaces: string[]): string[] => [
    tools.nsenter!,
    "--target",
    String(pid),
    ...namespaces,
    "--",
  ];
  if (process.getuid?.() === 0) {
    return { words: [...enter(first, "--mount", "--uts", "--ipc", "--pid"), ...entered], environment };
  }
  // The launcher's user namespace owns host name and IPC, the task's own one mounts and processes: one after the other.
  const outer = enter(launcher, "--user", "--preserve-credentials", "--mount", "--uts", "--ipc");
  const inner = enter(first, "--user", "--preserve-credentials", "--mount", "--pid");
  return { words: [...outer, ...inner, ...entered], environment };
}

function inTerminal(command: string[]): string[] {
  const { script } = hostTools();
  if (script === undefined) {
    throw new ApiError(
      501,
      "NotImplemented",
      "exec -t: a terminal needs `script` of util-linux, which is not installed; without -t it works",
    );
  }
  return [script, "--quiet", "--return", "--flush", "--command", command.map(quoteForShell).join(" "), "/dev/null"];
}

/** The process `depth` generations below a launcher: with namespaces process 1 of the job's own. */
function firstProcess(launcher: number, depth: number): number | undefined {
  const children = childrenByParent();
  let found: number | undefined = launcher;
  for (let generation = 0; generation < depth && found !== undefined; generation++) found = children.get(found);
  return found;
}

/** One child of each process: of what stands between launcher and script it is the only one. */
function childrenByParent(): Map<number, number> {
  const children = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      children.set(Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]), Number(name));
    } catch {
      // It ended just now.
    }
  }
  return children;
}

function environmentOf(pid: number): Record<string, string> {
  const pairs = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  const environment = Object.fromEntries(
    pairs
      .filter((pair) => pair.includes("="))
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  for (const own of ["BERTH_LAUNCH", "BERTH_INIT", "OLDPWD"]) delete environment[own];
  return environment;
}
