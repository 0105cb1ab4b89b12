import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { builtInResources } from "./built-in.ts";
import { decodeProtobuf, isProtobuf } from "./protobuf.ts";
import { ApiError } from "./status-error.ts";

function field(number: number, ...parts: (string | Buffer)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from([number * 8 + 2, content.length]), content]);
}

// `kubectl create configmap a --from-literal=k=v` as client-go writes it: with the empty fields of Go's structs.
const metadata = [field(1, "a"), field(2, ""), field(3, "default"), field(8), Buffer.from([7 * 8, 0])];
const configMap = Buffer.concat([
  Buffer.from("k8s\0", "latin1"),
  field(1, field(1, "v1"), field(2, "ConfigMap")),
  field(2, field(1, ...metadata), field(2, field(1, "k"), field(2, "v"))),
  field(3, ""),
  field(4, ""),
]);

test("a ConfigMap without zero values", () => {
  assert.ok(isProtobuf(configMap));
  assert.deepEqual(decodeProtobuf(configMap), {
    kind: "ConfigMap",
    apiVersion: "v1",
    metadata: { name: "a", namespace: "default" },
    data: { k: "v" },
  });
});

test("what cannot be read is refused in words", () => {
  const refuse = (body: Uint8Array, message: RegExp, code: number): void => {
    assert.throws(() => decodeProtobuf(body), { name: "ApiError", message, code });
  };
  refuse(Buffer.from("{}"), /does not begin with k8s/, 400);
  refuse(configMap.subarray(0, 30), /longer than its message|ends in the middle/, 400);
  const custom = Buffer.from("k8s\0\x0a\x0c\x0a\x02b\x31\x12\x06Widget", "latin1");
  refuse(custom, /b1 Widget cannot be read as protobuf/, 415);
});

test("property: damaged bodies are refused or read, never more", () => {
  fc.assert(
    fc.property(fc.nat(configMap.length - 5), fc.nat(255), (index, byte) => {
      const body = Buffer.from(configMap);
      body[index + 4] = byte;
      try {
        decodeProtobuf(body);
      } catch (error) {
        assert.ok(error instanceof ApiError, String(error));
      }
    }),
  );
});

// Kubernetes' own fixtures: every kind with every field set, as protobuf and as JSON.
const modules = process.env.GOMODCACHE ?? join(homedir(), "go/pkg/mod");
const fixtures = join(modules, "k8s.io/api@v0.35.4/testdata/HEAD");
const absent = !existsSync(fixtures) && `${fixtures} is not there (go mod download k8s.io/api@v0.35.4)`;

test("the official fixtures decode to their JSON", { skip: absent }, (context) => {
  let agree = 0;
  let others = 0;
  const served = builtInResources.map(({ group, version }) => `${group === "" ? "core" : group}.${version}.`);
  for (const file of readdirSync(fixtures).filter((name) => name.endsWith(".pb") && !name.includes("WatchEvent"))) {
    const expected = JSON.parse(readFileSync(join(fixtures, file.replace(".pb", ".json")), "utf8"));
    let actual: unknown;
    try {
      actual = decodeProtobuf(readFileSync(join(fixtures, file)));
    } catch (error) {
      if (error instanceof ApiError && error.code === 415 && !served.some((one) => file.startsWith(one))) others++;
      else throw new Error(file, { cause: error });
      continue;
    }
    assert.deepEqual(actual, expected, file);
    agree++;
  }
  context.diagnostic(`${agree} fixtures agree; ${others} are of groups that Berth does not serve`);
  assert.ok(agree > 70);
});
