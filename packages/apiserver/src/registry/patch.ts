import type { KubernetesObject } from "@berth/machinery";
import { applyJsonPatch, applyMergePatch, badRequest, unsupportedMediaType } from "@berth/machinery";
import { applyStrategicMergePatch } from "@berth/machinery/server";
import { patchMediaTypes } from "../http/media-types.ts";
import type { Kind } from "./kind.ts";

/** A patch as a function of the present object. Throws 400 for a body that is not such a patch, 415 for unknown types. */
export function patchOf(kind: Kind, mediaType: string, body: unknown): (current: KubernetesObject) => unknown {
  switch (mediaType) {
    case patchMediaTypes.json:
      if (!Array.isArray(body)) throw badRequest("a JSON patch is a list of operations");
      if (body.length > 10_000) {
        throw badRequest(`the JSON patch has ${body.length} operations, at most 10000 are allowed`);
      }
      return (current) => applyJsonPatch(current, body);
    case patchMediaTypes.merge:
      requireObject(body);
      return (current) => applyMergePatch(current, body);
    case patchMediaTypes.strategic: {
      requireObject(body);
      const { patchSchema } = kind;
      if (patchSchema === undefined) throw unsupportedMediaType(accepted(kind));
      return (current) => applyStrategicMergePatch(current, body, patchSchema.schema, patchSchema.definitions);
    }
    default:
      throw unsupportedMediaType(accepted(kind));
  }
}

function accepted(kind: Kind): string[] {
  const types: string[] = [patchMediaTypes.json, patchMediaTypes.merge, patchMediaTypes.apply];
  if (kind.patchSchema !== undefined) types.push(patchMediaTypes.strategic);
  return types;
}

function requireObject(body: unknown): void {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw badRequest("the patch must be a JSON object");
  }
}
