import assert from "node:assert/strict";
import { test } from "node:test";
import { humanDuration, translateTimestampSince } from "./age.ts";
import { compileJsonPath } from "./json-path.ts";
import { compileTableLayout, makeTable } from "./table.ts";

test("JSON paths as printer columns use them", () => {
  const object = {
    metadata: { labels: { "a.b/c": "x", plain: "y" } },
    spec: {
      list: [1, 2, 3, 4],
      nested: [
        { n: "a", v: 1 },
        { n: "b", v: 2 },
      ],
    },
    status: {
      conditions: [
        { type: "Ready", status: "True" },
        { type: "Other", status: "False" },
      ],
    },
  };
  const cases: [string, unknown[]][] = [
    [".spec.list[0]", [1]],
    [".spec.list[-1]", [4]],
    [".spec.list[1:3]", [2, 3]],
    [".spec.list[-1:]", [4]],
    [".spec.list[::2]", [1, 3]],
    [".spec.list[0,2]", [1, 3]],
    [".spec.list[*]", [1, 2, 3, 4]],
    [".spec.nested[*].n", ["a", "b"]],
    [".metadata.labels.a\\.b/c", ["x"]],
    [".metadata.labels['a.b/c']", ["x"]],
    ["$.metadata.labels.plain", ["y"]],
    ["{.metadata.labels.plain}", ["y"]],
    ['.status.conditions[?(@.type=="Ready")].status', ["True"]],
    [".status.conditions[?(@.type=='Other')].status", ["False"]],
    [".spec.nested[?(@.v > 1)].n", ["b"]],
    [".spec.nested[?(@.v)].n", ["a", "b"]],
    [".spec..v", [1, 2]],
    [".spec.missing.deeper", []],
    [".spec.list.name", []],
  ];
  for (const [path, expected] of cases) assert.deepEqual(compileJsonPath(path)(object), expected, path);
  assert.throws(() => compileJsonPath(".a[0"), /JSONPath "\.a\[0": unterminated array/);
  assert.throws(() => compileJsonPath(".a[x]"), /invalid array index "x"/);
  assert.throws(() => compileJsonPath("a"), /unexpected "a"/);
});

test("ages are those of kubectl", () => {
  const cases: [number, string][] = [
    [-5, "<invalid>"],
    [-1, "0s"],
    [0, "0s"],
    [119, "119s"],
    [123, "2m3s"],
    [180, "3m"],
    [1200, "20m"],
    [3 * 3600, "3h"],
    [3 * 3600 + 20 * 60, "3h20m"],
    [30 * 3600, "30h"],
    [4 * 86400, "4d"],
    [4 * 86400 + 3600, "4d1h"],
    [100 * 86400, "100d"],
    [3 * 365 * 86400, "3y"],
    [3 * 365 * 86400 + 86400, "3y1d"],
    [9 * 365 * 86400, "9y"],
  ];
  for (const [seconds, expected] of cases) assert.equal(humanDuration(seconds), expected);
  const now = Date.parse("2026-01-01T00:01:00Z");
  assert.equal(translateTimestampSince("2026-01-01T00:00:00Z", now), "60s");
  assert.equal(translateTimestampSince(undefined, now), "<unknown>");
  assert.equal(translateTimestampSince("x", now), "<invalid>");
});

test("a table has a cell for each column", () => {
  const layout = compileTableLayout([
    { name: "Phase", type: "string", jsonPath: ".status.phase" },
    { name: "Count", type: "integer", jsonPath: ".spec.count", priority: 1, description: "how many" },
    { name: "Map", type: "string", jsonPath: ".spec.map" },
    { name: "Missing", type: "string", jsonPath: ".none" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ]);
  const object = {
    metadata: { name: "w", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { count: 3, map: { a: 1 } },
    status: { phase: "Running" },
  };
  const options = { nowMilliseconds: Date.parse("2026-01-01T00:00:05Z"), metadata: { resourceVersion: "7" } };
  const table = makeTable(layout, [object], options);
  assert.deepEqual(table.rows[0]!.cells, ["w", "Running", 3, '{"a":1}', null, "5s"]);
  assert.deepEqual(table.rows[0]!.object, {
    kind: "PartialObjectMetadata",
    apiVersion: "meta.k8s.io/v1",
    metadata: object.metadata,
  });
  assert.deepEqual(
    table.columnDefinitions!.map(({ name, priority }) => `${name} ${priority}`),
    ["Name 0", "Phase 0", "Count 1", "Map 0", "Missing 0", "Age 0"],
  );
  const event = makeTable(layout, [object], { ...options, includeObject: "None", withColumns: false });
  assert.deepEqual(Object.keys(event), ["kind", "apiVersion", "metadata", "rows"]);
  assert.deepEqual(Object.keys(event.rows[0]!), ["cells"]);
});
