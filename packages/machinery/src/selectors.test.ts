import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  formatLabelSelector,
  labelSelectorRequirements,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from "./selectors.ts";
import type { LabelRequirement } from "./selectors.ts";

const matches = (selector: string, labels: Record<string, string>): boolean =>
  matchesLabels(parseLabelSelector(selector), labels);

test("label selectors match as Kubernetes says", () => {
  assert.ok(matches("", {}));
  assert.ok(matches("a=b", { a: "b" }));
  assert.ok(matches("a == b , c", { a: "b", c: "" }));
  assert.ok(matches("a!=b", {}));
  assert.ok(matches("a in (x, y),b notin (z)", { a: "y" }));
  assert.ok(matches("!a", { b: "1" }));
  assert.ok(!matches("!a", { a: "1" }));
  assert.ok(matches("a in (,x)", { a: "" }));
  assert.ok(matches("a=", { a: "" }));
  assert.ok(matches("n>5,n<7", { n: "6" }));
  assert.ok(!matches("n>5", { n: "x" }));
  assert.ok(matches("in in (in)", { in: "in" }));
  assert.ok(matches("example.com/x=1", { "example.com/x": "1" }));
  assert.ok(!matches("constructor", {}));
});

test("malformed label selectors are refused with Kubernetes' words", () => {
  const refusals: [string, string][] = [
    ["a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ["a,", "found '', expected: identifier after ','"],
    [",", "found ',', expected: !, identifier, or 'end of string'"],
    ["a in b", "unable to parse requirement: found 'b' expected: '('"],
    ["a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"],
    ["a=b c", "found 'c', expected: ',' or 'end of string'"],
    [
      "n>x",
      "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    ],
  ];
  for (const [selector, message] of refusals) {
    assert.throws(() => parseLabelSelector(selector), { name: "ApiError", message, code: 400 }, selector);
  }
  assert.throws(() => parseLabelSelector("a/b/c=1"), /a valid label key must consist of/);
  assert.throws(() => parseLabelSelector("a=-x"), /values\[0\]\[a\]: Invalid value: "-x": a valid label must/);
});

test("an absent selector object matches nothing, an empty one everything", () => {
  assert.ok(!matchesLabels(labelSelectorRequirements(undefined), {}));
  assert.ok(matchesLabels(labelSelectorRequirements({}), {}));
  const selector = { matchLabels: { a: "1" }, matchExpressions: [{ key: "b", operator: "NotIn", values: ["x"] }] };
  assert.ok(matchesLabels(labelSelectorRequirements(selector), { a: "1", b: "y" }));
  assert.ok(!matchesLabels(labelSelectorRequirements(selector), { a: "1", b: "x" }));
  const wrong = { matchExpressions: [{ key: "a", operator: "Is", values: ["x"] }] };
  assert.throws(() => labelSelectorRequirements(wrong), /"Is" is not a valid label selector operator/);
});

const names = fc.stringMatching(/^[a-z]([a-z0-9]{0,5})$/);
const requirements: fc.Arbitrary<LabelRequirement> = fc.oneof(
  fc.record(
    {
      key: names,
      operator: fc.constantFrom("In" as const, "NotIn" as const),
      values: fc.uniqueArray(names, { minLength: 1, maxLength: 3 }).map((values) => values.sort()),
    },
    { noNullPrototype: true },
  ),
  fc.record(
    {
      key: names,
      operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const),
      values: fc.constant<string[]>([]),
    },
    { noNullPrototype: true },
  ),
);

test("property: printing and parsing a selector gives the same requirements", () => {
  fc.assert(
    fc.property(fc.array(requirements, { maxLength: 4 }), (wanted) => {
      assert.deepEqual(parseLabelSelector(formatLabelSelector(wanted)), wanted);
    }),
  );
});

test("property: a requirement and its negation never agree", () => {
  const opposite = {
    In: "NotIn",
    NotIn: "In",
    Exists: "DoesNotExist",
    DoesNotExist: "Exists",
    Gt: "Lt",
    Lt: "Gt",
  } as const;
  fc.assert(
    fc.property(requirements, fc.dictionary(names, names), (one, labels) => {
      const other = { ...one, operator: opposite[one.operator] };
      assert.notEqual(matchesLabels([one], labels), matchesLabels([other], labels));
    }),
  );
});

test("field selectors", () => {
  const fields: Record<string, string> = { "status.phase": "Running", "metadata.name": "a,b" };
  const match = (text: string): boolean => matchesFields(parseFieldSelector(text), (field) => fields[field]);
  assert.ok(match("status.phase=Running"));
  assert.ok(match("status.phase==Running,spec.nodeName="));
  assert.ok(match("status.phase!=Pending"));
  assert.ok(match("metadata.name=a\\,b"));
  assert.ok(!match("status.phase!=Running"));
  assert.throws(() => parseFieldSelector("a,b=c"), /invalid selector: 'a,b=c'; can't understand 'a'/);
});
