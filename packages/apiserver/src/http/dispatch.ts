import { badRequest, notAcceptable, pathNotFound, unauthorized } from "@berth/machinery";
import type { Authenticator } from "../authentication/authenticator.ts";
import { impersonated } from "../authentication/authenticator.ts";
import type { Identity } from "../authentication/identity.ts";
import { anonymous } from "../authentication/identity.ts";
import { authorize } from "../authorization/authorize.ts";
import type { AccessRequest } from "../authorization/rules.ts";
import { isTrue } from "../registry/watch.ts";
import type { Discovery } from "./discovery.ts";
import type { Exchange, Request, Response } from "./exchange.ts";
import { readBody, sendBytes, sendError, sendJson } from "./exchange.ts";
import { negotiateDiscovery } from "./negotiate.ts";
import type { ResourcePath } from "./request-path.ts";
import { parseResourcePath } from "./request-path.ts";
import type { ResourceServer } from "./resource-call.ts";
import { serveResource } from "./resource-handler.ts";

/** A route of another package, whose answers are no Kubernetes objects; it goes before all others. `identity` is absent for who shows no credentials. */
export interface ExtraRoute {
  method: string;
  /** `/berth/v1/login`: matches itself and what is below it. */
  prefix: string;
  handler: (
    request: { method: string; path: string; query: URLSearchParams; headers: Request["headers"]; body: unknown },
    identity: Identity | undefined,
  ) => Promise<{ status: number; body: unknown }> | { status: number; body: unknown };
}

export interface Dispatcher {
  resources: ResourceServer;
  discovery: Discovery;
  authenticator: Pick<Authenticator, "authenticate">;
  extraRoutes: readonly ExtraRoute[];
  /** More lines of `/metrics`, each ended. */
  extraMetrics: (() => Promise<string>) | undefined;
  /** Answers `/openapi/…`; false: no such document. */
  openapi: (exchange: Exchange) => boolean;
  version: Record<string, string>;
  address: string;
  log: (level: "info" | "warn" | "error", message: string, fields?: Record<string, unknown>) => void;
}

const emptyQuery = new URLSearchParams();

/** Serves one request from its arrival to its answer. Never throws. */
export async function dispatch(dispatcher: Dispatcher, request: Request, response: Response): Promise<void> {
  const started = performance.now();
  const url = request.url ?? "/";
  const mark = url.indexOf("?");
  const exchange: Exchange = {
    request,
    response,
    method: request.method ?? "GET",
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? emptyQuery : new URLSearchParams(url.slice(mark + 1)),
    identity: anonymous,
    warnings: [],
  };
  let label = "other";
  let verb = exchange.method.toLowerCase();
  // A client that goes away breaks its streams, not the server.
  response.on("error", () => {});
  try {
    const path = parseResourcePath(exchange.path);
    const extra = extraRoute(dispatcher, exchange);
    if (extra !== undefined) {
      label = extra.prefix;
      await serveExtra(dispatcher, exchange, extra);
    } else {
      const access = accessOf(exchange, path);
      verb = access.verb;
      identify(dispatcher, exchange);
      if (path !== undefined) label = path.subresource === "" ? path.resource : `${path.resource}/${path.subresource}`;
      authorize(dispatcher.resources.allows, exchange.identity, access);
      if (path === undefined) await serveOther(dispatcher, exchange);
      else await serveResource(dispatcher.resources, exchange, path);
    }
  } catch (error) {
    if (response.headersSent) response.destroy();
    else sendError(exchange, error);
    const code = response.statusCode;
    if (code >= 500) {
      dispatcher.log(
        "error",
        `${exchange.method} ${exchange.path}: ${error instanceof Error ? error.message : String(error)}`,
        {
          code,
          ...(error instanceof Error && code === 500 ? { stack: error.stack } : {}),
        },
      );
    }
  }
  const seconds = verb === "watch" ? 0 : (performance.now() - started) / 1000;
  dispatcher.resources.metrics.request(verb, label, response.statusCode, seconds);
}

/** What a request asks for, as authorization sees it. Throws URIError on a malformed escape. */
export function accessOfRequest(request: Pick<Request, "method" | "url">): AccessRequest {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
  return accessOf(
    { method: request.method ?? "GET", path: pathname, query: searchParams },
    parseResourcePath(pathname),
  );
}

/** Authentication, impersonation and authorization of a request that does not come by `dispatch`. Throws 401 and 403. */
export function admitRequest(
  dispatcher: Dispatcher,
  exchange: Pick<Exchange, "request" | "method" | "path" | "query" | "identity">,
  path: ResourcePath,
): void {
  identify(dispatcher, exchange);
  authorize(dispatcher.resources.allows, exchange.identity, accessOf(exchange, path));
}

function identify(dispatcher: Dispatcher, exchange: Pick<Exchange, "request" | "identity">): void {
  const identity = dispatcher.authenticator.authenticate(exchange.request);
  exchange.identity = impersonated(exchange.request, identity, dispatcher.resources.allows);
}

const verbOfMethod: Record<string, string> = { POST: "create", PUT: "update", PATCH: "patch" };

