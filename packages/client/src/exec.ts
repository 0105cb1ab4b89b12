import type { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { WebSocket, type RawData } from "ws";
import { apiErrorFromStatus, type Status } from "@berth/machinery";
import { errorFromResponse } from "./errors.ts";
import { ConnectionError, queryString, type Transport } from "./transport.ts";

export interface ExecuteOptions {
  command: string[];
  container?: string;
  stdin?: Readable;
  stdout?: Writable;
  stderr?: Writable;
  /** A terminal: stderr then comes by stdout. */
  tty?: boolean;
  /** Sizes of the terminal, the first at once. */
  resize?: AsyncIterable<{ columns: number; rows: number }>;
  signal?: AbortSignal;
}

export interface ExecuteResult {
  exitCode: number;
}

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const highWaterBytes = 1024 * 1024;

/**
 * Runs a command in a container by the WebSocket protocol v5.channel.k8s.io (v4 without the half close of stdin).
 * Throws ApiError where the server or the node refused, ConnectionError where the stream broke before an exit code came.
 */
export async function execute(transport: Transport, path: string, options: ExecuteOptions): Promise<ExecuteResult> {
  const parameters = new URLSearchParams();
  for (const word of options.command) parameters.append("command", word);
  const fixed = queryString({
    container: options.container,
    stdin: options.stdin === undefined ? undefined : true,
    // A kubelet wants one of the three, also from who only asks for the exit code.
    stdout: options.stdout === undefined && (options.stdin ?? options.stderr) !== undefined ? undefined : true,
    stderr: options.stderr === undefined || options.tty === true ? undefined : true,
    tty: options.tty === true ? true : undefined,
  });
  const server = transport.server;
  const prefix = server.pathname.replace(/\/+$/, "");
  const scheme = server.protocol === "https:" ? "wss:" : "ws:";
  const separator = fixed === "" ? "?" : "&";
  const headers = await transport.headers();
  const socket = new WebSocket(
    `${scheme}//${server.host}${prefix}${path}${fixed}${separator}${parameters.toString()}`,
    ["v5.channel.k8s.io", "v4.channel.k8s.io"],
    { ...transport.tls, headers, perMessageDeflate: false },
  );
  options.signal?.throwIfAborted();
  const onAbort = (): void => socket.terminate();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await run(socket, options);
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    socket.terminate();
  }
}

function run(socket: WebSocket, options: ExecuteOptions): Promise<ExecuteResult> {
  return new Promise((resolve, reject) => {
    /** A kubelet opens each channel with an empty frame, and may split what it writes. */
    let told = "";
    const fail = (error: unknown): void => {
      reject(options.signal?.aborted === true ? (options.signal.reason as Error) : (error as Error));
    };
    socket.on("unexpected-response", (_request, response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        fail(errorFromResponse(response.statusCode ?? 0, text, "exec"));
      });
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      fail(new ConnectionError(`exec: ${error.message}`, error.code ?? "EUNKNOWN", error));
    });
    socket.on("open", () => {
      if (options.stdin !== undefined) sendInput(socket, options.stdin).catch(() => socket.terminate());
      if (options.resize !== undefined) sendSizes(socket, options.resize).catch(() => {});
    });
    socket.on("message", (data: RawData) => {
      const frame = data as Buffer;
      const body = frame.subarray(1);
      if (frame[0] === channel.error) told += body.toString("utf8");
      else if (frame[0] === channel.stdout) writeOrPause(socket, options.stdout, body);
      else if (frame[0] === channel.stderr) writeOrPause(socket, options.stderr, body);
    });
    socket.on("close", () => {
      if (told === "") {
        fail(new ConnectionError("exec: the connection ended before the command told its exit status", "ECONNRESET"));
        return;
      }
      try {
        resolve({ exitCode: exitCodeOf(JSON.parse(told) as Status) });
      } catch (error) {
        fail(error);
      }
    });
  });
}

/** Exit code in a Status of the error channel; throws where the command never ran. */
function exitCodeOf(status: Status): number {
  if (status.status === "Success") return 0;
  const code = status.details?.causes?.find((cause) => cause.reason === "ExitCode")?.message;
  if (status.reason === "NonZeroExitCode" && code !== undefined) return Number(code);
  throw apiErrorFromStatus({
    ...status,
    code: status.code ?? 500,
    reason: status.reason ?? "InternalError",
    message: status.message ?? "exec: the node gave no reason",
  });
}

function writeOrPause(socket: WebSocket, target: Writable | undefined, bytes: Buffer): void {
  if (target === undefined || bytes.length === 0 || target.destroyed) return;
  if (target.write(bytes)) return;
  socket.pause();
  target.once("drain", () => socket.resume());
}

async function sendInput(socket: WebSocket, input: Readable): Promise<void> {
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  input.on("data", (chunk: Buffer | string) => {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    const frame = Buffer.concat([Buffer.from([channel.stdin]), bytes]);
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(frame, () => {
        if (input.isPaused() && socket.bufferedAmount < highWaterBytes) input.resume();
      });
    }
    if (socket.bufferedAmount > highWaterBytes) input.pause();
  });
  await Promise.race([finished(input, { writable: false }).catch(() => {}), ended]);
  input.pause();
  if (socket.readyState === WebSocket.OPEN && socket.protocol === "v5.channel.k8s.io") {
    socket.send(Buffer.from([channel.close, channel.stdin]));
  }
}

async function sendSizes(socket: WebSocket, sizes: AsyncIterable<{ columns: number; rows: number }>): Promise<void> {
  for await (const { columns, rows } of sizes) {
    if (socket.readyState !== WebSocket.OPEN) return;
    const body = Buffer.from(JSON.stringify({ Width: columns, Height: rows }));
    socket.send(Buffer.concat([Buffer.from([channel.resize]), body]));
  }
}
