import type { Duplex } from "node:stream";
import type { IncomingMessage } from "node:http";
import type { RequestOptions } from "node:https";
import { request as httpsRequest } from "node:https";
import { ApiError, badRequest } from "@berth/machinery";
import { sendBytes } from "../http/exchange.ts";
import type { Exchange, Request } from "../http/exchange.ts";
import type { Action } from "../http/resource-call.ts";
import type { Store } from "../storage/store.ts";
import type { NodeEndpoint } from "./node-endpoint.ts";
import { endpointOfPod } from "./node-endpoint.ts";

export interface NodeCredentials {
  /** Bearer token of user `berth:apiserver`, which nodes know. */
  token: () => string;
  /** PEM of the cluster's CA: only who has a certificate of it gets the token. */
  certificateAuthority: string;
}

/** How a node is reached: its certificate must be of the cluster's CA; whichever address it is reached by is right. */
function nodeOptions(endpoint: NodeEndpoint, path: string, credentials: NodeCredentials): RequestOptions {
  return {
    host: endpoint.host,
    port: endpoint.port,
    path,
    method: "GET",
    ca: credentials.certificateAuthority,
    checkServerIdentity: () => undefined,
    agent: false,
  };
}

/** Those of Kubernetes, and of Berth's own nodes: one task of a pod that carries several. */
const logParameters = [
  "follow",
  "previous",
  "sinceSeconds",
  "sinceTime",
  "timestamps",
  "tailLines",
  "limitBytes",
  "task",
];

/** `pods/log`: the node's stream, passed on as it comes. */
export function logAction(store: Store, credentials: NodeCredentials): Action {
  return async ({ exchange, path }) => {
    if (exchange.method !== "GET") throw badRequest("logs are read with GET");
    const { query } = exchange;
    const { endpoint, container } = endpointOfPod(
      store,
      path.namespace,
      path.name,
      query.get("container") ?? undefined,
    );
    const passed = new URLSearchParams();
    for (const name of logParameters) {
      const value = query.get(name);
      if (value !== null && value !== "") passed.set(name, value);
    }
    const target = `/containerLogs/${encodeURIComponent(path.namespace)}/${encodeURIComponent(path.name)}/${encodeURIComponent(container)}?${passed.toString()}`;
    await stream(exchange, endpoint, target, credentials);
  };
}

function stream(exchange: Exchange, endpoint: NodeEndpoint, path: string, credentials: NodeCredentials): Promise<void> {
  const { response } = exchange;
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        ...nodeOptions(endpoint, path, credentials),
        headers: { authorization: `Bearer ${credentials.token()}` },
      },
      (incoming) => {
        const code = incoming.statusCode ?? 502;
        if (code !== 200) {
          collect(incoming, 64 << 10).then((text) => reject(nodeError(code, text)), reject);
          return;
        }
        response.writeHead(200, { "content-type": "text/plain", "cache-control": "no-cache, private" });
        response.flushHeaders();
        incoming.pipe(response);
        incoming.on("end", () => resolve());
        incoming.on("error", () => {
          response.destroy();
          resolve();
        });
      },
    );
    outgoing.on("error", (error) => reject(unreachable(endpoint, error)));
    response.on("close", () => {
      outgoing.destroy();
      resolve();
    });
    outgoing.end();
  });
}

function unreachable(endpoint: NodeEndpoint, error: Error): ApiError {
  return new ApiError(
    503,
    "ServiceUnavailable",
    `the node at ${endpoint.host}:${endpoint.port} cannot be reached: ${error.message}`,
  );
}

function nodeError(code: number, text: string): ApiError {
  try {
    const status = JSON.parse(text) as { message?: string; reason?: string };
    if (typeof status.message === "string") return new ApiError(code, status.reason ?? "BadRequest", status.message);
  } catch {
    // Plain words, as a kubelet gives them.
  }
  return new ApiError(code, code === 404 ? "NotFound" : "BadRequest", text.trim() || `the node answered ${code}`);
}

async function collect(stream: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (size < limit) chunks.push(chunk);
    size += chunk.length;
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** `pods/exec` and `pods/attach` without an upgrade to WebSocket: told in words. */
export function upgradeOnlyAction(what: string): Action {
  return async ({ exchange }) => {
    const asked = exchange.request.headers["upgrade"];
    const words =
      asked !== undefined && /spdy/i.test(asked)
        ? "SPDY/3.1 is not spoken here: use a client that speaks WebSocket (kubectl 1.30 or newer)"
        : "an upgrade to WebSocket is needed (Connection: Upgrade, Upgrade: websocket, Sec-WebSocket-Protocol: v5.channel.k8s.io)";
    throw badRequest(`unable to ${what}: ${words}`);
  };
}

/** What is not served, in words. */
export function absentAction(words: string): Action {
  return async ({ exchange }) => {
    const status = {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: words,
      reason: "MethodNotAllowed",
      code: 405,
    };
    sendBytes(exchange, 405, Buffer.from(`${JSON.stringify(status)}\n`), "application/json");
  };
}

const hopHeaders = [
  "connection",
  "upgrade",
  "sec-websocket-key",
  "sec-websocket-version",
  "sec-websocket-protocol",
  "sec-websocket-extensions",
];

/**
 * Joins a client's WebSocket upgrade with the node's: the handshake and all that follows are passed on byte for byte in
 * both directions.
 */
export function proxyUpgrade(
  request: Request,
  socket: Duplex,
  head: Buffer,
  endpoint: NodeEndpoint,
  path: string,
  credentials: NodeCredentials,
): void {
  const headers: Record<string, string> = { authorization: `Bearer ${credentials.token()}` };
  for (const name of hopHeaders) {
    const value = request.headers[name];
    if (value !== undefined) headers[name] = String(value);
  }
  const outgoing = httpsRequest({
    ...nodeOptions(endpoint, path, credentials),
    headers,
  });
  const giveUp = (): void => {
    outgoing.destroy();
  };
  socket.on("close", giveUp);
  outgoing.on("upgrade", (answer, nodeSocket, nodeHead) => {
    const lines = [`HTTP/1.1 101 ${answer.statusMessage ?? "Switching Protocols"}`];
    for (let index = 0; index < answer.rawHeaders.length; index += 2) {
      lines.push(`${answer.rawHeaders[index]}: ${answer.rawHeaders[index + 1]}`);
    }
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    if (nodeHead.length > 0) socket.write(nodeHead);
    if (head.length > 0) nodeSocket.write(head);
    nodeSocket.pipe(socket);
    socket.pipe(nodeSocket);
    socket.on("close", () => nodeSocket.destroy());
    nodeSocket.on("close", () => socket.destroy());
    socket.on("error", () => nodeSocket.destroy());
    nodeSocket.on("error", () => socket.destroy());
  });
  outgoing.on("response", (answer) => {
    collect(answer, 64 << 10).then(
      (text) => refuseUpgrade(socket, nodeError(answer.statusCode ?? 502, text)),
      () => socket.destroy(),
    );
  });
  outgoing.on("error", (error) => refuseUpgrade(socket, unreachable(endpoint, error)));
  outgoing.end();
}

/** Answers an upgrade request with a Status, and ends the connection. */
export function refuseUpgrade(socket: Duplex, error: ApiError): void {
  if (socket.destroyed) return;
  const body = `${JSON.stringify(error.status)}\n`;
  socket.end(
    `HTTP/1.1 ${error.code} ${error.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
