/** Validation rules in CEL (`x-kubernetes-validations`): compiled once, evaluated on each write. */
import { Optional } from "@marcbachmann/cel-js";
import type { Environment, ParseResult } from "@marcbachmann/cel-js";
import { celEnvironment } from "./cel-library.ts";
import { areSame, provenBySameness, readsOf } from "./cel-reads.ts";
import type { Reads, Sameness } from "./cel-reads.ts";
import { celFieldName, celProjection, celValue, visibleMetadata } from "./cel-value.ts";
import type { CompiledSchema } from "./compiled-schema.ts";
import { childPath, fieldDuplicate, fieldForbidden, fieldInvalid, fieldRequired, indexPath } from "./field-errors.ts";
import type { FieldError } from "./field-errors.ts";
import { isObject, jsonEqual, ownValue } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { SchemaNode } from "./schema-node.ts";
import type { ValidationRule } from "./schema.ts";

export interface CelRules {
  /** What is wrong with the rules themselves, by their place in the schema; such rules refuse nothing. */
  readonly errors: readonly FieldError[];
  /**
   * The rules that the object breaks. `old` is the object before an update; rules that use `oldSelf` are skipped where there
   * is no old value. A rule without `oldSelf` that fails on a value that the update did not touch is let pass, as Kubernetes
   * does (ratcheting).
   */
  validate(object: JsonObject, old?: JsonObject): FieldError[];
}

interface CompiledRule {
  rule: ValidationRule;
  program: ParseResult;
  messageProgram: ParseResult | undefined;
  usesOldSelf: boolean;
  /** Undefined: a variable as a whole, or the message reads more. */
  reads: Reads | undefined;
  /** Of a rule with `oldSelf`: it holds where these have not changed. */
  proof: readonly Sameness[] | undefined;
  /** Path below the schema's place, ready to be joined. */
  fieldPath: string;
}

/** The part of a schema that has rules below it. */
interface RuleNode {
  node: SchemaNode;
  rules: CompiledRule[];
  properties: Map<string, RuleNode>;
  additional: RuleNode | undefined;
  items: RuleNode | undefined;
  /** Some rule here or below uses `oldSelf`; else there is nothing to do where nothing has changed. */
  hasTransitions: boolean;
}

const environments = new Map<boolean, Environment>();

function sharedEnvironment(optionalOldSelf: boolean): Environment {
  let environment = environments.get(optionalOldSelf);
  if (environment === undefined) {
    environment = celEnvironment(optionalOldSelf);
    environments.set(optionalOldSelf, environment);
  }
  return environment;
}

let durationProgram: ParseResult | undefined;

function makeDuration(text: string): unknown {
  durationProgram ??= sharedEnvironment(false).parse("duration(self)");
  return durationProgram({ self: text });
}

/** Compiles all rules of a custom kind's schema. `path` is put before the places of what is wrong with rules. */
export function compileCelRules(schema: CompiledSchema, path = "openAPIV3Schema"): CelRules {
  const errors: FieldError[] = [];
  const root = compileNode(schema.node, path, errors, new Map());
  return {
    errors,
    validate: (object, old) => {
      if (root === undefined) return [];
      const found: FieldError[] = [];
      const before = old === undefined ? undefined : withVisibleMetadata(old);
      evaluateNode(root, { value: withVisibleMetadata(object), old: before }, "", found);
      return found;
    },
  };
}

function withVisibleMetadata(object: JsonObject): JsonObject {
  return { ...object, metadata: visibleMetadata(object.metadata) };
}

