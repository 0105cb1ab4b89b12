import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubernetesObject } from "@berth/machinery";
import { formatAnnotation, manifests, type ManifestSettings } from "./index.ts";

const settings: ManifestSettings = {
  image: "registry.example.org/berth:1",
  version: "1.2.3",
  level: "mutating",
  mutatingVersion: "v1beta1",
  managedBy: "berth",
  users: { passwd: "ada:x:1001:1001::/home/ada:/bin/sh\n", group: "" },
  givesIds: false,
};
const all = manifests(settings);
const of = (kind: string): KubernetesObject[] => all.filter((object) => object.kind === kind);
const text = (object: unknown): string => JSON.stringify(object);

test("objects are made before what needs them, once each, and say whose they are", () => {
  const names = all.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
  assert.equal(new Set(names).size, names.length);
  const kinds = all.map(({ kind }) => kind);
  assert.equal(kinds[0], "Namespace");
  assert.ok(kinds.lastIndexOf("CustomResourceDefinition") < kinds.indexOf("ValidatingAdmissionPolicy"));
  assert.ok(kinds.lastIndexOf("ValidatingAdmissionPolicy") < kinds.indexOf("Deployment"));
  for (const { metadata, kind } of all) {
    assert.equal(metadata.labels?.["app.kubernetes.io/part-of"], "berth", kind);
    assert.equal(metadata.labels?.["app.kubernetes.io/managed-by"], "berth", kind);
  }
  for (const { metadata } of of("CustomResourceDefinition"))
    assert.equal(metadata.annotations?.[formatAnnotation], "1");
});

test("the controllers may do nothing with everything, and not read secrets, make roles or enter pods", () => {
  const rules = [...of("ClusterRole"), ...of("Role")]
    .filter(({ metadata }) => metadata.name === "berth-controllers")
    .flatMap(
      (role) => (role as unknown as { rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[] }).rules,
    );
  assert.ok(rules.length > 10);
  for (const { apiGroups, resources, verbs } of rules) {
    for (const word of [...apiGroups, ...resources, ...verbs]) assert.notEqual(word, "*");
    assert.ok(!apiGroups.includes("rbac.authorization.k8s.io"));
    for (const refused of ["pods/exec", "pods/attach", "serviceaccounts/token", "nodes/proxy"])
      assert.ok(!resources.includes(refused));
    if (resources.includes("secrets"))
      assert.deepEqual(
        verbs.filter((verb) => ["get", "list", "watch"].includes(verb)),
        [],
      );
    assert.ok(!verbs.some((verb) => ["escalate", "bind", "impersonate"].includes(verb)));
  }
});

test("the Deployment is what a restricted namespace takes", () => {
  const [deployment] = of("Deployment");
  const { template } = deployment!.spec as {
    template: {
      spec: {
        securityContext: Record<string, unknown>;
        containers: { securityContext: Record<string, unknown>; image: string }[];
        volumes: Record<string, unknown>[];
      };
    };
  };
  assert.equal(template.spec.securityContext["runAsNonRoot"], true);
  assert.deepEqual(template.spec.securityContext["seccompProfile"], { type: "RuntimeDefault" });
  for (const { securityContext, image } of template.spec.containers) {
    assert.equal(image, settings.image);
    assert.deepEqual(securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  }
  assert.ok(!text(template).includes("hostPath"));
  assert.ok(text(template).includes('"runAsUser"'));
  const openShift = manifests({ ...settings, givesIds: true }).find(({ kind }) => kind === "Deployment");
  assert.ok(
    !/runAsUser|runAsGroup|fsGroup/.test(text(openShift)),
    "IDs of the namespace's own range are left to the server",
  );
});

test("each policy has its binding, refuses rather than lets pass when it fails, and exempts the controllers alone", () => {
  for (const kind of ["ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"]) {
    const policies = of(kind);
    assert.ok(policies.length >= 3);
    assert.deepEqual(
      of(`${kind}Binding`)
        .map(({ spec }) => spec!["policyName"])
        .sort(),
      policies.map(({ metadata }) => metadata.name).sort(),
    );
    for (const { metadata, spec, apiVersion } of policies) {
      assert.equal(apiVersion, `admissionregistration.k8s.io/${kind.startsWith("M") ? "v1beta1" : "v1"}`);
      assert.equal(spec!["failurePolicy"], "Fail");
      // That one says itself what the controllers may write.
      if (metadata.name.endsWith(".berth.dev") || metadata.name === "berth-namespaces") continue;
      assert.ok(text(spec!["matchConditions"]).includes("system:serviceaccount:berth-system:berth-controllers"));
    }
  }
  for (const { metadata, spec } of of("ValidatingAdmissionPolicy")) {
    if (metadata.name.endsWith(".berth.dev") || metadata.name === "berth-namespaces") continue;
    const validations = spec!["validations"] as { expression: string; message: string }[];
    for (const { expression, message } of validations) {
      assert.ok(expression.startsWith("variables.owner == '' || ("), "only managed namespaces are meant");
      assert.ok(message.length > 20 && !message.includes("\n"), message);
    }
  }
  assert.deepEqual(
    manifests({ ...settings, level: "policies" }).filter(({ kind }) => kind.startsWith("Mutating")),
    [],
  );
});
