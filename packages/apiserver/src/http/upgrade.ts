import { ApiError, badRequest, pathNotFound } from "@berth/machinery";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { endpointOfPod } from "../nodes/node-endpoint.ts";
import type { NodeCredentials } from "../nodes/node-proxy.ts";
import { proxyUpgrade, refuseUpgrade } from "../nodes/node-proxy.ts";
import { rendererOf } from "../registry/render.ts";
import { selectionOf } from "../registry/selection.ts";
import type { WatchSink } from "../registry/watch.ts";
import { isTrue, Watcher, watchRequest } from "../registry/watch.ts";
import type { Dispatcher } from "./dispatch.ts";
import { admitRequest } from "./dispatch.ts";
import type { Exchange, Request } from "./exchange.ts";
import { statusOf } from "./exchange.ts";
import type { ResourcePath } from "./request-path.ts";
import { parseResourcePath } from "./request-path.ts";

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

/** Serves an `Upgrade` request: exec and attach are joined to the node, watches become WebSocket messages. */
export async function upgrade(
  dispatcher: Dispatcher,
  credentials: NodeCredentials,
  request: Request,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  socket.on("error", () => socket.destroy());
  try {
    const url = request.url ?? "/";
    const mark = url.indexOf("?");
    const exchange: Pick<Exchange, "request" | "method" | "path" | "query" | "identity"> = {
      request,
      method: request.method ?? "GET",
      path: mark < 0 ? url : url.slice(0, mark),
      query: new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1)),
      identity: { name: "", groups: [] },
    };
    const path = parseResourcePath(exchange.path);
    if (path === undefined) throw pathNotFound();
    takeProtocolToken(request);
    admitRequest(dispatcher, exchange, path);
    const protocol = String(request.headers.upgrade ?? "").toLowerCase();
    if (path.resource === "pods" && (path.subresource === "exec" || path.subresource === "attach")) {
      if (protocol !== "websocket") {
        throw badRequest(
          `unable to ${path.subresource}: ${protocol === "spdy/3.1" ? "SPDY/3.1" : protocol} is not spoken here; use a client that speaks WebSocket (kubectl 1.30 or newer)`,
        );
      }
      const { endpoint, container } = endpointOfPod(
        dispatcher.resources.store,
        path.namespace,
        path.name,
        exchange.query.get("container") ?? undefined,
      );
      const target = `/${path.subresource}/${encodeURIComponent(path.namespace)}/${encodeURIComponent(path.name)}/${encodeURIComponent(container)}?${exchange.query.toString()}`;
      proxyUpgrade(request, socket, head, endpoint, target, credentials);
      return;
    }
    if (protocol === "websocket" && path.name === "" && isTrue(exchange.query.get("watch"))) {
      await watchOverWebSocket(dispatcher, request, socket, head, path, exchange.query);
      return;
    }
    if (path.subresource === "portforward") throw badRequest("port forwarding is not there yet");
    throw badRequest(`an upgrade to ${protocol} is not served at this path`);
  } catch (error) {
    const status = statusOf(error);
    refuseUpgrade(
      socket,
      error instanceof ApiError ? error : new ApiError(status.code, status.reason ?? "", status.message ?? ""),
    );
  }
}

const tokenProtocol = "base64url.bearer.authorization.k8s.io.";

/** Browsers cannot set headers on a WebSocket: the token may come as a subprotocol, as in Kubernetes. */
function takeProtocolToken(request: Request): void {
  const offered = request.headers["sec-websocket-protocol"];
  if (offered === undefined || !offered.includes(tokenProtocol)) return;
  const protocols = offered.split(",").map((one) => one.trim());
  const token = protocols.find((one) => one.startsWith(tokenProtocol));
  if (token !== undefined && request.headers.authorization === undefined) {
    request.headers.authorization = `Bearer ${Buffer.from(token.slice(tokenProtocol.length), "base64url").toString("utf8")}`;
  }
  const rest = protocols.filter((one) => !one.startsWith(tokenProtocol));
  if (rest.length > 0) request.headers["sec-websocket-protocol"] = rest.join(", ");
  else delete request.headers["sec-websocket-protocol"];
}

async function watchOverWebSocket(
  dispatcher: Dispatcher,
  request: Request,
  socket: Duplex,
  head: Buffer,
  path: ResourcePath,
  query: URLSearchParams,
): Promise<void> {
  const { registry, store, metrics, now } = dispatcher.resources;
  const kind = registry.find(path.group, path.version, path.resource);
  if (kind === undefined) throw pathNotFound();
  const watch = await watchRequest(store, selectionOf(kind, path.namespace, "", query), query);
  const renderer = rendererOf(kind, { as: "Object" }, "Metadata", now().getTime());
  sockets.handleUpgrade(request, socket, head, (webSocket) => {
    const watcher = new Watcher(store, kind, watch, renderer, webSocketSink(webSocket));
    metrics.watchers++;
    webSocket.on("error", () => {});
    webSocket.on("close", () => {
      metrics.watchers--;
      watcher.stop();
    });
    watcher.start();
  });
}

/** Each line of a frame is one text message. */
function webSocketSink(webSocket: WebSocket): WatchSink {
  return {
    write: (frame) => {
      for (const line of frame.toString("utf8").split("\n")) if (line !== "") webSocket.send(line);
      return true;
    },
    get buffered() {
      return webSocket.bufferedAmount;
    },
    onDrain: () => {},
    end: () => webSocket.close(1000),
  };
}
