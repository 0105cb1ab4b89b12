/** Requests that read: an object, a list, a watch, and kinds that are answered and never stored. */
import { methodNotSupported, notFound } from "@berth/machinery";
import { list, parseLimit, parseResourceVersion, waitForResourceVersion } from "../registry/list.ts";
import { selectionOf } from "../registry/selection.ts";
import { isTrue, Watcher, watchRequest } from "../registry/watch.ts";
import { timeInTurn } from "../turn.ts";
import { sendBytes } from "./exchange.ts";
import { renderer, requireVerb, type ResourceCall } from "./resource-call.ts";
import { responseSink, sendList } from "./respond.ts";

export async function serveGet(call: ResourceCall): Promise<void> {
  const { server, exchange, kind, path } = call;
  requireVerb(kind, "get");
  const render = renderer(call);
  const wanted = parseResourceVersion(exchange.query.get("resourceVersion"));
  if (wanted !== undefined) await waitForResourceVersion(server.store, wanted);
  const entry = server.store.get(kind.bucket, path.namespace, path.name);
  if (entry === undefined) throw notFound(kind, path.name);
  sendBytes(exchange, 200, render.object(entry), "application/json");
}

export async function serveCollection(call: ResourceCall): Promise<void> {
  const { exchange, kind, path } = call;
  const { store, metrics } = call.server;
  const { query, response } = exchange;
  const watch = path.watch || isTrue(query.get("watch"));
  requireVerb(kind, watch ? "watch" : "list");
  const selection = selectionOf(kind, path.namespace, path.name, query);
  const render = renderer(call);
  await timeInTurn();
  if (!watch) {
    await sendList(exchange, await list(store, kind, selection, query), render);
    return;
  }
  const request = await watchRequest(store, selection, query);
  if (response.destroyed) return;
  const watcher = new Watcher(store, kind, request, render, responseSink(response));
  metrics.watchers++;
  response.on("close", () => {
    metrics.watchers--;
    watcher.stop();
  });
  watcher.start();
}

export async function serveView(call: ResourceCall): Promise<void> {
  const { exchange, kind, path, server } = call;
  const { method, query, response, identity } = exchange;
  if (method !== "GET" && method !== "HEAD") throw methodNotSupported(kind, method.toLowerCase());
  if (path.watch || isTrue(query.get("watch"))) throw methodNotSupported(kind, "watch");
  const render = renderer(call);
  const { inquiries, seenWhollyBy } = server.views!;
  const everything = { verb: "list", resource: { ...seenWhollyBy, subresource: "", namespace: "", name: "" } };
  const asker = { identity, seesAll: server.allows(identity, everything), response };
  if (path.name !== "") {
    const entry = await inquiries.get(kind, path.namespace, path.name, asker);
    if (response.destroyed) return;
    if (entry === undefined) throw notFound(kind, path.name);
    sendBytes(exchange, 200, render.object(entry), "application/json");
    return;
  }
  const limit = parseLimit(query.get("limit"));
  const page = { limit, continue: query.get("continue") || undefined };
  const found = await inquiries.list(kind, selectionOf(kind, path.namespace, "", query), page, asker);
  if (found !== undefined && !response.destroyed) await sendList(exchange, found, render);
}
