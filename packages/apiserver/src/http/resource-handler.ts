import type { KubernetesObject } from "@berth/machinery";
import { ApiError, badRequest, methodNotSupported, notAcceptable, notFound, pathNotFound } from "@berth/machinery";
import type { Allows } from "../authorization/authorize.ts";
import { authorize } from "../authorization/authorize.ts";
import type { Metrics } from "../metrics.ts";
import { apply } from "../registry/apply.ts";
import type { DeleteOptions } from "../registry/delete.ts";
import { deleteOptions, isDryRun, remove } from "../registry/delete.ts";
import type { AdmissionPolicies } from "../registry/policies.ts";
import type { Kind, WriteContext } from "../registry/kind.ts";
import { qualified } from "../registry/kind.ts";
import type { Inquiries } from "../registry/inquiry.ts";
import { list, parseLimit, parseResourceVersion, waitForResourceVersion } from "../registry/list.ts";
import { patchOf } from "../registry/patch.ts";
import { answered } from "../registry/question.ts";
import type { Registry } from "../registry/registry.ts";
import type { IncludeObject, Renderer } from "../registry/render.ts";
import { rendererOf } from "../registry/render.ts";
import { selectionOf, selects } from "../registry/selection.ts";
import { getScale, updateScale } from "../registry/scale.ts";
import { isTrue, Watcher, watchRequest } from "../registry/watch.ts";
import type { Subresource, WriteOptions, Written } from "../registry/write.ts";
import { create, strictDecodingError, update } from "../registry/write.ts";
import type { Entry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import { Pieces, timeInTurn } from "../turn.ts";
import { parseJson, parseYaml, readObject } from "./body.ts";
import type { ProtobufDecoder } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import { mediaTypeOf, readBody, sendBytes, sendJson } from "./exchange.ts";
import { fieldManagerOf, forceOf } from "./field-manager.ts";
import { patchMediaTypes } from "./media-types.ts";
import { negotiate } from "./negotiate.ts";
import type { ResourcePath } from "./request-path.ts";
import { responseSink, sendList } from "./respond.ts";

/** A request to one subresource or virtual kind that is more than reading and writing an object. */
export type Action = (call: {
  exchange: Exchange;
  kind: Kind;
  path: ResourcePath;
  context: WriteContext;
  /** Reads and decodes the body. */
  body: () => Promise<unknown>;
}) => Promise<void>;

export interface ResourceServer {
  registry: Registry;
  store: Store;
  metrics: Metrics;
  decodeProtobuf: ProtobufDecoder | undefined;
  /** By `resource.group/subresource` (`pods/binding`) or `resource.group` for kinds that are asked, never stored. */
  actions: ReadonlyMap<string, Action>;
  allows: Allows;
  /** Absent: there are none. */
  policies: AdmissionPolicies | undefined;
  now: () => Date;
  /** Answers what is read of kinds that are never stored; absent: there are none. */
  views: { inquiries: Inquiries; seenWhollyBy: { group: string; resource: string } } | undefined;
}

const plainSubresources = new Set(["status", "finalize", "ephemeralcontainers", "resize"]);

/** Serves one request to a resource; authentication and authorization are done. */
export async function serveResource(server: ResourceServer, exchange: Exchange, path: ResourcePath): Promise<void> {
  const kind = server.registry.find(path.group, path.version, path.resource);
  if (kind === undefined) throw pathNotFound();
  if (!kind.namespaced && path.namespace !== "") throw pathNotFound();
  const context: WriteContext = {
    now: server.now(),
    identity: exchange.identity,
    manager: fieldManagerOf(exchange),
    dryRun: false,
    warn: (message) => exchange.warnings.push(message),
    review: server.policies && ((...write) => server.policies!.review(...write, exchange.identity)),
  };
  const decode = kind.protobuf ? server.decodeProtobuf : undefined;
  const body = async (): Promise<unknown> => (await readObject(exchange.request, decode, false)).value;
  const action = server.actions.get(
    path.subresource === "" ? qualified(kind) : `${qualified(kind)}/${path.subresource}`,
  );
  if (action !== undefined) {
    await action({ exchange, kind, path, context, body });
    return;
  }
  if (path.subresource !== "" && !isServed(kind, path.subresource)) throw pathNotFound();
  if (path.rest !== "") throw pathNotFound();
  if (kind.view) return serveView(server, exchange, kind, path);
  if (isApply(exchange) && path.name !== "") return serveApply(server, exchange, kind, path, context);
  if (path.subresource === "scale") return serveScale(server, exchange, kind, path, context);
  switch (exchange.method) {
    case "GET":
    case "HEAD":
      return path.name === "" || path.watch
        ? serveCollection(server, exchange, kind, path)
        : serveGet(server, exchange, kind, path);
    case "POST":
      if (path.name !== "") throw methodNotSupported(kind, "create");
      return serveCreate(server, exchange, kind, path, context, decode);
    case "PUT":
    case "PATCH":
      if (path.name === "") throw methodNotSupported(kind, exchange.method.toLowerCase());
      return serveUpdate(server, exchange, kind, path, context, decode);
    case "DELETE":
      if (path.subresource !== "") throw methodNotSupported(kind, "delete");
      return serveDelete(server, exchange, kind, path, context, body);
    default:
      throw methodNotSupported(kind, exchange.method.toLowerCase());
  }
}

function isServed(kind: Kind, subresource: string): boolean {
  if (subresource === "status") return kind.status;
  if (subresource === "scale") return kind.scale !== undefined;
  return plainSubresources.has(subresource) && kind.subresources.some((one) => one.name === subresource);
}

function requireVerb(kind: Kind, verb: string): void {
  if (!kind.verbs.includes(verb)) throw methodNotSupported(kind, verb);
}

function renderer(exchange: Exchange, kind: Kind, now: Date): Renderer {
  const rendering = negotiate(exchange.request.headers.accept);
  if (rendering === undefined) {
    throw notAcceptable(["application/json", "application/json;as=Table", "application/json;as=PartialObjectMetadata"]);
  }
  const include = exchange.query.get("includeObject") || "Metadata";
  if (include !== "None" && include !== "Metadata" && include !== "Object") {
    throw badRequest(`includeObject ${JSON.stringify(include)} is not one of None, Metadata, Object`);
  }
  return rendererOf(kind, rendering, include satisfies IncludeObject, now.getTime());
}

async function serveGet(server: ResourceServer, exchange: Exchange, kind: Kind, path: ResourcePath): Promise<void> {
  requireVerb(kind, "get");
  const render = renderer(exchange, kind, server.now());
  const wanted = parseResourceVersion(exchange.query.get("resourceVersion"));
  if (wanted !== undefined) await waitForResourceVersion(server.store, wanted);
  const entry = server.store.get(kind.bucket, path.namespace, path.name);
  if (entry === undefined) throw notFound(kind, path.name);
  sendBytes(exchange, 200, render.object(entry), "application/json");
}

async function serveCollection(
  server: ResourceServer,
  exchange: Exchange,
  kind: Kind,
  path: ResourcePath,
): Promise<void> {
  const { store, metrics } = server;
  const { query, response } = exchange;
  const watch = path.watch || isTrue(query.get("watch"));
  requireVerb(kind, watch ? "watch" : "list");
  const selection = selectionOf(kind, path.namespace, path.name, query);
  const render = renderer(exchange, kind, server.now());
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

async function serveView(server: ResourceServer, exchange: Exchange, kind: Kind, path: ResourcePath): Promise<void> {
  const { method, query, response, identity } = exchange;
  if (method !== "GET" && method !== "HEAD") throw methodNotSupported(kind, method.toLowerCase());
  if (path.watch || isTrue(query.get("watch"))) throw methodNotSupported(kind, "watch");
  const render = renderer(exchange, kind, server.now());
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

function writeOptions(exchange: Exchange): WriteOptions {
  const value = exchange.query.get("fieldValidation") || "Warn";
  if (value !== "Strict" && value !== "Warn" && value !== "Ignore") {
    throw badRequest(`fieldValidation ${JSON.stringify(value)} is not one of Ignore, Warn, Strict`);
  }
  return { fieldValidation: value };
}

function reportDuplicates(
  kind: Kind,
  duplicates: readonly string[],
  options: WriteOptions,
  context: WriteContext,
): void {
  if (duplicates.length === 0 || options.fieldValidation === "Ignore") return;
  const words = duplicates.map((path) => `duplicate field "${path}"`);
  if (options.fieldValidation === "Strict") throw strictDecodingError(kind, words);
  for (const word of words) context.warn(word);
}

function sendWritten(server: ResourceServer, exchange: Exchange, kind: Kind, written: Written): void {
  const render = renderer(exchange, kind, server.now());
  sendBytes(exchange, written.created ? 201 : 200, render.bytes(written.bytes), "application/json");
}

async function serveCreate(
  server: ResourceServer,
  exchange: Exchange,
  kind: Kind,
  path: ResourcePath,
  context: WriteContext,
  decode: ProtobufDecoder | undefined,
): Promise<void> {
  requireVerb(kind, "create");
  if (kind.namespaced && path.namespace === "") throw methodNotSupported(kind, "create without a namespace");
  const options = writeOptions(exchange);
  // Looked for only when asked in so many words: it reads the text a second time.
  const body = await readObject(exchange.request, decode, exchange.query.has("fieldValidation"));
  reportDuplicates(kind, body.duplicates, options, context);
  context.dryRun = isDryRun(exchange.query.getAll("dryRun"));
  const written = await create(server.store, kind, path.namespace, body.value, options, context);
  if (kind.question && written.entry !== undefined) {
    const answer = await answered(server.store, kind, written.entry, exchange.response);
    if (answer === undefined) return;
    sendWritten(server, exchange, kind, { bytes: answer.bytes, entry: answer, created: true });
    return;
  }
  sendWritten(server, exchange, kind, written);
}

async function serveUpdate(
  server: ResourceServer,
  exchange: Exchange,
  kind: Kind,
  path: ResourcePath,
  context: WriteContext,
  decode: ProtobufDecoder | undefined,
): Promise<void> {
  // Who answers a question writes its status; what was asked stays.
  if (!kind.question || path.subresource !== "status")
    requireVerb(kind, exchange.method === "PATCH" ? "patch" : "update");
  const options = writeOptions(exchange);
  context.dryRun = isDryRun(exchange.query.getAll("dryRun"));
  const change = await readChange(exchange, kind, decode, options, context);
  const subresource = path.subresource as Subresource;
  const written = await update(server.store, kind, path.namespace, path.name, subresource, change, options, context);
  sendWritten(server, exchange, kind, written);
}

async function serveScale(
  server: ResourceServer,
  exchange: Exchange,
  kind: Kind,
  path: ResourcePath,
  context: WriteContext,
): Promise<void> {
  const { store } = server;
  if (exchange.method === "GET") {
    sendJson(exchange, 200, getScale(store, kind, path.namespace, path.name));
    return;
  }
  if (exchange.method !== "PUT" && exchange.method !== "PATCH")
    throw methodNotSupported(kind, exchange.method.toLowerCase());
  const options = writeOptions(exchange);
  context.dryRun = isDryRun(exchange.query.getAll("dryRun"));
  const change = await readChange(exchange, kind, server.decodeProtobuf, options, context);
  const { scale } = await updateScale(store, kind, path.namespace, path.name, change, options, context);
  sendJson(exchange, 200, scale);
}

function isApply(exchange: Exchange): boolean {
  return exchange.method === "PATCH" && mediaTypeOf(exchange.request) === patchMediaTypes.apply;
}

async function serveApply(
  server: ResourceServer,
  exchange: Exchange,
  kind: Kind,
  path: ResourcePath,
  context: WriteContext,
): Promise<void> {
  requireVerb(kind, "patch");
  const { group, resource, namespace, name, subresource } = path;
  if (subresource !== "" && subresource !== "status") {
    throw badRequest(`server-side apply works on ${kind.resource} and their status, not on ${subresource}`);
  }
  const force = forceOf(exchange, true);
  const options = writeOptions(exchange);
  context.dryRun = isDryRun(exchange.query.getAll("dryRun"));
  const body = parseYaml((await readBody(exchange.request)).toString("utf8"));
  const authorizeCreate = (): void => {
    requireVerb(kind, "create");
    const access = { verb: "create", resource: { group, resource, subresource, namespace, name } };
    authorize(server.allows, exchange.identity, access);
  };
  const written = await apply(
    server.store,
    kind,
    namespace,
    name,
    subresource,
    body,
    { ...options, force, authorizeCreate },
    context,
  );
  sendWritten(server, exchange, kind, written);
}

async function readChange(
  exchange: Exchange,
  kind: Kind,
  decode: ProtobufDecoder | undefined,
  options: WriteOptions,
  context: WriteContext,
): Promise<(current: KubernetesObject) => unknown> {
  return exchange.method === "PATCH"
    ? readPatch(exchange, kind)
    : readReplacement(exchange, kind, decode, options, context);
}

async function readPatch(exchange: Exchange, kind: Kind): Promise<(current: KubernetesObject) => unknown> {
  forceOf(exchange, false);
  const type = mediaTypeOf(exchange.request);
  const bytes = await readBody(exchange.request);
  if (bytes.length === 0) throw badRequest("the patch is empty");
  // Strategic and merge patches may be YAML, as kubectl sends them with -p.
  const text = bytes.toString("utf8").trimStart();
  const value = /^[[{"]/.test(text) ? parseJson(bytes, false).value : parseYaml(text);
  return patchOf(kind, type, value);
}

async function readReplacement(
  exchange: Exchange,
  kind: Kind,
  decode: ProtobufDecoder | undefined,
  options: WriteOptions,
  context: WriteContext,
): Promise<(current: KubernetesObject) => unknown> {
  const body = await readObject(exchange.request, decode, exchange.query.has("fieldValidation"));
  if (body.value === undefined) throw badRequest("the body is empty: it must be the whole object");
  reportDuplicates(kind, body.duplicates, options, context);
  return () => body.value;
}

async function serveDelete(
  server: ResourceServer,
  exchange: Exchange,
  kind: Kind,
  path: ResourcePath,
  context: WriteContext,
  body: () => Promise<unknown>,
): Promise<void> {
  const { options, dryRun } = deleteOptions(await body(), exchange.query);
  context.dryRun = dryRun;
  if (path.name === "") {
    requireVerb(kind, "deletecollection");
    await deleteCollection(server, exchange, kind, path, options, context);
    return;
  }
  requireVerb(kind, "delete");
  const deleted = await remove(server.store, kind, path.namespace, path.name, options, context);
  if (kind.returnsDeletedObject || !deleted.removed) {
    sendWritten(server, exchange, kind, deleted);
    return;
  }
  sendJson(exchange, 200, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: {
      name: path.name,
      ...(kind.group === "" ? {} : { group: kind.group }),
      kind: kind.resource,
      uid: deleted.entry!.uid,
    },
  });
}

async function deleteCollection(
  server: ResourceServer,
  exchange: Exchange,
  kind: Kind,
  path: ResourcePath,
  options: DeleteOptions,
  context: WriteContext,
): Promise<void> {
  const { store } = server;
  const selection = selectionOf(kind, path.namespace, "", exchange.query);
  const bucket = store.bucket(kind.bucket);
  const entries = (bucket.list({ namespace: selection.namespace }) ?? []).filter((entry) =>
    selects(selection, bucket, entry),
  );
  const removeOne = async (entry: Entry): Promise<void> => {
    try {
      await remove(store, kind, entry.namespace, entry.name, { ...options, uid: entry.uid }, context);
    } catch (error) {
      // Gone, or another of that name by now: what was asked for is done.
      if (!(error instanceof ApiError) || (error.reason !== "NotFound" && error.reason !== "Conflict")) throw error;
    }
  };
  const pieces = new Pieces();
  let underWay: Promise<void>[] = [];
  for (const entry of entries) {
    underWay.push(removeOne(entry));
    if (!pieces.isOver) continue;
    await Promise.all(underWay);
    underWay = [];
    pieces.begin();
  }
  await Promise.all(underWay);
  const render = renderer(exchange, kind, server.now());
  const result = { entries, resourceVersion: store.resourceVersion, continueToken: undefined, remaining: undefined };
  await sendList(exchange, result, render);
}
