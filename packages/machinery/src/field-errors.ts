/** What is wrong with one field of an object, rendered in the words that Kubernetes' clients know. */

export type FieldErrorType =
  | "FieldValueNotFound"
  | "FieldValueRequired"
  | "FieldValueDuplicate"
  | "FieldValueInvalid"
  | "FieldValueNotSupported"
  | "FieldValueForbidden"
  | "FieldValueTooLong"
  | "FieldValueTooMany"
  | "FieldValueTypeInvalid"
  | "InternalError";

export interface FieldError {
  type: FieldErrorType;
  /** `spec.containers[0].name`; empty is the object itself. */
  field: string;
  /** The offending value; an absent property is not printed, `null` is. */
  value?: unknown;
  detail: string;
}

const words: Record<FieldErrorType, string> = {
  FieldValueNotFound: "Not found",
  FieldValueRequired: "Required value",
  FieldValueDuplicate: "Duplicate value",
  FieldValueInvalid: "Invalid value",
  FieldValueNotSupported: "Unsupported value",
  FieldValueForbidden: "Forbidden",
  FieldValueTooLong: "Too long",
  FieldValueTooMany: "Too many",
  FieldValueTypeInvalid: "Invalid value",
  InternalError: "Internal error",
};

const withoutValue = new Set<FieldErrorType>([
  "FieldValueRequired",
  "FieldValueForbidden",
  "FieldValueTooLong",
  "InternalError",
]);

export function fieldRequired(field: string, detail = ""): FieldError {
  return { type: "FieldValueRequired", field, detail };
}

export function fieldInvalid(field: string, value: unknown, detail: string): FieldError {
  return { type: "FieldValueInvalid", field, value, detail };
}

/** A value of the wrong type. */
export function fieldTypeInvalid(field: string, value: unknown, detail: string): FieldError {
  return { type: "FieldValueTypeInvalid", field, value, detail };
}

/** A value that is none of a closed list. */
export function fieldNotSupported(field: string, value: unknown, supported: readonly unknown[]): FieldError {
  const list = supported.map((one) => JSON.stringify(String(one))).join(", ");
  return {
    type: "FieldValueNotSupported",
    field,
    value,
    detail: supported.length > 0 ? `supported values: ${list}` : "",
  };
}

export function fieldForbidden(field: string, detail: string): FieldError {
  return { type: "FieldValueForbidden", field, detail };
}

export function fieldDuplicate(field: string, value: unknown): FieldError {
  return { type: "FieldValueDuplicate", field, value, detail: "" };
}

export function fieldNotFound(field: string, value: unknown): FieldError {
  return { type: "FieldValueNotFound", field, value, detail: "" };
}

export function fieldTooLong(field: string, maximumBytes: number): FieldError {
  const unit = maximumBytes === 1 ? "byte" : "bytes";
  return { type: "FieldValueTooLong", field, detail: `may not be more than ${maximumBytes} ${unit}` };
}

export function fieldTooMany(field: string, actual: number, maximum: number): FieldError {
  const unit = maximum === 1 ? "item" : "items";
  return { type: "FieldValueTooMany", field, value: actual, detail: `must have at most ${maximum} ${unit}` };
}

export function fieldInternalError(field: string, detail: string): FieldError {
  return { type: "InternalError", field, detail };
}

/** `parent.name`, or `name` at the root. */
export function childPath(parent: string, name: string): string {
  return parent === "" ? name : `${parent}.${name}`;
}

/** `parent[3]` for list items, `parent[key]` for entries of free-form maps. */
export function indexPath(parent: string, index: number | string): string {
  return `${parent}[${index}]`;
}

/** Without the field's path: `Invalid value: "x": must be …`. This is the message of a Status' cause. */
export function fieldErrorBody(error: FieldError): string {
  let text = words[error.type];
  if (!withoutValue.has(error.type) && "value" in error) text += `: ${renderValue(error.value)}`;
  return error.detail === "" ? text : `${text}: ${error.detail}`;
}

/** `spec.containers[0].name: Required value: …` */
export function renderFieldError(error: FieldError): string {
  return `${error.field === "" ? "<nil>" : error.field}: ${fieldErrorBody(error)}`;
}

/** Several errors as one text: one as it is, more in brackets, equal ones once. */
export function renderFieldErrors(errors: readonly FieldError[]): string {
  const texts = [...new Set(errors.map(renderFieldError))];
  return texts.length === 1 ? texts[0]! : `[${texts.join(", ")}]`;
}

function renderValue(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (value === undefined) return "null";
  if (typeof value === "object" && value !== null) return JSON.stringify(sortedKeys(value));
  return JSON.stringify(value);
}

function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [key, sortedKeys(one)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
