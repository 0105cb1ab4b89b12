import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldInvalid, fieldNotSupported, fieldRequired, fieldTooMany } from "./field-errors.ts";
import { checkDns1123Label, checkDns1123Subdomain, checkQualifiedName, generatedName } from "./names.ts";
import { apiErrorFromStatus, conflict, forbidden, invalid, isApiError, notFound } from "./status-error.ts";

test("the messages are the real server's", () => {
  const pods = { group: "", resource: "pods" };
  assert.equal(notFound(pods, "a").message, 'pods "a" not found');
  assert.equal(notFound({ group: "apps", resource: "deployments" }, "a").message, 'deployments.apps "a" not found');
  assert.equal(
    conflict(pods, "a").message,
    'Operation cannot be fulfilled on pods "a": the object has been modified; please apply your changes to the latest version and try again',
  );
  assert.equal(forbidden(pods, "", "no").message, "pods is forbidden: no");
  assert.equal(forbidden({ group: "", resource: "" }, "", "no").message, "forbidden: no");
  const one = invalid({ group: "", kind: "Pod" }, "x", [fieldRequired("spec.containers")]);
  assert.equal(one.message, 'Pod "x" is invalid: spec.containers: Required value');
  assert.deepEqual(one.status.details, {
    name: "x",
    kind: "Pod",
    causes: [{ reason: "FieldValueRequired", message: "Required value", field: "spec.containers" }],
  });
  const two = invalid({ group: "apps", kind: "Deployment" }, "x", [
    fieldInvalid("spec.replicas", -1, "must be greater than or equal to 0"),
    fieldNotSupported("spec.a", "x", ["b", "c"]),
    fieldNotSupported("spec.a", "x", ["b", "c"]),
    fieldInvalid("spec.o", { b: 1, a: null }, "no"),
    fieldTooMany("spec.l", 3, 2),
  ]);
  assert.equal(
    two.message,
    'Deployment.apps "x" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, ' +
      'spec.a: Unsupported value: "x": supported values: "b", "c", spec.o: Invalid value: {"a":null,"b":1}: no, ' +
      "spec.l: Too many: 3: must have at most 2 items]",
  );
});

test("a Status survives the wire", () => {
  const error = notFound({ group: "", resource: "pods" }, "a");
  const again = apiErrorFromStatus(JSON.parse(JSON.stringify(error.status)));
  assert.deepEqual(again.status, error.status);
  assert.ok(isApiError(again, "NotFound"));
  assert.ok(!isApiError(again, "Conflict"));
});

test("names", () => {
  assert.deepEqual(checkDns1123Label("my-name"), []);
  assert.deepEqual(checkDns1123Label("a.b"), ["must not contain dots"]);
  assert.deepEqual(checkDns1123Subdomain("A"), [
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
  ]);
  assert.deepEqual(checkDns1123Subdomain("a".repeat(254)), ["must be no more than 253 bytes"]);
  assert.deepEqual(checkQualifiedName("example.com/Name"), []);
  assert.deepEqual(checkQualifiedName("/x"), ["prefix part must be non-empty"]);
  let count = 0;
  const name = generatedName("b".repeat(70), () => count++ / 27);
  assert.equal(name, `${"b".repeat(58)}bcdfg`);
});