/** The request as the authorizer sees it. */
function accessOf(
  exchange: Pick<Exchange, "method" | "path" | "query">,
  path: ResourcePath | undefined,
): AccessRequest {
  const { method, query } = exchange;
  if (path === undefined) return { verb: method.toLowerCase(), path: exchange.path };
  const { group, resource, subresource, namespace } = path;
  let { name } = path;
  let verb = verbOfMethod[method];
  if (method === "GET" || method === "HEAD") {
    if (name !== "") verb = path.watch ? "watch" : "get";
    else {
      verb = path.watch || isTrue(query.get("watch")) ? "watch" : "list";
      // A list of one name may be allowed where a list of all is not.
      name = /(?:^|,)metadata\.name==?([^,!=]+)/.exec(query.get("fieldSelector") ?? "")?.[1] ?? "";
    }
  } else if (method === "DELETE") verb = name === "" ? "deletecollection" : "delete";
  return { verb: verb ?? method.toLowerCase(), resource: { group, resource, subresource, namespace, name } };
}

function extraRoute(dispatcher: Dispatcher, exchange: Exchange): ExtraRoute | undefined {
  const { path, method } = exchange;
  return dispatcher.extraRoutes.find(
    (route) => route.method === method && (path === route.prefix || path.startsWith(`${route.prefix}/`)),
  );
}

async function serveExtra(dispatcher: Dispatcher, exchange: Exchange, route: ExtraRoute): Promise<void> {
  identify(dispatcher, exchange);
  const bytes = await readBody(exchange.request);
  let body: unknown;
  if (bytes.length > 0) {
    try {
      body = JSON.parse(bytes.toString("utf8"));
    } catch {
      throw badRequest("the body is not JSON");
    }
  }
  const { method, path, query } = exchange;
  const identity = exchange.identity === anonymous ? undefined : exchange.identity;
  const answer = await route.handler({ method, path, query, headers: exchange.request.headers, body }, identity);
  sendJson(exchange, answer.status, answer.body);
}

async function serveOther(dispatcher: Dispatcher, exchange: Exchange): Promise<void> {
  const { path } = exchange;
  if (path.startsWith("/berth/") && exchange.identity === anonymous) throw unauthorized();
  if (exchange.method !== "GET" && exchange.method !== "HEAD") throw pathNotFound();
  const trimmed = path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
  if (trimmed === "/api" || trimmed === "/apis") {
    serveRoots(dispatcher, exchange, trimmed === "/api");
    return;
  }
  if (trimmed.startsWith("/api/") || trimmed.startsWith("/apis/")) {
    const [, , group = "", version] = trimmed.startsWith("/api/") ? ["", "", "", trimmed.slice(5)] : trimmed.split("/");
    const document =
      version === undefined ? dispatcher.discovery.group(group) : dispatcher.discovery.resources(group, version);
    if (document === undefined) throw pathNotFound();
    sendBytes(exchange, 200, document.bytes, "application/json");
    return;
  }
  if (trimmed.startsWith("/openapi/")) {
    if (!dispatcher.openapi(exchange)) throw pathNotFound();
    return;
  }
  switch (trimmed) {
    case "/":
      sendJson(exchange, 200, { paths: dispatcher.discovery.paths() });
      return;
    case "/version":
      sendJson(exchange, 200, dispatcher.version);
      return;
    case "/healthz":
    case "/livez":
    case "/readyz":
      serveHealth(exchange, trimmed.slice(1), dispatcher.resources.store.failure);
      return;
    case "/metrics": {
      const { metrics, store, registry } = dispatcher.resources;
      const text = metrics.print(store, registry) + ((await dispatcher.extraMetrics?.()) ?? "");
      sendBytes(exchange, 200, Buffer.from(text), "text/plain; version=0.0.4");
      return;
    }
    default:
      throw pathNotFound();
  }
}

function serveHealth(exchange: Exchange, name: string, failure: string | undefined): void {
  const good = failure === undefined;
  const store = good ? "[+]store ok" : `[-]store failed: ${failure}`;
  const verdict = `${name} check ${good ? "passed" : "failed"}`;
  const text = good && !exchange.query.has("verbose") ? "ok" : `[+]ping ok\n${store}\n${verdict}\n`;
  sendBytes(exchange, good ? 200 : 500, Buffer.from(text), "text/plain; charset=utf-8");
}

function serveRoots(dispatcher: Dispatcher, exchange: Exchange, core: boolean): void {
  const shape = negotiateDiscovery(exchange.request.headers.accept);
  if (shape === undefined) throw notAcceptable(["application/json"]);
  const { discovery } = dispatcher;
  const document =
    shape !== "legacy"
      ? discovery.aggregated(core, shape)
      : core
        ? discovery.coreVersions(dispatcher.address)
        : discovery.groups();
  // client-go reads the shape from the Content-Type.
  const type =
    shape === "legacy"
      ? "application/json"
      : `application/json;g=apidiscovery.k8s.io;v=${shape};as=APIGroupDiscoveryList`;
  const headers = { etag: document.etag, vary: "Accept", "cache-control": "public" };
  if (exchange.request.headers["if-none-match"] === document.etag) {
    exchange.response.writeHead(304, headers);
    exchange.response.end();
    return;
  }
  sendBytes(exchange, 200, document.bytes, type, headers);
}
