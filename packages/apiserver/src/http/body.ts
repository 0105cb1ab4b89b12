import { badRequest } from "@berth/machinery";
import { parseJsonStrict } from "@berth/machinery/server";
import { load as loadYaml } from "js-yaml";
import { nextTurn } from "../turn.ts";
import type { Request } from "./exchange.ts";
import { mediaTypeOf, readBody, refuseMediaType } from "./exchange.ts";

export interface Body {
  value: unknown;
  /** Paths of keys that stand twice in JSON text; looked for only when the client asks. */
  duplicates: string[];
}

const largeBodyBytes = 128 << 10;

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
    case "*/*": {
      const body = parseJson(bytes, findDuplicates);
      // To read a large one takes milliseconds, and so does what follows.
      if (bytes.length > largeBodyBytes) await nextTurn();
      return body;
    }
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
  // What programs send as YAML is JSON mostly, whose parser is many times faster. Keys that stand twice are for YAML's to refuse.
  if (text.startsWith("{")) {
    try {
      const { value, duplicates } = parseJsonStrict(text);
      if (duplicates.length === 0) return value;
    } catch {
      // Not JSON: it may be YAML all the same.
    }
  }
  try {
    return loadYaml(text);
  } catch (error) {
    throw badRequest(`the body is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}
