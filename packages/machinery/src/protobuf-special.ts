/** Types with a JSON form of their own: how their messages become JSON, and what an absent one is. */
import { formatDuration } from "./formats.ts";
import { malformed, ProtobufReader } from "./protobuf-reader.ts";

export interface SpecialType {
  decode(bytes: Buffer, decodeMessage: (name: string, bytes: Buffer) => unknown): unknown;
  /** JSON of Go's zero value. */
  zero: unknown;
}

/** The fields of a small message: numbers of varints, buffers of the others, all in the order read. */
function fieldsOf(bytes: Buffer): Map<number, (number | Buffer)[]> {
  const fields = new Map<number, (number | Buffer)[]>();
  const reader = new ProtobufReader(bytes);
  while (!reader.empty) {
    const { number, wireType } = reader.tag();
    if (wireType !== 0 && wireType !== 2) {
      reader.skip(wireType);
      continue;
    }
    const value = wireType === 0 ? reader.integer() : reader.bytes();
    const values = fields.get(number);
    if (values === undefined) fields.set(number, [value]);
    else values.push(value);
  }
  return fields;
}

function numberAt(fields: Map<number, (number | Buffer)[]>, number: number): number {
  const value = fields.get(number)?.at(-1);
  return typeof value === "number" ? value : 0;
}

function bytesAt(fields: Map<number, (number | Buffer)[]>, number: number): Buffer | undefined {
  const value = fields.get(number)?.at(-1);
  return typeof value === "number" ? undefined : value;
}

function textsAt(fields: Map<number, (number | Buffer)[]>, number: number): string[] {
  return (fields.get(number) ?? []).map((value) => (typeof value === "number" ? "" : value.toString("utf8")));
}

/** Seconds since 1970 as RFC 3339, also for years that JavaScript's printing would write with a sign. */
function timeText(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
}

function rawJson(bytes: Buffer): unknown {
  const raw = bytesAt(fieldsOf(bytes), 1);
  if (raw === undefined || raw.length === 0) return null;
  try {
    return JSON.parse(raw.toString("utf8"));
  } catch {
    throw malformed("a raw field is no JSON");
  }
}

const schemaMessage = "apiextensions.v1.JSONSchemaProps";

export const specialTypes: Record<string, SpecialType> = {
  "@Quantity": { zero: "0", decode: (bytes) => textsAt(fieldsOf(bytes), 1).at(-1) ?? "0" },
  "@IntOrString": {
    zero: 0,
    decode: (bytes) => {
      const fields = fieldsOf(bytes);
      return numberAt(fields, 1) === 0 ? numberAt(fields, 2) : (textsAt(fields, 3).at(-1) ?? "");
    },
  },
  "@Time": {
    zero: null,
    decode: (bytes) => (bytes.length === 0 ? null : timeText(numberAt(fieldsOf(bytes), 1))),
  },
  "@MicroTime": {
    zero: null,
    decode: (bytes) => {
      if (bytes.length === 0) return null;
      const fields = fieldsOf(bytes);
      const microseconds = Math.floor(numberAt(fields, 2) / 1000);
      return `${timeText(numberAt(fields, 1)).slice(0, 19)}.${String(microseconds).padStart(6, "0")}Z`;
    },
  },
  "@Duration": { zero: "0s", decode: (bytes) => formatDuration(BigInt(numberAt(fieldsOf(bytes), 1))) },
  "@FieldsV1": { zero: null, decode: rawJson },
  "@RawExtension": { zero: null, decode: rawJson },
  "@JSON": { zero: null, decode: rawJson },
  "@Verbs": { zero: null, decode: (bytes) => textsAt(fieldsOf(bytes), 1) },
  "@ExtraValue": { zero: null, decode: (bytes) => textsAt(fieldsOf(bytes), 1) },
  "@JSONSchemaPropsOrArray": {
    zero: null,
    decode: (bytes, decodeMessage) => {
      const fields = fieldsOf(bytes);
      const list = fields.get(2);
      if (list !== undefined) return list.map((one) => decodeMessage(schemaMessage, one as Buffer));
      const schema = bytesAt(fields, 1);
      return schema === undefined ? null : decodeMessage(schemaMessage, schema);
    },
  },
  "@JSONSchemaPropsOrBool": {
    zero: false,
    decode: (bytes, decodeMessage) => {
      const fields = fieldsOf(bytes);
      const schema = bytesAt(fields, 2);
      return schema === undefined ? numberAt(fields, 1) !== 0 : decodeMessage(schemaMessage, schema);
    },
  },
  "@JSONSchemaPropsOrStringArray": {
    zero: null,
    decode: (bytes, decodeMessage) => {
      const fields = fieldsOf(bytes);
      if (fields.has(2)) return textsAt(fields, 2);
      const schema = bytesAt(fields, 1);
      return schema === undefined ? null : decodeMessage(schemaMessage, schema);
    },
  },
};
