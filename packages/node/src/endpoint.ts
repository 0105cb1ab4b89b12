import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { Pod } from "@berth/kinds";
import { ApiError, badRequest, isApiError } from "@berth/machinery";
import { WebSocketServer } from "ws";
import { serveExec } from "./exec-session.ts";
import { sendLog, type LogRequest } from "./log-view.ts";
import type { Log } from "./node-agent.ts";
import type { PodWorker } from "./pod-worker.ts";
import type { Tasks } from "./tasks.ts";

export interface EndpointOptions {
  /** PEM. */
  cert: string | Buffer;
  key: string | Buffer;
  /** The bearer token by which the API identifies itself. */
  token: string;
  /** Default: a free one. */
  port?: number;
}

interface Serving extends EndpointOptions {
  podsDirectory: string;
  tasks: Tasks;
  /** The pod's worker, while this agent has one. */
  find(namespace: string, name: string): PodWorker | undefined;
  /** The pod as the API shows it. */
  finishedPod(namespace: string, name: string): Pod | undefined;
  log: Log;
  signal: AbortSignal;
}

/** Serves a kubelet's paths for logs and exec over HTTPS on 127.0.0.1, to whoever has the token. */
export async function startEndpoint(serving: Serving): Promise<{ port: number }> {
  const server = createServer({ cert: serving.cert, key: serving.key }, (request, response) => {
    answer(serving, request, response).catch((error: unknown) => refuse(response, error));
  });
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: (offered) =>
      ["v5.channel.k8s.io", "v4.channel.k8s.io"].find((protocol) => offered.has(protocol)) ?? false,
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    try {
      const { verb, pod, container, query } = route(serving, request);
      if (verb !== "exec") throw badRequest("only exec is spoken over WebSocket");
      const worker = serving.find(pod.metadata.namespace ?? "default", pod.metadata.name);
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        serveExec(webSocket, { pod, worker, container, query, tasks: serving.tasks });
      });
    } catch (error) {
      const { code, body } = statusOf(error);
      socket.end(
        `HTTP/1.1 ${code} Error\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    }
  });
  serving.signal.addEventListener("abort", () => {
    server.close();
    server.closeAllConnections();
    for (const client of sockets.clients) client.terminate();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(serving.port ?? 0, "127.0.0.1", resolve);
  });
  server.unref();
  return { port: (server.address() as AddressInfo).port };
}

function route(serving: Serving, request: IncomingMessage) {
  if (!holdsToken(serving.token, request.headers.authorization)) {
    throw new ApiError(401, "Unauthorized", "this endpoint answers the API server only");
  }
  const url = new URL(request.url ?? "/", "https://node");
  const [, verb, namespace, name, container] = url.pathname.split("/").map(decodeURIComponent);
  if (verb !== "containerLogs" && verb !== "exec") {
    throw new ApiError(404, "NotFound", `${url.pathname}: the node has /containerLogs and /exec`);
  }
  const pod = serving.find(namespace ?? "", name ?? "")?.pod ?? serving.finishedPod(namespace ?? "", name ?? "");
  if (pod === undefined) throw new ApiError(404, "NotFound", `pod "${namespace}/${name}" is not on this node`);
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const found = all.find((candidate) => candidate.name === container);
  if (found === undefined) throw badRequest(`container ${container} is not valid for pod ${name}`);
  return { verb, pod, container: found, query: url.searchParams };
}

async function answer(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { verb, pod, container, query } = route(serving, request);
  if (verb === "exec") throw badRequest("exec needs a WebSocket (v5.channel.k8s.io or v4.channel.k8s.io)");
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    if (text === null) return undefined;
    if (!/^\d+$/.test(text)) throw badRequest(`${name}: "${text}" is not a whole number`);
    return Number(text);
  };
  const wanted: LogRequest = {
    follow: query.get("follow") === "true",
    tailLines: number("tailLines"),
    limitBytes: number("limitBytes"),
    previous: query.get("previous") === "true",
    task: number("task"),
  };
  for (const name of ["sinceSeconds", "sinceTime"]) {
    if (query.has(name))
      throw badRequest(`${name}: this node keeps no times with the lines of a log; tailLines and limitBytes work`);
  }
  if (query.get("timestamps") === "true")
    throw badRequest("timestamps: this node keeps no times with the lines of a log");
  const worker = serving.find(pod.metadata.namespace ?? "default", pod.metadata.name);
  await sendLog(response, {
    pod,
    worker,
    container,
    wanted,
    podsDirectory: serving.podsDirectory,
    signal: serving.signal,
  });
}

function holdsToken(token: string, header: string | undefined): boolean {
  const given = Buffer.from(header ?? "");
  const right = Buffer.from(`Bearer ${token}`);
  return given.length === right.length && timingSafeEqual(given, right);
}

function statusOf(error: unknown): { code: number; body: string } {
  const known = isApiError(error) ? error : new ApiError(500, "InternalError", (error as Error).message);
  return { code: known.code, body: JSON.stringify(known.status) };
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { code, body } = statusOf(error);
  response.writeHead(code, { "Content-Type": "application/json" }).end(body);
}
