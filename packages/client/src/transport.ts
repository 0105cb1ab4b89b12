import type * as http from "node:http";
import type * as https from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { errorFromResponse } from "./errors.ts";
import type { TokenSource } from "./tokens.ts";

export interface ConnectionOptions {
  /** `https://host:port`, with a path prefix where a proxy needs one. */
  server: string;
  /** A Unix socket that leads to `server` (`http://…`), for parts on the API server's own machine. */
  socketPath?: string;
  /** PEM; absent: the system's authorities. */
  ca?: string | Buffer;
  token?: string;
  /** Of a token that changes; goes before `token`. */
  tokenSource?: TokenSource;
  /** PEM of a client certificate and its key. */
  cert?: string | Buffer;
  key?: string | Buffer;
  insecureSkipTlsVerify?: boolean;
  /** Name that the server's certificate must carry, where it is not the host of `server`. */
  serverName?: string;
  userAgent?: string;
  /** Requests at once, watches and streams not counted; more wait. Default 32. */
  maxConnections?: number;
  /** A refused or lost connection is tried again for this long before a request fails. Default 0: not at all. */
  retryConnectionSeconds?: number;
  /** Answers 429 and 503 are tried again this many times, after what `Retry-After` says. Default 6. */
  maxRetries?: number;
  /** Requests begun in a second at most, with twice as many at once; more wait. Absent: as many as are made. */
  maxRequestsPerSecond?: number;
  /** Told of each answer: its status code, and how long it took. A connection that failed has code 0. */
  onAnswer?(method: string, code: number, milliseconds: number): void;
}

export interface RequestOptions {
  method: string;
  /** Path below the server, with leading slash. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  contentType?: string;
  accept?: string;
  signal?: AbortSignal;
  /** Not counted against `maxConnections`: watches, logs. */
  stream?: boolean;
}

export interface Transport {
  readonly server: URL;
  readonly tls: https.AgentOptions;
  /** Of a request, with the credentials of this moment. */
  headers(): Promise<Record<string, string>>;
  /** Answers with a parsed JSON body; anything but 2xx is thrown as an ApiError. */
  json<T>(options: RequestOptions): Promise<T>;
  /** The open response of a 2xx answer; the caller reads or destroys it. */
  stream(options: RequestOptions): Promise<http.IncomingMessage>;
  close(): void;
}

