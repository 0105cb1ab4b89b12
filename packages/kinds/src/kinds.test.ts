import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { attemptOf, attemptPodName } from "./attempts.ts";
import { labels } from "./constants.ts";
import { customResourceDefinitions, kindDefinitions } from "./custom-resource-definitions.ts";
import { defaultObjects } from "./defaults.ts";
import type { Schema } from "./definition.ts";
import type { Pod } from "./pod.ts";
import { kindsDocument } from "./reference.ts";
import { workloadDefinition } from "./workload-definition.ts";

function* schemas(schema: Schema, path: string): Generator<[string, Schema]> {
  yield [path, schema];
  for (const [name, child] of Object.entries(schema.properties ?? {})) yield* schemas(child, `${path}.${name}`);
  if (schema.items !== undefined) yield* schemas(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* schemas(schema.additionalProperties, `${path}{}`);
}

const all = kindDefinitions.flatMap((definition) =>
  [definition.spec, definition.status ?? { type: "object" as const }].flatMap((schema) =>
    Array.from(schemas(schema, definition.kind)),
  ),
);

test("schemas are structural and bounded: every node has a type, every list and map of a spec a largest size", () => {
  for (const [path, schema] of all) {
    if (schema["x-kubernetes-int-or-string"] !== true) assert.notEqual(schema.type, undefined, path);
    if (schema.type === "array") assert.notEqual(schema.maxItems, undefined, `${path} has no maxItems`);
    if (schema.additionalProperties !== undefined) assert.notEqual(schema.maxProperties, undefined, path);
    assert.ok(schema.properties === undefined || schema.additionalProperties === undefined, path);
    for (const name of schema.required ?? []) assert.ok(schema.properties?.[name] !== undefined, `${path}.${name}`);
  }
});

test("every rule has a message that a user can act on", () => {
  const rules = [
    ...kindDefinitions.flatMap((definition) => definition.rules ?? []),
    ...all.flatMap(([, schema]) => schema["x-kubernetes-validations"] ?? []),
  ];
  assert.ok(rules.length > 20);
  for (const rule of rules) {
    assert.ok(rule.message.includes(" "), rule.rule);
    assert.ok(!rule.message.includes("\n"), rule.message);
  }
});

test("every field of a Workload's spec is either guarded by a rule for updates or meant to change", () => {
  const meantToChange = new Set(["hold", "nice"]);
  for (const field of Object.keys(workloadDefinition.spec.properties ?? {})) {
    const guarded = (workloadDefinition.rules ?? []).some((rule) => rule.rule.includes(`oldSelf.spec.${field}`));
    assert.equal(guarded, !meantToChange.has(field), field);
  }
});

test("definitions have the names that Kubernetes asks for, the status subresource where there is a status", () => {
  for (const definition of customResourceDefinitions) {
    const spec = definition.spec as {
      group: string;
      names: { plural: string };
      versions: { subresources?: unknown; schema: { openAPIV3Schema: Schema } }[];
    };
    assert.equal(definition.metadata.name, `${spec.names.plural}.${spec.group}`);
    const version = spec.versions[0]!;
    const hasStatus = version.schema.openAPIV3Schema.properties?.["status"] !== undefined;
    assert.equal(version.subresources !== undefined, hasStatus);
  }
  assert.deepEqual(
    defaultObjects.map((object) => `${object.kind}/${object.metadata.name}`),
    ["Site/site", "Queue/standard", "Account/default"],
  );
});

test("pods of different attempts have different names, and labels lead back to the attempt", () => {
  const attempt = fc.record({
    workload: fc.constantFrom("a", "a-b", "w-3"),
    task: fc.option(fc.nat(30), { nil: undefined }),
    podSet: fc.constantFrom("main", "worker"),
    index: fc.nat(20),
    attempt: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(attempt, attempt, (one, other) => {
      if (one.workload === other.workload && attemptPodName(one) === attemptPodName(other)) {
        // Equal ones may be drawn with and without a prototype.
        assert.deepEqual({ ...one }, { ...other });
      }
      const pod: Pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: {
          name: attemptPodName(one),
          labels: {
            [labels.workload]: one.workload,
            [labels.podSet]: one.podSet,
            [labels.podIndex]: String(one.index),
            [labels.attempt]: String(one.attempt),
            ...(one.task === undefined ? {} : { [labels.task]: String(one.task) }),
          },
        },
        spec: { containers: [] },
      };
      const { task, ...rest } = one;
      assert.deepEqual({ ...attemptOf(pod) }, task === undefined ? { ...rest } : { ...one });
    }),
  );
});

test("the reference of the kinds is what is made of their definitions", () => {
  const page = readFileSync(new URL("../../../docs/reference/kinds.md", import.meta.url), "utf8");
  assert.equal(page, kindsDocument(), "write the output of kindsDocument() to docs/reference/kinds.md");
});
