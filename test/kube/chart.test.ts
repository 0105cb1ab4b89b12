/** charts/berth with a real helm: it renders what `berth install` writes, and a real API server takes it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { resources, type AnyObject } from "@berth/client";
import { customResourceDefinitions, queues, systemNamespace } from "@berth/kinds";
import { manifests, type ManifestSettings } from "@berth/kinds/install";
import { loadAll } from "js-yaml";
import { keepAnnotation, keptKinds } from "../../tools/chart/chart.ts";
import { repository, run, type Outcome } from "../support/berth.ts";
import { cacheFolder } from "./binaries.ts";
import { startControlPlane, withoutControlPlane, type ControlPlane } from "./control-plane.ts";

const cached = join(cacheFolder, "helm");
const helm = existsSync(cached) ? cached : "helm";
const withoutHelm =
  spawnSync(helm, ["version"], { stdio: "ignore" }).status !== 0 &&
  "helm is not in PATH; go install helm.sh/helm/v3/cmd/helm@v3.22.0 makes it";
const chart = join(repository, "charts", "berth");
const admission = "admissionregistration.k8s.io";
const database = "postgres://berth@db.example.org/berth?passwordfile=/etc/berth/accounting/password";
const release = ["berth", chart, "--namespace", systemNamespace];

type Manifest = AnyObject & Record<string, unknown>;

const byName = (objects: readonly AnyObject[]): Map<string, AnyObject> =>
  new Map(objects.map((object) => [`${object.kind} ${object.metadata.namespace}/${object.metadata.name}`, object]));

function expected(settings: Partial<ManifestSettings>): AnyObject[] {
  const all = manifests({
    image: "localhost/berth:0.1.0",
    version: "0.1.0",
    level: "policies",
    managedBy: "Helm",
    users: { passwd: "", group: "" },
    givesIds: false,
    ...settings,
  });
  return all
    .filter(({ kind }) => kind !== "Namespace")
    .map((object): AnyObject => {
      const { metadata } = object;
      if (!keptKinds.has(object.kind)) return object;
      return Object.assign(object, {
        metadata: { ...metadata, annotations: { ...metadata.annotations, ...keepAnnotation } },
      });
    });
}

describe("helm", { skip: withoutHelm }, () => {
  const render = async (...words: string[]): Promise<Manifest[]> => {
    const { code, stdout, stderr } = await run(helm, ["template", ...release, "--kube-version", "1.35.0", ...words]);
    assert.equal(code, 0, stderr);
    return (loadAll(stdout) as (Manifest | null)[]).filter((object) => object !== null);
  };
  const has = (...versions: string[]): string[] => versions.flatMap((version) => ["--api-versions", version]);

  const cases: [what: string, words: string[], settings: Partial<ManifestSettings>][] = [
    ["a plain server", [], {}],
    ["another image", ["--set", "image=example.org/b:9"], { image: "example.org/b:9" }],
    [
      "a server that fills in",
      has(`${admission}/v1beta1/MutatingAdmissionPolicy`),
      { level: "mutating", mutatingVersion: "v1beta1" },
    ],
    [
      "a newer server that fills in",
      has(`${admission}/v1beta1/MutatingAdmissionPolicy`, `${admission}/v1/MutatingAdmissionPolicy`),
      { level: "mutating", mutatingVersion: "v1" },
    ],
    [
      "a server that could, but is not to",
      [...has(`${admission}/v1/MutatingAdmissionPolicy`), "--set", "level=policies"],
      {},
    ],
    ["a webhook", [...has(`${admission}/v1/MutatingAdmissionPolicy`), "--set", "level=webhook"], { level: "webhook" }],
    ["OpenShift", has("security.openshift.io/v1"), { givesIds: true }],
    ["PostgreSQL", ["--set", `accounting=${database}`], { accounting: database }],
    [
      "PostgreSQL on OpenShift",
      [...has("security.openshift.io/v1"), "--set", `accounting=${database}`],
      { accounting: database, givesIds: true },
    ],
    [
      "users",
      ["--set-string", "users.passwd=ada:x:1:1::/:/bin/sh\nbob:x:2:2::/:/bin/sh\n"],
      { users: { passwd: "ada:x:1:1::/:/bin/sh\nbob:x:2:2::/:/bin/sh\n", group: "" } },
    ],
  ];
  for (const [what, words, settings] of cases) {
    test(`renders what berth install writes: ${what}`, async () => {
      const [rendered, wanted] = [byName(await render(...words)), byName(expected(settings))];
      assert.deepEqual([...rendered.keys()].sort(), [...wanted.keys()].sort());
      for (const [name, object] of wanted)
        assert.deepEqual(rendered.get(name), JSON.parse(JSON.stringify(object)), name);
    });
  }

  test("what cannot be is refused in words", async () => {
    const elsewhere = await run(helm, [
      "template",
      "berth",
      chart,
      "--namespace",
      "elsewhere",
      "--kube-version",
      "1.35.0",
    ]);
    assert.match(elsewhere.stderr, /Berth lives in namespace berth-system: helm install/);
    const old = await run(helm, ["template", ...release, "--kube-version", "1.32.0"]);
    assert.match(old.stderr, /chart requires kubeVersion: >=1\.33/);
    const level = await run(helm, ["template", ...release, "--kube-version", "1.35.0", "--set", "level=best"]);
    assert.match(level.stderr, /level/);
    const mutating = await run(helm, ["template", ...release, "--kube-version", "1.35.0", "--set", "level=mutating"]);
    assert.match(mutating.stderr, /does not serve MutatingAdmissionPolicy; use level webhook, policies or auto/);
  });

  describe("on a real API server", { skip: withoutControlPlane() }, () => {
    let cluster: ControlPlane;
    before(async () => {
      cluster = await startControlPlane({ scheduler: false });
    });
    after(() => cluster[Symbol.asyncDispose]());

    test("installs, upgrades, keeps berth install away, and leaves jobs and queues when removed", async () => {
      const { client } = cluster;
      const home = mkdtempSync(join(tmpdir(), "berth-helm-"));
      const env = {
        KUBECONFIG: cluster.kubeconfig,
        BERTH_CONTEXT: cluster.kubeconfig,
        HELM_CACHE_HOME: home,
        HELM_CONFIG_HOME: home,
        HELM_DATA_HOME: home,
      };
      const call = (program: string, ...words: string[]): Promise<Outcome> =>
        run(program, words, { env, timeoutSeconds: 180 });
      try {
        const made = await call(helm, "install", ...release, "--create-namespace");
        assert.equal(made.code, 0, made.stderr);
        assert.match(made.stdout, /level policies: what pods of a managed namespace lack is refused/);
        const definitions = await client.list(resources.customResourceDefinitions);
        assert.equal(definitions.items.length, customResourceDefinitions.length);
        const refused = await call(join(repository, "berth"), "install");
        assert.match(
          refused.stderr,
          /installed here by Helm, as release berth of namespace berth-system: go on with helm upgrade/,
        );
        const queue = { apiVersion: "berth.dev/v1alpha1", kind: "Queue", metadata: { name: "kept" }, spec: {} };
        await client.create(queues, queue as AnyObject);
        const again = await call(helm, "upgrade", ...release, "--set", "image=example.org/b:9");
        assert.equal(again.code, 0, again.stderr);
        const gone = await call(helm, "uninstall", "berth", "--namespace", systemNamespace);
        assert.equal(gone.code, 0, gone.stderr);
        assert.ok(await client.get(queues, "kept"));
        const roles = await client.list(resources.clusterRoles, { labelSelector: "app.kubernetes.io/part-of=berth" });
        assert.deepEqual(roles.items, []);
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    });
  });
});
