/**
 * Reads Kubernetes' protobuf bodies (`application/vnd.kubernetes.protobuf`), which kubectl and helm send for many requests.
 * The result is what Go would write as JSON: zero values are there exactly where Go has them.
 */
import table from "./generated/protobuf.generated.json" with { type: "json" };
import { setValue } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { malformed, ProtobufReader } from "./protobuf-reader.ts";
import { specialTypes } from "./protobuf-special.ts";
import { ApiError, unsupportedMediaType } from "./status-error.ts";

export const protobufMediaType = "application/vnd.kubernetes.protobuf";

const magic = Buffer.from("k8s\0", "latin1");

interface Field {
  number: number;
  name: string;
  /** Scalar (`string`, `bool`, `int`, `double`, `bytes`), message, or special type (`@Time`); of lists the items', of maps the values'. */
  type: string;
  shape: "one" | "list" | "map";
  /** Go's `omitempty` and `omitzero`. */
  omitEmpty: boolean;
  omitZero: boolean;
  pointer: boolean;
  /** The message's fields stand in the object that has it. */
  inline: boolean;
}

interface Message {
  fields: readonly Field[];
  byNumber: ReadonlyMap<number, Field>;
}

const { kinds, ...layouts } = table as unknown as { kinds: Record<string, string> } & Record<
  string,
  [number, string, string, string][]
>;
const messages = new Map<string, Message>();

function messageOf(name: string): Message | undefined {
  const known = messages.get(name);
  if (known !== undefined) return known;
  const layout = layouts[name];
  if (layout === undefined) return undefined;
  const fields = layout.map(([number, jsonName, type, flags]): Field => {
    const list = type.startsWith("[]");
    const map = /^map\[\w+\]/.exec(type);
    return {
      number,
      name: jsonName,
      type: list ? type.slice(2) : type.slice(map?.[0].length ?? 0),
      shape: list ? "list" : map === null ? "one" : "map",
      omitEmpty: flags.includes("o"),
      omitZero: flags.includes("z"),
      pointer: flags.includes("p"),
      inline: flags.includes("i"),
    };
  });
  const message = { fields, byNumber: new Map(fields.map((field) => [field.number, field])) };
  messages.set(name, message);
  return message;
}

/** Whether a body is in Kubernetes' protobuf envelope, whatever its content type says. */
export function isProtobuf(body: Uint8Array): boolean {
  return body.length >= magic.length && magic.every((byte, index) => body[index] === byte);
}

/**
 * Decodes one object with its envelope. @throws ApiError BadRequest for bodies that are cut or no protobuf,
 * UnsupportedMediaType for kinds that have no protobuf form (custom kinds never have).
 */
export function decodeProtobuf(body: Uint8Array): JsonObject {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (!isProtobuf(bytes)) throw malformed("it does not begin with k8s\\0");
  let apiVersion = "";
  let kind = "";
  let raw = Buffer.alloc(0);
  const reader = new ProtobufReader(bytes, magic.length);
  while (!reader.empty) {
    const { number, wireType } = reader.tag();
    if (number === 1 && wireType === 2) ({ apiVersion, kind } = typeMeta(reader.bytes()));
    else if (number === 2 && wireType === 2) raw = Buffer.from(reader.bytes());
    else reader.skip(wireType);
  }
  // Options are registered in every group, also in those of custom kinds.
  const name = kinds[`${apiVersion}/${kind}`] ?? kinds[`meta.k8s.io/v1/${kind}`];
  if (name === undefined) throw unsupportedKind(apiVersion, kind);
  return { kind, apiVersion, ...(decodeMessage(name, raw) as JsonObject) };
}

function unsupportedKind(apiVersion: string, kind: string): ApiError {
  const { status } = unsupportedMediaType(["application/json", "application/yaml"]);
  const message = `${apiVersion} ${kind} cannot be read as protobuf: ${status.message}`;
  return new ApiError(status.code, status.reason!, message);
}

function typeMeta(bytes: Buffer): { apiVersion: string; kind: string } {
  const result = { apiVersion: "", kind: "" };
  const reader = new ProtobufReader(bytes);
  while (!reader.empty) {
    const { number, wireType } = reader.tag();
    if (number === 1 && wireType === 2) result.apiVersion = reader.bytes().toString("utf8");
    else if (number === 2 && wireType === 2) result.kind = reader.bytes().toString("utf8");
    else reader.skip(wireType);
  }
  return result;
}