function compileNode(
  node: SchemaNode,
  path: string,
  errors: FieldError[],
  known: Map<SchemaNode, RuleNode>,
): RuleNode | undefined {
  const met = known.get(node);
  if (met !== undefined) return met;
  const result: RuleNode = {
    node,
    rules: [],
    properties: new Map(),
    additional: undefined,
    items: undefined,
    hasTransitions: false,
  };
  known.set(node, result);
  for (const [index, rule] of (node.schema["x-kubernetes-validations"] ?? []).entries()) {
    const compiled = compileRule(rule, `${path}.x-kubernetes-validations[${index}]`, errors);
    if (compiled !== undefined) result.rules.push(compiled);
  }
  for (const [name, child] of node.properties) {
    const below = compileNode(child, `${path}.properties[${name}]`, errors, known);
    if (below !== undefined) result.properties.set(name, below);
  }
  if (node.additional !== undefined) {
    result.additional = compileNode(node.additional, `${path}.additionalProperties`, errors, known);
  }
  if (node.items !== undefined) result.items = compileNode(node.items, `${path}.items`, errors, known);
  const below = [...result.properties.values(), result.additional, result.items].filter((one) => one !== undefined);
  result.hasTransitions =
    result.rules.some(({ usesOldSelf }) => usesOldSelf) || below.some(({ hasTransitions }) => hasTransitions);
  if (result.rules.length > 0 || below.length > 0) return result;
  known.delete(node);
  return undefined;
}

function compileRule(rule: ValidationRule, path: string, errors: FieldError[]): CompiledRule | undefined {
  if (rule.rule.trim() === "") {
    errors.push(fieldRequired(`${path}.rule`, "rule is not specified"));
    return undefined;
  }
  const environment = sharedEnvironment(rule.optionalOldSelf === true);
  const program = compileExpression(environment, rule.rule, "bool", `${path}.rule`, errors);
  if (program === undefined) return undefined;
  const messageProgram =
    rule.messageExpression === undefined
      ? undefined
      : compileExpression(environment, rule.messageExpression, "string", `${path}.messageExpression`, errors);
  const usesOldSelf = mentions(program.ast, "oldSelf");
  if (rule.optionalOldSelf === true && !usesOldSelf) {
    errors.push(fieldInvalid(`${path}.optionalOldSelf`, true, "may not be set if oldSelf is not used in rule"));
  }
  return {
    rule,
    program,
    messageProgram,
    usesOldSelf,
    reads: messageProgram === undefined && rule.optionalOldSelf !== true ? readsOf(program.ast) : undefined,
    proof: rule.optionalOldSelf === true ? undefined : provenBySameness(program.ast),
    fieldPath: (rule.fieldPath ?? "").replace(/^\./, ""),
  };
}

