/**
 * Schemas compiled for walking: names looked up, patterns made, children resolved. A definition that many schemas refer to is
 * compiled once; recursive definitions become cycles.
 */
import { formatCheck } from "./formats.ts";
import type { FormatCheck } from "./formats.ts";
import { resolveSchema } from "./schema.ts";
import type { Definitions, Schema } from "./schema.ts";

export interface SchemaNode {
  /** The schema, its top-level `$ref` resolved. */
  schema: Schema;
  /** What a value must be: the schema's type, or two with int-or-string; empty: anything. */
  types: readonly string[];
  properties: ReadonlyMap<string, SchemaNode>;
  additional: SchemaNode | undefined;
  items: SchemaNode | undefined;
  /** Unknown fields stay. */
  open: boolean;
  embedded: boolean;
  nullable: boolean;
  /** Names and values, of properties that have a default. */
  defaults: readonly (readonly [string, unknown])[];
  /** Whether a default may be set anywhere below. */
  defaulting: boolean;
  /** Whether prune must walk the values: false for scalars that are stored as they come. */
  pruning: boolean;
  required: readonly string[];
  pattern: RegExp | undefined;
  format: FormatCheck | undefined;
  /** Rewrites a scalar as Kubernetes stores it (`1000m` as `1`); only in built-in kinds. */
  canonical: ((value: unknown) => unknown) | undefined;
  enumeration: ReadonlySet<unknown> | undefined;
  allOf: readonly SchemaNode[];
  anyOf: readonly SchemaNode[];
  oneOf: readonly SchemaNode[];
  not: SchemaNode | undefined;
  /** Whether anything but type, required and children is to be checked. */
  constrained: boolean;
}

const noNodes: readonly SchemaNode[] = [];

export interface CompilerOptions {
  definitions: Definitions;
  /** By format: how built-in kinds rewrite scalars. */
  canonical?: Readonly<Record<string, (value: unknown) => unknown>>;
}

/** One compiler shares the nodes of its definitions between all schemas that it compiles. */
export class SchemaCompiler {
  readonly #definitions: Definitions;
  readonly #canonical: Readonly<Record<string, (value: unknown) => unknown>>;
  readonly #nodes = new Map<Schema, SchemaNode>();

  constructor({ definitions, canonical = {} }: CompilerOptions) {
    this.#definitions = definitions;
    this.#canonical = canonical;
  }

  /** @throws Error for references to missing definitions and patterns that are none */
  compile(schema: Schema): SchemaNode {
    const key = this.#identity(schema);
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    const node = { defaulting: true, pruning: true } as SchemaNode;
    this.#nodes.set(key, node);
    this.#fill(node, resolveSchema(schema, this.#definitions));
    return node;
  }

  /** A schema that is nothing but a reference is its definition, so that it is compiled once. */
  #identity(schema: Schema): Schema {
    let found = schema;
    while (found.$ref !== undefined && Object.keys(found).length === 1) {
      const definition = this.#definitions[found.$ref];
      if (definition === undefined) break;
      found = definition;
    }
    return found;
  }

  #fill(node: SchemaNode, schema: Schema): void {
    const intOrString = schema["x-kubernetes-int-or-string"] === true;
    const additional = schema.additionalProperties;
    node.schema = schema;
    node.types = typesOf(schema, intOrString);
    node.open = schema["x-kubernetes-preserve-unknown-fields"] === true || additional === true;
    node.embedded = schema["x-kubernetes-embedded-resource"] === true;
    node.nullable = schema.nullable === true;
    node.required = schema.required ?? [];
    node.pattern = schema.pattern === undefined ? undefined : compilePattern(schema.pattern);
    node.format = schema.format === undefined ? undefined : formatCheck(schema.format);
    node.canonical = schema.format === undefined ? undefined : this.#canonical[schema.format];
    node.enumeration = schema.enum === undefined ? undefined : new Set(schema.enum);
    node.properties = new Map(Object.entries(schema.properties ?? {}).map(([name, one]) => [name, this.compile(one)]));
    node.additional = typeof additional === "object" ? this.compile(additional) : undefined;
    node.items = schema.items === undefined ? undefined : this.compile(schema.items);
    node.allOf = this.#all(schema.allOf);
    node.anyOf = this.#all(schema.anyOf);
    node.oneOf = this.#all(schema.oneOf);
    node.not = schema.not === undefined ? undefined : this.compile(schema.not);
    node.constrained = constraints.some((name) => schema[name] !== undefined) || node.format !== undefined;
    node.defaults = [...node.properties]
      .filter(([, one]) => one.schema.default !== undefined)
      .map(([name, one]) => [name, one.schema.default] as const);
    const children = [...node.properties.values(), node.additional, node.items];
    node.defaulting = node.defaults.length > 0 || children.some((one) => one?.defaulting === true);
    node.pruning = !isScalar(node);
  }

  #all(schemas: Schema[] | undefined): readonly SchemaNode[] {
    return schemas === undefined ? noNodes : schemas.map((one) => this.compile(one));
  }
}

const constraints = [
  "enum",
  "minProperties",
  "maxProperties",
  "minItems",
  "maxItems",
  "uniqueItems",
  "minimum",
  "maximum",
  "multipleOf",
  "minLength",
  "maxLength",
  "pattern",
  "allOf",
  "anyOf",
  "oneOf",
  "not",
] as const;

function typesOf(schema: Schema, intOrString: boolean): readonly string[] {
  if (schema.format === "quantity") return ["string", "number"];
  if (intOrString) return ["integer", "string"];
  return schema.type === undefined ? [] : [schema.type];
}

function isScalar(node: SchemaNode): boolean {
  if (node.canonical !== undefined) return false;
  return node.types.length > 0 && !node.types.includes("object") && !node.types.includes("array");
}

/** A pattern of Go's syntax as one of JavaScript's; flags in front (`(?i)`) become flags. @throws SyntaxError */
function compilePattern(pattern: string): RegExp {
  const match = /^\(\?([ims]+)\)/.exec(pattern);
  const body = match === null ? pattern : pattern.slice(match[0].length);
  const flags = match?.[1] ?? "";
  try {
    return new RegExp(body, `u${flags}`);
  } catch {
    // Escapes that the strict mode refuses (`\-`) are good in Go.
    return new RegExp(body, flags);
  }
}
