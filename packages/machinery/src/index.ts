export { builtInDefinitionName, builtInDefinitions, builtInResources, builtInSchema } from "./built-in.ts";
export type { Resource, Subresource } from "./built-in.ts";
export { humanDuration, translateTimestampSince } from "./age.ts";
export { compileJsonPath } from "./json-path.ts";
export type { JsonPath } from "./json-path.ts";
export { compileTableLayout, defaultPrinterColumns, makeTable, partialObjectMetadata } from "./table.ts";
export type { PrinterColumn, Table, TableColumnDefinition, TableLayout, TableOptions, TableRow } from "./table.ts";
export { compileCelRules } from "./cel.ts";
export type { CelRules } from "./cel.ts";
export { compileCustomSchema, compiledBuiltInSchema } from "./compiled-schema.ts";
export type { CompiledSchema, Pruned } from "./compiled-schema.ts";
export { formatDuration, parseDuration } from "./formats.ts";
export type { SchemaNode } from "./schema-node.ts";
export { parseJsonStrict } from "./strict-json.ts";
export type { StrictJson } from "./strict-json.ts";
export { customKindDefinitions, openApiDocument } from "./openapi.ts";
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
export { decodeProtobuf, isProtobuf, protobufMediaType } from "./protobuf.ts";
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
export { resolveSchema } from "./schema.ts";
export type { Definitions, Schema, ValidationRule } from "./schema.ts";
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
export { applyStrategicMergePatch } from "./strategic-patch.ts";
export { managedFieldsAfterUpdate, serverSideApply } from "./managed-fields.ts";
export type { Applied, FieldManagerOptions, ManagedFieldsEntry } from "./managed-fields.ts";