function compileExpression(
  environment: Environment,
  expression: string,
  wanted: "bool" | "string",
  path: string,
  errors: FieldError[],
): ParseResult | undefined {
  try {
    const program = environment.parse(expression);
    const { valid, type, error } = program.check();
    if (!valid) {
      errors.push(fieldInvalid(path, expression, `compilation failed: ${firstLine(error)}`));
      return undefined;
    }
    if (type !== wanted && type !== "dyn") {
      errors.push(fieldInvalid(path, expression, `cel expression must evaluate to a ${wanted}`));
      return undefined;
    }
    return program;
  } catch (error) {
    errors.push(fieldInvalid(path, expression, `compilation failed: ${firstLine(error)}`));
    return undefined;
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}

/** Whether a tree of the parser has this variable. */
function mentions(tree: unknown, variable: string): boolean {
  if (Array.isArray(tree)) return tree.some((one) => mentions(one, variable));
  if (typeof tree !== "object" || tree === null || !("op" in tree) || !("args" in tree)) return false;
  const { op, args } = tree as { op: unknown; args: unknown };
  return op === "id" ? args === variable : mentions(args, variable);
}

/** A value and what it was before, as JSON; undefined where absent. */
interface Scope {
  value: unknown;
  old: unknown;
}

function evaluateNode(rules: RuleNode, scope: Scope, path: string, errors: FieldError[]): void {
  const { value } = scope;
  if (value === null || value === undefined) return;
  const untouched = scope.old !== undefined && jsonEqual(value, scope.old);
  if (untouched && !rules.hasTransitions) return;
  for (const rule of rules.rules) evaluateRule(rule, rules.node, scope, untouched, path, errors);
  if (Array.isArray(value)) evaluateItems(rules, value, scope, path, errors);
  else if (isObject(value)) evaluateFields(rules, value, scope, path, errors);
}

function evaluateFields(rules: RuleNode, value: JsonObject, scope: Scope, path: string, errors: FieldError[]): void {
  const old = isObject(scope.old) ? scope.old : undefined;
  const child = (key: string): Scope => ({
    value: ownValue(value, key),
    old: old === undefined ? undefined : ownValue(old, key),
  });
  for (const [key, below] of rules.properties) {
    if (celFieldName(key) !== undefined && Object.hasOwn(value, key))
      evaluateNode(below, child(key), childPath(path, key), errors);
  }
  if (rules.additional === undefined) return;
  for (const key of Object.keys(value)) {
    if (!rules.node.properties.has(key)) evaluateNode(rules.additional, child(key), indexPath(path, key), errors);
  }
}

/** Items have an old value only in lists of type map, where the keys tell which it was. */
function evaluateItems(rules: RuleNode, list: unknown[], scope: Scope, path: string, errors: FieldError[]): void {
  if (rules.items === undefined) return;
  const keys = rules.node.schema["x-kubernetes-list-map-keys"];
  const old = Array.isArray(scope.old) && keys !== undefined ? scope.old : [];
  for (const [index, value] of list.entries()) {
    const before = old.findIndex((one) =>
      keys!.every((key) => isObject(one) && isObject(value) && one[key] === value[key]),
    );
    const item: Scope = { value, old: before === -1 ? undefined : old[before] };
    evaluateNode(rules.items, item, indexPath(path, index), errors);
  }
}

function evaluateRule(
  compiled: CompiledRule,
  node: SchemaNode,
  scope: Scope,
  untouched: boolean,
  path: string,
  errors: FieldError[],
): void {
  const { rule, program, usesOldSelf, proof, fieldPath } = compiled;
  const optional = rule.optionalOldSelf === true;
  if (usesOldSelf && scope.old === undefined && !optional) return;
  if (untouched && !usesOldSelf) return;
  if (usesOldSelf && proof !== undefined && areSame(proof, scope.value, scope.old)) return;
  const context = contextOf(compiled, node, scope, optional);
  const said = (rule.message ?? rule.rule).trim();
  let result: unknown;
  try {
    result = program(context);
  } catch (error) {
    errors.push(fieldInvalid(path, node.schema.type, `${firstLine(error)} evaluating rule: ${said}`));
    return;
  }
  if (result === true) return;
  const at = fieldPath === "" ? path : fieldPath.startsWith("[") ? `${path}${fieldPath}` : childPath(path, fieldPath);
  const message = messageOf(compiled, context) ?? (rule.message === undefined ? `failed rule: ${said}` : said);
  errors.push(ruleError(rule, at, scope.value, message));
}

/** The variables of a rule, with no more in them than it reads. */
function contextOf(
  { reads, usesOldSelf }: CompiledRule,
  node: SchemaNode,
  scope: Scope,
  optional: boolean,
): JsonObject {
  const variable = (value: unknown, places: readonly string[][] | undefined): unknown =>
    places !== undefined && isObject(value)
      ? celProjection(value, node, places, makeDuration)
      : celValue(value, node, makeDuration);
  const self = variable(scope.value, reads?.self);
  if (!usesOldSelf) return { self, oldSelf: undefined };
  const oldSelf = scope.old === undefined ? undefined : variable(scope.old, reads?.oldSelf);
  return { self, oldSelf: optional ? (oldSelf === undefined ? Optional.none() : Optional.of(oldSelf)) : oldSelf };
}

function messageOf({ messageProgram }: CompiledRule, context: JsonObject): string | undefined {
  if (messageProgram === undefined) return undefined;
  try {
    const text: unknown = messageProgram(context);
    const trimmed = typeof text === "string" ? text.trim() : "";
    return trimmed === "" || trimmed.includes("\n") ? undefined : trimmed;
  } catch {
    // A message that cannot be made gives way to the plain one; the rule is broken all the same.
    return undefined;
  }
}

function ruleError(rule: ValidationRule, path: string, value: unknown, message: string): FieldError {
  const error = fieldInvalid(path, value, message);
  if (typeof value === "object") delete error.value;
  switch (rule.reason) {
    case "FieldValueForbidden":
      return fieldForbidden(path, message);
    case "FieldValueRequired":
      return fieldRequired(path, message);
    case "FieldValueDuplicate":
      return { ...fieldDuplicate(path, error.value), detail: "" };
    default:
      return error;
  }
}