function decodeMessage(name: string, bytes: Buffer): unknown {
  const message = messageOf(name);
  if (message === undefined) throw malformed(`the type ${name} is unknown`);
  const values = new Map<number, unknown>();
  const reader = new ProtobufReader(bytes);
  while (!reader.empty) {
    const { number, wireType } = reader.tag();
    const field = message.byNumber.get(number);
    if (field === undefined) reader.skip(wireType);
    else readField(reader, field, wireType, values);
  }
  return toJson(message, values);
}

function readField(reader: ProtobufReader, field: Field, wireType: number, values: Map<number, unknown>): void {
  if (field.shape === "one") {
    values.set(field.number, readValue(reader, field.type, wireType));
    return;
  }
  const known = values.get(field.number);
  if (field.shape === "map") {
    const map = (known ?? {}) as JsonObject;
    readEntry(reader.bytes(), field, map);
    values.set(field.number, map);
    return;
  }
  const list = (known ?? []) as unknown[];
  const packable = field.type === "int" || field.type === "bool" || field.type === "double";
  if (wireType === 2 && packable) {
    const packed = new ProtobufReader(reader.bytes());
    while (!packed.empty) list.push(readValue(packed, field.type, field.type === "double" ? 1 : 0));
  } else {
    list.push(readValue(reader, field.type, wireType));
  }
  values.set(field.number, list);
}

function readEntry(bytes: Buffer, field: Field, map: JsonObject): void {
  let key = "";
  let value: unknown;
  const reader = new ProtobufReader(bytes);
  while (!reader.empty) {
    const { number, wireType } = reader.tag();
    if (number === 1 && wireType === 2) key = reader.bytes().toString("utf8");
    else if (number === 2) value = readValue(reader, field.type, wireType);
    else reader.skip(wireType);
  }
  setValue(map, key, value === undefined ? zeroOf(field.type) : value);
}

const wireTypes: Record<string, number> = { int: 0, bool: 0, double: 1 };

function readValue(reader: ProtobufReader, type: string, wireType: number): unknown {
  if (wireType !== (wireTypes[type] ?? 2)) throw malformed(`a field of type ${type} has wire type ${wireType}`);
  switch (type) {
    case "int":
      return reader.integer();
    case "bool":
      return reader.integer() !== 0;
    case "double":
      return reader.double();
    case "string":
      return reader.bytes().toString("utf8");
    case "bytes":
      return reader.bytes().toString("base64");
    default: {
      const special = specialTypes[type];
      // Lists of lists (map[string]ExtraValue) and `[]byte` items come here by their own names.
      return special === undefined
        ? decodeMessage(type, reader.bytes())
        : special.decode(reader.bytes(), decodeMessage);
    }
  }
}

function zeroOf(type: string): unknown {
  switch (type) {
    case "int":
    case "double":
      return 0;
    case "bool":
      return false;
    case "string":
      return "";
    case "bytes":
      return null;
    default: {
      const special = specialTypes[type];
      return special === undefined ? toJson(messageOf(type)!, new Map()) : special.zero;
    }
  }
}

const listTypes = new Set(["@Verbs", "@ExtraValue", "bytes"]);

/** What Go's encoding/json writes: omitempty drops empty scalars, lists and maps, but never structs. */
function toJson(message: Message, values: Map<number, unknown>): JsonObject {
  const object: JsonObject = {};
  for (const field of message.fields) {
    let value = values.get(field.number);
    if (field.inline) {
      if (value === undefined && field.pointer) continue;
      Object.assign(object, value ?? zeroOf(field.type));
      continue;
    }
    if (value === undefined) {
      if (field.omitZero) continue;
      const nil = field.pointer || field.shape !== "one" || listTypes.has(field.type);
      if (nil && field.omitEmpty) continue;
      value = nil ? null : zeroOf(field.type);
    }
    if (field.omitZero && value === null) continue;
    if (field.omitEmpty && !field.pointer && isEmpty(value)) continue;
    if (value === null && field.pointer && field.omitEmpty) continue;
    setValue(object, field.name, value);
  }
  return object;
}

function isEmpty(value: unknown): boolean {
  return value === "" || value === 0 || value === false || (Array.isArray(value) && value.length === 0);
}
