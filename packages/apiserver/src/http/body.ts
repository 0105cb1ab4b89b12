import { badRequest } from "@berth/machinery";
import { parseJsonStrict } from "@berth/machinery/server";
import { load as loadYaml } from "js-yaml";
import type { Request } from "./exchange.ts";
import { mediaTypeOf, readBody, refuseMediaType } from "./exchange.ts";

export interface Body {
  value: unknown;
  /** Paths of keys that stand twice in JSON text; looked for only when the client asks. */
  duplicates: string[];
}

/** Decodes a protobuf body to the JSON form of its object. */
export type ProtobufDecoder = (bytes: Buffer) => unknown;

/**
 * Reads the object in a request's body: JSON (also without a content type), YAML, or protobuf. `undefined` for an empty
 * body. Throws 400, 413 and 415.
 */
export async function readObject(
  request: Request,
  decodeProtobuf: ProtobufDecoder | undefined,
  findDuplicates: boolean,
): Promise<Body> {
  const bytes = await readBody(request);
  if (bytes.length === 0) return { value: undefined, duplicates: [] };
  switch (mediaTypeOf(request)) {
    case "":
    case "application/json":
    case "*/*":
      return parseJson(bytes, findDuplicates);
    case "application/yaml":
    case "application/apply-patch+yaml":
      return { value: parseYaml(bytes.toString("utf8")), duplicates: [] };
    case "application/vnd.kubernetes.protobuf":
      if (decodeProtobuf === undefined) return refuseMediaType();
      return { value: decodeProtobuf(bytes), duplicates: [] };
    default:
      return refuseMediaType();
  }
}

export function parseJson(bytes: Buffer, findDuplicates: boolean): Body {
  const text = bytes.toString("utf8");
  if (findDuplicates) return parseJsonStrict(text);
  try {
    return { value: JSON.parse(text), duplicates: [] };
  } catch (error) {
    throw badRequest(`the body is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export function parseYaml(text: string): unknown {
  try {
    return loadYaml(text);
  } catch (error) {
    throw badRequest(`the body is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}
