/** The object model that every part needs. What only a server of objects needs stands in server.ts, and costs nothing elsewhere. */
export { humanDuration, translateTimestampSince } from "./age.ts";
export { formatDuration, parseDuration } from "./formats.ts";
export {
  childPath,
  fieldDuplicate,
  fieldErrorBody,
  fieldForbidden,
  fieldInternalError,
  fieldInvalid,
  fieldNotFound,
  fieldNotSupported,
  fieldRequired,
  fieldTooLong,
  fieldTooMany,
  fieldTypeInvalid,
  indexPath,
  renderFieldError,
  renderFieldErrors,
} from "./field-errors.ts";
export type { FieldError, FieldErrorType } from "./field-errors.ts";
export { cloneJson, isObject, jsonEqual } from "./json.ts";
export type { JsonObject } from "./json.ts";
export {
  checkConfigMapKey,
  checkDns1035Label,
  checkDns1123Label,
  checkDns1123Subdomain,
  checkEnvironmentVariableName,
  checkLabelValue,
  checkPathSegment,
  checkQualifiedName,
  generatedName,
  maximumAnnotationsBytes,
  validateAnnotations,
  validateLabels,
} from "./names.ts";
export { apiVersionOf } from "./objects.ts";
export type { Condition, KubernetesObject, ObjectMeta, OwnerReference, ResourceKey } from "./objects.ts";
export { applyJsonPatch, applyMergePatch, createMergePatch } from "./patch.ts";
export {
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityError,
  quantityToInteger,
  quantityToMilli,
} from "./quantity.ts";
export type { Quantity, QuantityFormat } from "./quantity.ts";
export { compareResourceVersions, isResourceVersion } from "./resource-version.ts";
export {
  checkFieldSelector,
  fieldValue,
  formatLabelSelector,
  labelSelectorRequirements,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from "./selectors.ts";
export type {
  FieldRequirement,
  FieldRequirements,
  LabelRequirement,
  LabelRequirements,
  LabelSelector,
} from "./selectors.ts";
export {
  alreadyExists,
  ApiError,
  apiErrorFromStatus,
  applyConflict,
  badRequest,
  conflict,
  expired,
  forbidden,
  gone,
  insufficientStorage,
  internalError,
  invalid,
  isApiError,
  methodNotSupported,
  modifiedMessage,
  notAcceptable,
  notFound,
  pathNotFound,
  resourceVersionTooLarge,
  serverTimeout,
  serviceUnavailable,
  timeout,
  tooLarge,
  tooManyRequests,
  unauthorized,
  unsupportedMediaType,
} from "./status-error.ts";
export type { GroupKind, GroupResource, Status, StatusCause, StatusDetails } from "./status-error.ts";
