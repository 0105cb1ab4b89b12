import { methodNotSupported, pathNotFound } from "@berth/machinery";
import type { Kind, WriteContext } from "../registry/kind.ts";
import { qualified } from "../registry/kind.ts";
import { readObject } from "./body.ts";
import { serveDelete } from "./delete-handler.ts";
import type { Exchange } from "./exchange.ts";
import { mediaTypeOf } from "./exchange.ts";
import { fieldManagerOf } from "./field-manager.ts";
import { patchMediaTypes } from "./media-types.ts";
import { serveCollection, serveGet, serveView } from "./read-handler.ts";
import type { ResourcePath } from "./request-path.ts";
import type { ResourceCall, ResourceServer } from "./resource-call.ts";
import { serveApply, serveCreate, serveScale, serveUpdate } from "./write-handler.ts";

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
  const call: ResourceCall = { server, exchange, kind, path, context, decode };
  if (kind.view) return serveView(call);
  if (isApply(exchange) && path.name !== "") return serveApply(call);
  if (path.subresource === "scale") return serveScale(call);
  switch (exchange.method) {
    case "GET":
    case "HEAD":
      return path.name === "" || path.watch ? serveCollection(call) : serveGet(call);
    case "POST":
      if (path.name !== "") throw methodNotSupported(kind, "create");
      return serveCreate(call);
    case "PUT":
    case "PATCH":
      if (path.name === "") throw methodNotSupported(kind, exchange.method.toLowerCase());
      return serveUpdate(call);
    case "DELETE":
      if (path.subresource !== "") throw methodNotSupported(kind, "delete");
      return serveDelete(call);
    default:
      throw methodNotSupported(kind, exchange.method.toLowerCase());
  }
}

function isServed(kind: Kind, subresource: string): boolean {
  if (subresource === "status") return kind.status;
  if (subresource === "scale") return kind.scale !== undefined;
  return plainSubresources.has(subresource) && kind.subresources.some((one) => one.name === subresource);
}

function isApply(exchange: Exchange): boolean {
  return exchange.method === "PATCH" && mediaTypeOf(exchange.request) === patchMediaTypes.apply;
}
