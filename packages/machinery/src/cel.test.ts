import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileCelRules } from "./cel.ts";
import { compileCustomSchema } from "./compiled-schema.ts";
import { renderFieldError } from "./field-errors.ts";
import type { JsonObject } from "./json.ts";
import type { Schema, ValidationRule } from "./schema.ts";

const properties: Record<string, Schema> = {
  count: { type: "integer" },
  minimum: { type: "integer" },
  ratio: { type: "number" },
  name: { type: "string" },
  namespace: { type: "string" },
  "dash-ed": { type: "string" },
  when: { type: "string", format: "date-time" },
  lasts: { type: "string", format: "duration" },
  memory: { type: "string" },
  port: { "x-kubernetes-int-or-string": true },
  list: { type: "array", items: { type: "integer" } },
  words: { type: "array", items: { type: "string" } },
  labels: { type: "object", additionalProperties: { type: "string" } },
};

function broken(rule: string | ValidationRule, spec: JsonObject, old?: JsonObject): string[] {
  const rules = [typeof rule === "string" ? { rule } : rule];
  const schema: Schema = {
    type: "object",
    properties: { spec: { type: "object", properties, "x-kubernetes-validations": rules } },
  };
  const compiled = compileCelRules(compileCustomSchema(schema));
  assert.deepEqual(compiled.errors.map(renderFieldError), []);
  const object = (value: JsonObject): JsonObject => ({ metadata: { name: "x" }, spec: value });
  return compiled.validate(object(spec), old === undefined ? undefined : object(old)).map(renderFieldError);
}

test("rules hold or do not, by the types of the schema", () => {
  const holding: [string, JsonObject][] = [
    ["!has(self.minimum) || self.minimum <= self.count", { count: 1 }],
    ["self.minimum <= self.count", { count: 2, minimum: 2 }],
    ["self.count + 1 == 3", { count: 2 }],
    ["self.ratio > 0.5 && self.ratio < 2.0", { ratio: 1 }],
    ["self.__namespace__ == 'a' && self.dash__dash__ed == 'b'", { namespace: "a", "dash-ed": "b" }],
    ["self.when < timestamp('2026-01-01T00:00:00Z')", { when: "2025-12-31T23:59:59Z" }],
    ["self.lasts == duration('90s')", { lasts: "1m30s" }],
    ["quantity(self.memory).isLessThan(quantity('2Gi'))", { memory: "1500Mi" }],
    [
      "quantity(self.memory).add(quantity('1')).compareTo(quantity('3')) == 0 && isQuantity('1x') == false",
      { memory: "2" },
    ],
    ["type(self.port) == int ? self.port > 0 : self.port.startsWith('h')", { port: "http" }],
    [
      "self.list.sum() == 6 && self.list.max() == 3 && self.list.min() == 1 && self.list.isSorted()",
      { list: [1, 2, 3] },
    ],
    ["self.list.indexOf(2) == 1 && self.list.lastIndexOf(2) == 2", { list: [1, 2, 2] }],
    ["self.words.all(w, w.matches('^[a-z]+$')) && self.words.exists_one(w, w == 'a')", { words: ["a", "b"] }],
    ["self.name.find('[0-9]+') == '12' && self.name.findAll('[a-z]').join('') == 'ab'", { name: "a12b" }],
    ["self.name.replace('a', 'x').split('-').size() == 2 && self.name.lowerAscii() == 'a-b'", { name: "a-b" }],
    [
      "self.labels.all(k, k.startsWith('x')) && self.labels['x-y'] == '1' && 'x-y' in self.labels",
      { labels: { "x-y": "1" } },
    ],
    ["self.?name.orValue('none') == 'none'", {}],
    ["'%s has %d'.format([self.name, self.count]) == 'a has 3'", { name: "a", count: 3 }],
  ];
  for (const [rule, spec] of holding) assert.deepEqual(broken(rule, spec), [], rule);
  assert.deepEqual(broken("self.minimum <= self.count", { count: 1, minimum: 2 }), [
    "spec: Invalid value: failed rule: self.minimum <= self.count",
  ]);
  assert.deepEqual(broken({ rule: "self.minimum > 0", message: "give a minimum" }, { count: 1 }), [
    'spec: Invalid value: "object": No such key: minimum evaluating rule: give a minimum',
  ]);
});

test("messages, reasons and paths", () => {
  const full: ValidationRule = {
    rule: "self.count > 1",
    message: "too few",
    messageExpression: "'count is ' + string(self.count)",
    reason: "FieldValueForbidden",
    fieldPath: ".count",
  };
  assert.deepEqual(broken(full, { count: 1 }), ["spec.count: Forbidden: count is 1"]);
  assert.deepEqual(broken({ ...full, messageExpression: "self.name" }, { count: 1 }), [
    "spec.count: Forbidden: too few",
  ]);
  assert.deepEqual(
    broken({ ...full, reason: undefined, fieldPath: undefined, messageExpression: undefined }, { count: 1 }),
    ["spec: Invalid value: too few"],
  );
});