/** A connection that could not be made or broke off; `code` is Node's (`ECONNREFUSED`, `ECONNRESET`, …). */
export class ConnectionError extends Error {
  override name = "ConnectionError";
  readonly code: string;
  constructor(message: string, code: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** A kept connection that the server closed just then: whoever only reads simply asks again. */
const staleConnection = "ESTALECONNECTION";
const firstDelayMs = 50;
const longestDelayMs = 5000;

export function createTransport(options: ConnectionOptions): Transport {
  const server = new URL(options.server);
  const secure = server.protocol === "https:";
  // An import of node:http would read all its names, of which one brings Node's fetch: 50 ms and 13 MiB that nobody here needs.
  const requester = process.getBuiltinModule(secure ? "node:https" : "node:http");
  const tls: https.AgentOptions = {
    ca: options.ca,
    cert: options.cert,
    key: options.key,
    servername: options.serverName,
    rejectUnauthorized: options.insecureSkipTlsVerify !== true,
  };
  const pool = { ...tls, keepAlive: true, keepAliveMsecs: 30_000, scheduling: "lifo" as const };
  const address =
    options.socketPath === undefined
      ? { host: server.hostname.replace(/^\[(.*)\]$/, "$1"), port: server.port || (secure ? 443 : 80) }
      : { socketPath: options.socketPath };
  const agent = new requester.Agent({ ...pool, maxSockets: options.maxConnections ?? 32 });
  const streamAgent = new requester.Agent({ ...pool, maxSockets: Infinity });
  const fixedHeaders: Record<string, string> = { "User-Agent": options.userAgent ?? "berth" };
  const { token, tokenSource, onAnswer } = options;
  if (token !== undefined) fixedHeaders["Authorization"] = `Bearer ${token}`;
  const turn = options.maxRequestsPerSecond === undefined ? undefined : turns(options.maxRequestsPerSecond);
  const prefix = server.pathname.replace(/\/+$/, "");
  const maxRetries = options.maxRetries ?? 6;
  const retryConnectionMs = (options.retryConnectionSeconds ?? 0) * 1000;

  async function headersNow(isRefused = false): Promise<Record<string, string>> {
    if (tokenSource === undefined) return fixedHeaders;
    return { ...fixedHeaders, Authorization: `Bearer ${await tokenSource(isRefused)}` };
  }

  function once(
    request: RequestOptions,
    body: Buffer | undefined,
    headers: Record<string, string>,
  ): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent: Record<string, string | number> = { ...headers, Accept: request.accept ?? "application/json" };
      if (body !== undefined) {
        sent["Content-Type"] = request.contentType ?? "application/json";
        sent["Content-Length"] = body.length;
      }
      const outgoing = requester.request(
        {
          ...address,
          method: request.method,
          path: `${prefix}${request.path}${queryString(request.query)}`,
          headers: sent,
          agent: request.stream === true ? streamAgent : agent,
        },
        resolve,
      );
      const settle = onAbort(request.signal, () => outgoing.destroy());
      outgoing.on("close", settle);
      outgoing.on("error", (error: NodeJS.ErrnoException) => {
        if (request.signal?.aborted === true) {
          reject(request.signal.reason as Error);
          return;
        }
        const stale = outgoing.reusedSocket && error.code === "ECONNRESET";
        const code = stale ? staleConnection : (error.code ?? "EUNKNOWN");
        const words = refused(code) ? "nothing listens there" : error.message;
        reject(new ConnectionError(`no connection to ${server.origin}: ${words}`, code, error));
      });
      outgoing.end(body);
    });
  }

  async function send(request: RequestOptions): Promise<http.IncomingMessage> {
    const body = request.body === undefined ? undefined : encode(request.body);
    const begun = Date.now();
    let isRefused = false;
    for (let attempt = 0; ; attempt++) {
      request.signal?.throwIfAborted();
      const headers = tokenSource === undefined ? fixedHeaders : await headersNow(isRefused);
      const wait = turn?.() ?? 0;
      if (wait > 0) await delay(wait, undefined, { signal: request.signal });
      const sentAt = performance.now();
      const backoffMs = jitter(Math.min(longestDelayMs, firstDelayMs * 2 ** attempt));
      let response: http.IncomingMessage;
      try {
        response = await once(request, body, headers);
      } catch (error) {
        onAnswer?.(request.method, 0, performance.now() - sentAt);
        if (error instanceof ConnectionError && error.code === staleConnection && request.method === "GET") continue;
        // Only a refused connection is known to have changed nothing, so that any method may be repeated.
        const repeatable = error instanceof ConnectionError && (refused(error.code) || request.method === "GET");
        if (!repeatable || Date.now() - begun + backoffMs > retryConnectionMs) throw error;
        await delay(backoffMs, undefined, { signal: request.signal });
        continue;
      }
      const code = response.statusCode ?? 0;
      onAnswer?.(request.method, code, performance.now() - sentAt);
      if (code >= 200 && code < 300) return response;
      const text = await readText(response);
      if (code === 401 && tokenSource !== undefined && !isRefused) {
        isRefused = true;
        continue;
      }
      const retryAfter = Number(response.headers["retry-after"]);
      const again = code === 429 || (code === 503 && Number.isFinite(retryAfter));
      // An eviction's 429 carries a cause and no Retry-After: it is an answer, not an overload.
      if (again && attempt < maxRetries && Number.isFinite(retryAfter)) {
        await delay(Math.max(retryAfter * 1000, backoffMs), undefined, { signal: request.signal });
        continue;
      }
      throw errorFromResponse(code, text, `${request.method} ${request.path}`);
    }
  }

  return {
    server,
    tls,
    headers: headersNow,
    async json<T>(request: RequestOptions): Promise<T> {
      const text = await readText(await send(request));
      try {
        return JSON.parse(text) as T;
      } catch (error) {
        throw new ConnectionError(
          `${request.method} ${request.path}: the answer of ${server.origin} is not JSON`,
          "EBADANSWER",
          error,
        );
      }
    },
    stream: (request) => send({ ...request, stream: true }),
    close() {
      agent.destroy();
      streamAgent.destroy();
    },
  };
}

/** How long each next request has to wait, milliseconds: a bucket of tokens that holds those of two seconds. */
function turns(perSecond: number): () => number {
  const eachMs = 1000 / perSecond;
  let next = -Infinity;
  return () => {
    const now = performance.now();
    next = Math.max(next + eachMs, now - 2000);
    return next - now;
  };
}

const abortCallbacks = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back when the signal aborts; returns how to leave. An EventTarget looks through all its listeners to add one, and a part of
 * Berth has one signal for thousands of requests: so one listener a signal, and a set behind it.
 */
function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return () => {};
  let callbacks = abortCallbacks.get(signal);
  if (callbacks === undefined) {
    const all = new Set<() => void>();
    signal.addEventListener("abort", () => all.forEach((one) => one()), { once: true });
    abortCallbacks.set(signal, all);
    callbacks = all;
  }
  callbacks.add(callback);
  return () => callbacks.delete(callback);
}

/** Nobody listens: of a Unix socket also when its file is not there (yet). */
function refused(code: string): boolean {
  return code === "ECONNREFUSED" || code === "ENOENT";
}

/** Between half and all of the given time, so that many clients do not come back at once. */
export function jitter(milliseconds: number): number {
  return milliseconds * (0.5 + Math.random() / 2);
}

export function queryString(query: RequestOptions["query"]): string {
  if (query === undefined) return "";
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.append(name, String(value));
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

function encode(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}

function readText(response: http.IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("end", () => resolve((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString("utf8")));
    response.on("error", (error: NodeJS.ErrnoException) => {
      reject(new ConnectionError("the connection broke off within an answer", error.code ?? "ECONNRESET", error));
    });
  });
}
