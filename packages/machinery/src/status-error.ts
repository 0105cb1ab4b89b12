/**
 * Errors of the Kubernetes API: an {@link ApiError} carries the Status that goes over the wire. The messages and codes are
 * those of apimachinery's `api/errors`, because clients print them and some match on them.
 */
import { fieldErrorBody, renderFieldErrors } from "./field-errors.ts";
import type { FieldError } from "./field-errors.ts";

export interface StatusCause {
  reason?: string;
  message?: string;
  /** Path of the field, for errors of validation. */
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  /** The resource (`pods`), or for validation the kind (`Pod`). */
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

export interface Status {
  kind: "Status";
  apiVersion: "v1";
  metadata: { resourceVersion?: string; continue?: string };
  status: "Success" | "Failure";
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code: number;
}

/** A resource in an error: `{group: "apps", resource: "deployments"}` prints as `deployments.apps`. */
export interface GroupResource {
  group: string;
  resource: string;
}

export interface GroupKind {
  group: string;
  kind: string;
}

export class ApiError extends Error {
  readonly status: Status;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.name = "ApiError";
    this.status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code };
    if (details !== undefined) this.status.details = details;
  }

  /** HTTP status code. */
  get code(): number {
    return this.status.code;
  }

  /** `NotFound`, `Conflict`, … */
  get reason(): string {
    return this.status.reason ?? "";
  }
}

/** Rebuilds the error from a Status that came over the wire. */
export function apiErrorFromStatus(status: Status): ApiError {
  const error = new ApiError(status.code, status.reason ?? "", status.message ?? "", status.details);
  Object.assign(error.status.metadata, status.metadata);
  return error;
}

/** Whether an error is an ApiError with this reason: `isApiError(error, "NotFound")`. */
export function isApiError(error: unknown, reason?: string): error is ApiError {
  return error instanceof ApiError && (reason === undefined || error.reason === reason);
}

function named(resource: GroupResource): string {
  return resource.group === "" ? resource.resource : `${resource.resource}.${resource.group}`;
}

function detailsOf(resource: GroupResource, name: string, more?: StatusDetails): StatusDetails {
  const details: StatusDetails = {};
  if (name !== "") details.name = name;
  if (resource.group !== "") details.group = resource.group;
  if (resource.resource !== "") details.kind = resource.resource;
  return { ...details, ...more };
}

export function notFound(resource: GroupResource, name: string): ApiError {
  return new ApiError(404, "NotFound", `${named(resource)} "${name}" not found`, detailsOf(resource, name));
}

/** A path that no resource answers. */
export function pathNotFound(): ApiError {
  return new ApiError(404, "NotFound", "the server could not find the requested resource", {});
}

export function alreadyExists(resource: GroupResource, name: string): ApiError {
  return new ApiError(409, "AlreadyExists", `${named(resource)} "${name}" already exists`, detailsOf(resource, name));
}

export const modifiedMessage =
  "the object has been modified; please apply your changes to the latest version and try again";

export function conflict(resource: GroupResource, name: string, message: string = modifiedMessage): ApiError {
  const text = `Operation cannot be fulfilled on ${named(resource)} "${name}": ${message}`;
  return new ApiError(409, "Conflict", text, detailsOf(resource, name));
}

/** Server-side apply met fields of other managers. */
export function applyConflict(causes: StatusCause[], message: string): ApiError {
  return new ApiError(409, "Conflict", message, { causes });
}

export function invalid(kind: GroupKind, name: string, errors: readonly FieldError[]): ApiError {
  const subject = kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`;
  const text = `${subject} "${name}" is invalid`;
  const details: StatusDetails = {};
  if (name !== "") details.name = name;
  if (kind.group !== "") details.group = kind.group;
  if (kind.kind !== "") details.kind = kind.kind;
  if (errors.length > 0) {
    details.causes = errors.map((error) => ({
      reason: error.type,
      message: fieldErrorBody(error),
      field: error.field === "" ? "<nil>" : error.field,
    }));
  }
  const message = errors.length === 0 ? text : `${text}: ${renderFieldErrors(errors)}`;
  return new ApiError(422, "Invalid", message, details);
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, "BadRequest", message);
}

/** `name` may be empty. */
export function forbidden(resource: GroupResource, name: string, message: string): ApiError {
  const subject =
    resource.resource === "" ? "" : name === "" ? `${named(resource)} is ` : `${named(resource)} "${name}" is `;
  return new ApiError(403, "Forbidden", `${subject}forbidden: ${message}`, detailsOf(resource, name));
}

export function unauthorized(message = "Unauthorized"): ApiError {
  return new ApiError(401, "Unauthorized", message);
}

/** 410 for resource versions and continue tokens that are too old; `continueToken` lets a list go on inconsistently. */
export function expired(message: string, continueToken?: string): ApiError {
  const error = new ApiError(410, "Expired", message);
  if (continueToken !== undefined) error.status.metadata.continue = continueToken;
  return error;
}

/** 410 for things that will never be here again. */
export function gone(message: string): ApiError {
  return new ApiError(410, "Gone", message);
}

export function tooLarge(message: string): ApiError {
  return new ApiError(413, "RequestEntityTooLarge", `Request entity too large: ${message}`);
}

export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`;
  return new ApiError(415, "UnsupportedMediaType", message);
}

export function notAcceptable(accepted: readonly string[]): ApiError {
  return new ApiError(406, "NotAcceptable", `only the following media types are accepted: ${accepted.join(", ")}`);
}

export function methodNotSupported(resource: GroupResource, action: string): ApiError {
  const message = `${action} is not supported on resources of kind "${named(resource)}"`;
  return new ApiError(405, "MethodNotAllowed", message, detailsOf(resource, ""));
}

export function timeout(message: string, retryAfterSeconds = 0): ApiError {
  return new ApiError(504, "Timeout", `Timeout: ${message}`, retryAfterSeconds > 0 ? { retryAfterSeconds } : {});
}

/** A list or get asked for a resource version that is still in the future. */
export function resourceVersionTooLarge(asked: string, current: string, retryAfterSeconds = 1): ApiError {
  return new ApiError(504, "Timeout", `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    retryAfterSeconds,
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
  });
}

/** The server could not finish; the client may try again. */
export function serverTimeout(resource: GroupResource, operation: string, retryAfterSeconds = 1): ApiError {
  const message = `The ${operation} operation against ${named(resource)} could not be completed at this time, please try again.`;
  return new ApiError(500, "ServerTimeout", message, detailsOf(resource, "", { retryAfterSeconds }));
}

/** Nothing can be written: the disk that holds the data is full. */
export function insufficientStorage(message: string): ApiError {
  return new ApiError(507, "InsufficientStorage", message);
}

export function internalError(message: string): ApiError {
  return new ApiError(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] });
}

export function serviceUnavailable(message: string): ApiError {
  return new ApiError(503, "ServiceUnavailable", message);
}

export function tooManyRequests(message: string, retryAfterSeconds: number): ApiError {
  return new ApiError(429, "TooManyRequests", message, { retryAfterSeconds });
}
