import fc from "fast-check";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AccessRequest, PolicyRule } from "./rules.ts";
import { missingRights, ruleAllows } from "./rules.ts";

const verbs = ["get", "list", "*"];
const groups = ["", "batch", "*"];
const resources = ["pods", "pods/log", "*/log", "jobs", "*"];
const some = <T>(values: T[]): fc.Arbitrary<T[]> => fc.subarray(values, { minLength: 1 });
const rule: fc.Arbitrary<PolicyRule> = fc.record({
  verbs: some(verbs),
  apiGroups: some(groups),
  resources: some(resources),
  resourceNames: fc.oneof(fc.constant([] as string[]), some(["x", "y"])),
});
const request: fc.Arbitrary<AccessRequest> = fc.record({
  verb: fc.constantFrom("get", "list", "delete"),
  resource: fc.record({
    group: fc.constantFrom("", "batch", "apps"),
    resource: fc.constantFrom("pods", "jobs", "nodes"),
    subresource: fc.constantFrom("", "log", "exec"),
    namespace: fc.constant("a"),
    name: fc.constantFrom("", "x", "z"),
  }),
});

describe("rules", () => {
  it("match as Kubernetes documents them", () => {
    const ask = (rule: PolicyRule, verb: string, resource: string, subresource = "", name = ""): boolean =>
      ruleAllows(rule, { verb, resource: { group: "", resource, subresource, namespace: "a", name } });
    const pods: PolicyRule = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
    assert.ok(ask(pods, "get", "pods"));
    assert.ok(!ask(pods, "get", "pods", "log"));
    assert.ok(!ask(pods, "list", "pods"));
    assert.ok(ask({ ...pods, resources: ["*/log"] }, "get", "pods", "log"));
    assert.ok(!ask({ ...pods, resourceNames: ["x"] }, "get", "pods", "", "y"));
    assert.ok(!ask({ ...pods, resourceNames: ["x"] }, "get", "pods"));
    const urls: PolicyRule = { verbs: ["get"], nonResourceURLs: ["/healthz", "/apis/*"] };
    assert.ok(ruleAllows(urls, { verb: "get", path: "/apis/batch" }));
    assert.ok(!ruleAllows(urls, { verb: "get", path: "/metrics" }));
  });

  it("let nobody hand out what they may not do: if no right is missing, all that is allowed was allowed before", () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 3 }),
        fc.array(rule, { maxLength: 2 }),
        request,
        (owned, wanted, asked) => {
          fc.pre(missingRights(owned, wanted).length === 0);
          if (wanted.some((one) => ruleAllows(one, asked))) assert.ok(owned.some((one) => ruleAllows(one, asked)));
        },
      ),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.array(rule, { maxLength: 3 }), (owned) => missingRights(owned, owned).length === 0));
  });
});
