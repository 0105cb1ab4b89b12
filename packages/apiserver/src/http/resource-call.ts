/** What the handlers of requests to resources have in common. */
import { badRequest, methodNotSupported, notAcceptable } from "@berth/machinery";
import type { Allows } from "../authorization/authorize.ts";
import type { Metrics } from "../metrics.ts";
import type { Inquiries } from "../registry/inquiry.ts";
import type { Kind, WriteContext } from "../registry/kind.ts";
import type { AdmissionPolicies } from "../registry/policies.ts";
import type { Registry } from "../registry/registry.ts";
import type { IncludeObject, Renderer } from "../registry/render.ts";
import { rendererOf } from "../registry/render.ts";
import type { Written } from "../registry/write.ts";
import type { Store } from "../storage/store.ts";
import type { ProtobufDecoder } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import { sendBytes } from "./exchange.ts";
import { negotiate } from "./negotiate.ts";
import type { ResourcePath } from "./request-path.ts";

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

/** One request to a resource, its kind found, its asker known and allowed. */
export interface ResourceCall {
  server: ResourceServer;
  exchange: Exchange;
  kind: Kind;
  path: ResourcePath;
  /** Of a write. */
  context: WriteContext;
  /** Absent where the kind has no protobuf form. */
  decode: ProtobufDecoder | undefined;
}

export function requireVerb(kind: Kind, verb: string): void {
  if (!kind.verbs.includes(verb)) throw methodNotSupported(kind, verb);
}

export function renderer({ server, exchange, kind }: ResourceCall): Renderer {
  const rendering = negotiate(exchange.request.headers.accept);
  if (rendering === undefined) {
    throw notAcceptable(["application/json", "application/json;as=Table", "application/json;as=PartialObjectMetadata"]);
  }
  const include = exchange.query.get("includeObject") || "Metadata";
  if (include !== "None" && include !== "Metadata" && include !== "Object") {
    throw badRequest(`includeObject ${JSON.stringify(include)} is not one of None, Metadata, Object`);
  }
  return rendererOf(kind, rendering, include satisfies IncludeObject, server.now().getTime());
}

export function sendWritten(call: ResourceCall, written: Written): void {
  const render = renderer(call);
  sendBytes(call.exchange, written.created ? 201 : 200, render.bytes(written.bytes), "application/json");
}
