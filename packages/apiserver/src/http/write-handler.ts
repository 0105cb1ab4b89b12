/** Requests that write: create, update, patch, server-side apply, scale. */
import type { KubernetesObject } from "@berth/machinery";
import { badRequest, methodNotSupported } from "@berth/machinery";
import { authorize } from "../authorization/authorize.ts";
import { apply } from "../registry/apply.ts";
import { isDryRun } from "../registry/delete.ts";
import { patchOf } from "../registry/patch.ts";
import { answered } from "../registry/question.ts";
import { getScale, updateScale } from "../registry/scale.ts";
import type { Subresource, WriteOptions } from "../registry/write.ts";
import { create, strictDecodingError, update } from "../registry/write.ts";
import { parseJson, parseYaml, readObject } from "./body.ts";
import { mediaTypeOf, readBody, sendJson } from "./exchange.ts";
import { forceOf } from "./field-manager.ts";
import { requireVerb, type ResourceCall, sendWritten } from "./resource-call.ts";

/** How the request wants to be written; whether it is to be tried only is noted in its context. */
function writeOptions({ exchange, context }: ResourceCall): WriteOptions {
  const value = exchange.query.get("fieldValidation") || "Warn";
  if (value !== "Strict" && value !== "Warn" && value !== "Ignore") {
    throw badRequest(`fieldValidation ${JSON.stringify(value)} is not one of Ignore, Warn, Strict`);
  }
  context.dryRun = isDryRun(exchange.query.getAll("dryRun"));
  return { fieldValidation: value };
}

/** The object in the body, and nothing where there is none. */
async function readWhole(call: ResourceCall, options: WriteOptions): Promise<unknown> {
  const { exchange, kind, context, decode } = call;
  // Looked for only when asked in so many words: it reads the text a second time.
  const { value, duplicates } = await readObject(exchange.request, decode, exchange.query.has("fieldValidation"));
  if (duplicates.length === 0 || options.fieldValidation === "Ignore") return value;
  const words = duplicates.map((path) => `duplicate field "${path}"`);
  if (options.fieldValidation === "Strict") throw strictDecodingError(kind, words);
  for (const word of words) context.warn(word);
  return value;
}

export async function serveCreate(call: ResourceCall): Promise<void> {
  const { server, exchange, kind, path, context } = call;
  requireVerb(kind, "create");
  if (kind.namespaced && path.namespace === "") throw methodNotSupported(kind, "create without a namespace");
  const options = writeOptions(call);
  const body = await readWhole(call, options);
  const written = await create(server.store, kind, path.namespace, body, options, context);
  if (kind.question && written.entry !== undefined) {
    const answer = await answered(server.store, kind, written.entry, exchange.response);
    if (answer === undefined) return;
    sendWritten(call, { bytes: answer.bytes, entry: answer, created: true });
    return;
  }
  sendWritten(call, written);
}

export async function serveUpdate(call: ResourceCall): Promise<void> {
  const { server, exchange, kind, path, context } = call;
  // Who answers a question writes its status; what was asked stays.
  if (!kind.question || path.subresource !== "status")
    requireVerb(kind, exchange.method === "PATCH" ? "patch" : "update");
  const options = writeOptions(call);
  const change = await readChange(call, options);
  const subresource = path.subresource as Subresource;
  const written = await update(server.store, kind, path.namespace, path.name, subresource, change, options, context);
  sendWritten(call, written);
}

export async function serveScale(call: ResourceCall): Promise<void> {
  const { exchange, kind, path, context } = call;
  const { store } = call.server;
  if (exchange.method === "GET") {
    sendJson(exchange, 200, getScale(store, kind, path.namespace, path.name));
    return;
  }
  if (exchange.method !== "PUT" && exchange.method !== "PATCH")
    throw methodNotSupported(kind, exchange.method.toLowerCase());
  const options = writeOptions(call);
  const change = await readChange({ ...call, decode: call.server.decodeProtobuf }, options);
  const { scale } = await updateScale(store, kind, path.namespace, path.name, change, options, context);
  sendJson(exchange, 200, scale);
}

export async function serveApply(call: ResourceCall): Promise<void> {
  const { server, exchange, kind, path, context } = call;
  requireVerb(kind, "patch");
  const { group, resource, namespace, name, subresource } = path;
  if (subresource !== "" && subresource !== "status") {
    throw badRequest(`server-side apply works on ${kind.resource} and their status, not on ${subresource}`);
  }
  const force = forceOf(exchange, true);
  const options = writeOptions(call);
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
  sendWritten(call, written);
}

/** What the body makes of the object as it is. */
function readChange(call: ResourceCall, options: WriteOptions): Promise<(current: KubernetesObject) => unknown> {
  return call.exchange.method === "PATCH" ? readPatch(call) : readReplacement(call, options);
}

async function readPatch({ exchange, kind }: ResourceCall): Promise<(current: KubernetesObject) => unknown> {
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
  call: ResourceCall,
  options: WriteOptions,
): Promise<(current: KubernetesObject) => unknown> {
  const body = await readWhole(call, options);
  if (body === undefined) throw badRequest("the body is empty: it must be the whole object");
  return () => body;
}