test("transition rules need an old value; other rules spare what an update does not touch", () => {
  const immutable = { rule: "self.name == oldSelf.name", message: "name is immutable" };
  assert.deepEqual(broken(immutable, { name: "b" }), []);
  assert.deepEqual(broken(immutable, { name: "b" }, { name: "b", count: 1 }), []);
  assert.deepEqual(broken(immutable, { name: "b" }, { name: "a" }), ["spec: Invalid value: name is immutable"]);
  const once = { rule: "!oldSelf.hasValue() || oldSelf.value().name == self.name", optionalOldSelf: true };
  assert.deepEqual(broken(once, { name: "b" }), []);
  assert.equal(broken(once, { name: "b" }, { name: "a" }).length, 1);
  assert.deepEqual(broken("self.count > 5", { count: 1 }, { count: 1 }), []);
  assert.equal(broken("self.count > 5", { count: 1 }, { count: 2 }).length, 1);
});

test("rules stand anywhere in the schema; items of keyed lists know their old selves", () => {
  const schema: Schema = {
    type: "object",
    "x-kubernetes-validations": [{ rule: "self.metadata.name.startsWith('w')", message: "the name must begin with w" }],
    properties: {
      spec: {
        type: "object",
        properties: {
          sets: {
            type: "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            items: {
              type: "object",
              properties: { name: { type: "string" }, size: { type: "integer" } },
              "x-kubernetes-validations": [{ rule: "self.size >= oldSelf.size", message: "may only grow" }],
            },
          },
          labels: {
            type: "object",
            additionalProperties: {
              type: "string",
              "x-kubernetes-validations": [{ rule: "self != ''", message: "must not be empty" }],
            },
          },
        },
      },
    },
  };
  const rules = compileCelRules(compileCustomSchema(schema));
  const object = (name: string, spec: JsonObject): JsonObject => ({ metadata: { name }, spec });
  assert.deepEqual(rules.validate(object("x", { labels: { a: "" } })).map(renderFieldError), [
    "<nil>: Invalid value: the name must begin with w",
    'spec.labels[a]: Invalid value: "": must not be empty',
  ]);
  const old = object("w", {
    sets: [
      { name: "a", size: 2 },
      { name: "b", size: 2 },
    ],
  });
  const now = object("w", {
    sets: [
      { name: "new", size: 0 },
      { name: "b", size: 1 },
      { name: "a", size: 3 },
    ],
  });
  assert.deepEqual(rules.validate(now, old).map(renderFieldError), ["spec.sets[1]: Invalid value: may only grow"]);
});

test("rules that cannot be compiled are told by their place", () => {
  const wrong = (rule: ValidationRule): string[] => {
    const schema: Schema = {
      type: "object",
      properties: { spec: { type: "object", "x-kubernetes-validations": [rule] } },
    };
    return compileCelRules(compileCustomSchema(schema)).errors.map(renderFieldError);
  };
  const place = "openAPIV3Schema.properties[spec].x-kubernetes-validations[0]";
  assert.match(wrong({ rule: "self.a ==" })[0]!, /\.rule: Invalid value: "self\.a ==": compilation failed: Unexpected/);
  assert.match(wrong({ rule: "unknown > 1" })[0]!, /compilation failed: Unknown variable: unknown/);
  assert.match(wrong({ rule: "self.a.nothing()" })[0]!, /found no matching overload/);
  assert.deepEqual(wrong({ rule: "1 + 1" }), [
    `${place}.rule: Invalid value: "1 + 1": cel expression must evaluate to a bool`,
  ]);
  assert.deepEqual(wrong({ rule: " " }), [`${place}.rule: Required value: rule is not specified`]);
});

test("a rule that is handed no more than it reads, or spared where nothing of that changed, judges as one that is not", () => {
  const same = (field: string): string =>
    `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`;
  const rules = [
    same("count"),
    same("labels"),
    `!has(oldSelf.name) || oldSelf.name == 'a' || (${same("list")})`,
    "self.count == oldSelf.count",
    "oldSelf.labels.x == self.labels.x && self.count == oldSelf.count",
    "has(self.labels.x) == has(oldSelf.labels.x) || self.name == 'a'",
    "has(oldSelf.count) ? has(self.count) && self.count <= oldSelf.count : !has(self.name)",
    "self.list == oldSelf.list && self.list.all(one, one < 2)",
    "self.list.exists(self, self == 1) || self.when == oldSelf.when",
    "!has(self.minimum) || self.minimum <= self.count",
    "self.labels.all(key, self.labels[key] != 'b') && has(self.name)",
  ];
  const spec = fc.record(
    {
      count: fc.constantFrom(0, 1),
      minimum: fc.constantFrom(0, 1),
      name: fc.constantFrom("a", "b"),
      list: fc.constantFrom([], [1], [1, 2]),
      labels: fc.record({ x: fc.constantFrom("a", "b"), y: fc.constant("c") }, { requiredKeys: [] }),
      when: fc.constantFrom("2025-12-31T23:59:59Z", "2026-12-31T23:59:59Z"),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.constantFrom(...rules), spec, spec, fc.boolean(), (rule, value, other, isSame) => {
      const old = isSame ? structuredClone(value) : other;
      // With `self` as a whole nothing can be left out of it, and nothing is proven.
      const whole = broken(`(${rule}) && self == self`, value, old);
      assert.equal(broken(rule, value, old).length, whole.length, rule);
    }),
    { numRuns: 400 },
  );
});
