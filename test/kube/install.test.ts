/** `berth install`, `upgrade`, `uninstall` and `status` on a real API server, with the rights that they give and take. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { resources, type AnyObject, type Client } from "@berth/client";
import { customResourceDefinitions, sites, systemNamespace, workloads } from "@berth/kinds";
import { repository, run, type Outcome } from "../support/berth.ts";
import { startControlPlane, withoutControlPlane, type ControlPlane } from "./control-plane.ts";

const definitions = resources.customResourceDefinitions;
const format = "berth.dev/format";

describe("an installation", { skip: withoutControlPlane() }, () => {
  let cluster: ControlPlane;
  let client: Client;
  const folder = mkdtempSync(join(tmpdir(), "berth-install-"));
  before(async () => {
    cluster = await startControlPlane({ scheduler: false });
    client = cluster.client;
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  const berth = (words: string[], kubeconfig: string | undefined = cluster.kubeconfig): Promise<Outcome> =>
    run(join(repository, "berth"), words, {
      env: { BERTH_CONTEXT: kubeconfig, XDG_STATE_HOME: join(folder, "state") },
      timeoutSeconds: 120,
    });
  const refused = async (words: string[], expected: RegExp, kubeconfig?: string): Promise<void> => {
    const { code, stderr } = await berth(words, kubeconfig);
    assert.notEqual(code, 0);
    assert.match(stderr, expected);
  };
  const setFormat = async (value: string | null, name = "workloads.berth.dev"): Promise<void> => {
    await client.patch(definitions, name, { metadata: { annotations: { [format]: value } } });
  };

  test("a cluster that nobody named is not touched", async () => {
    await refused(["install"], /which cluster\? name it: berth install --context NAME/, "");
    await refused(
      ["install", "--level", "mutating"],
      /v1\.35\.\d+ does not serve MutatingAdmissionPolicy.*Use --level webhook or policies/,
    );
    await refused(["upgrade"], /has no Berth yet: berth install/);
  });

  test("before, berth status says what is missing", async () => {
    const { code, stdout } = await berth(["status"]);
    assert.equal(code, 1);
    assert.match(stdout, /wrong: Berth is not installed here: berth install/);
  });

  test("who may not install is told which rights are missing, and nothing is written", async () => {
    const nobody = await cluster.kubeconfigFor("nobody@example.org");
    await refused(
      ["install"],
      /nobody@example\.org may not do this.*rights:\n  get, create, patch namespaces\n[^]*--clusterrole=cluster-admin --user=nobody@example\.org/,
      nobody,
    );
    assert.deepEqual((await client.list(definitions)).items, []);
    // Who may write roles, and has not the rights in them, may not give them.
    await client.create(resources.clusterRoles, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "installs" },
      rules: [
        {
          apiGroups: [
            "",
            "apps",
            "apiextensions.k8s.io",
            "apiregistration.k8s.io",
            "admissionregistration.k8s.io",
            "rbac.authorization.k8s.io",
          ],
          resources: ["*"],
          verbs: ["get", "list", "create", "patch", "delete"],
        },
      ],
    } as AnyObject);
    await client.create(resources.clusterRoleBindings, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "installs" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "installs" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "half" }],
    } as AnyObject);
    await refused(
      ["install"],
      /ClusterRole berth-controllers: you may not write this: [^]*Who gives a right must have it/,
      await cluster.kubeconfigFor("half"),
    );
    assert.deepEqual((await client.list(definitions)).items, []);
  });

  test("a dry run asks the server and changes nothing", async () => {
    const { code, stdout, stderr } = await berth(["install", "--dry-run"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /CustomResourceDefinition workloads\.berth\.dev would be created/);
    assert.match(stdout, /objects would change; nothing was written/);
    assert.deepEqual((await client.list(definitions)).items, []);
  });

  test("the objects are printed without a cluster", async () => {
    const { code, stdout } = await berth(["install", "--dry-run", "--output", "yaml"], "");
    assert.equal(code, 0);
    assert.match(stdout, /^---\napiVersion: v1\nkind: Namespace\n/);
    const json = await berth(["install", "--dry-run", "--output", "json", "--image", "example.org/b:9"], "");
    const { items } = JSON.parse(json.stdout) as { items: { kind: string }[] };
    assert.equal(items.length, stdout.split("\n---\n").length);
    const claims = (text: string): number => text.split("PersistentVolumeClaim").length - 1;
    assert.equal(claims(stdout), 1);
    const database = "postgres://berth@db.example.org/berth?passwordfile=/etc/berth/accounting/password";
    const remote = await berth(["install", "--dry-run", "--output", "yaml", "--accounting", database]);
    assert.equal(claims(remote.stdout), 0);
    assert.ok(remote.stdout.includes(`- ${database}\n`));
    const secret = ["--accounting", "postgres://berth:secret@db.example.org/berth"];
    const { code: refusedCode, stderr: words } = await berth(["install", "--dry-run", "--output", "yaml", ...secret]);
    assert.equal(refusedCode, 1);
    assert.match(words, /a password does not go into a Deployment/);
    assert.ok(!words.includes("secret@"));
    assert.ok(json.stdout.includes('"image": "example.org/b:9"'));
  });

  test("an install is taken whole, the kinds are served, and a second one changes nothing", async () => {
    const passwd = join(folder, "passwd");
    writeFileSync(passwd, "ada:x:1001:1001::/home/ada:/bin/sh\n");
    const { code, stdout, stderr } = await berth(["install", "--passwd", passwd, "--image", "localhost/berth:test"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /done: \d+ objects changed; level policies/);
    assert.equal((await client.list(definitions)).items.length, customResourceDefinitions.length);
    assert.equal((await client.list(sites)).items.length, 1);
    const again = await berth(["install", "--image", "localhost/berth:test"]);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /done: all was so already/, again.stdout);
    const users = await client.get<AnyObject & { data: { passwd: string } }>(resources.configMaps, "berth-users", {
      namespace: systemNamespace,
    });
    assert.match(users.data.passwd, /^ada:/, "who is who stays as it was where nothing is said");
  });

  test("policies are understood by the server, down to the types of what they name", async () => {
    const key = {
      group: "admissionregistration.k8s.io",
      version: "v1",
      resource: "validatingadmissionpolicies",
      namespaced: false,
    };
    const { items } = await client.list<AnyObject>(key);
    assert.ok(items.length > 5);
    for (const { metadata, status } of items) {
      const { typeChecking } = (status ?? {}) as { typeChecking?: { expressionWarnings?: unknown } };
      assert.equal(typeChecking?.expressionWarnings, undefined, metadata.name);
    }
  });

  test("berth status tells what is installed and what is wrong", async () => {
    const { code, stdout } = await berth(["status"]);
    assert.equal(code, 1);
    assert.match(stdout, /8 of 8 kinds served, format 1/);
    assert.match(stdout, /level policies: what pods of a managed namespace lack is refused/);
    assert.match(stdout, /controllers: 0 of 1 ready, image localhost\/berth:test/);
    assert.match(stdout, /wrong: nobody leads/);
    const json = await berth(["status", "-o", "json"]);
    assert.equal((JSON.parse(json.stdout) as { healthy: boolean }).healthy, false);
    const reader = await berth(["status"], await cluster.kubeconfigFor("somebody"));
    assert.match(reader.stdout, /how Berth is installed may be read by an operator only/);
  });

  test("what somebody else changed is left alone and said; --force takes it back", async () => {
    const key = { group: "apps", version: "v1", resource: "deployments", namespaced: true };
    const scale = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "berth-controllers" },
      spec: { replicas: 0 },
    };
    await client.patch(key, "berth-controllers", scale, {
      type: "Apply",
      force: true,
      fieldManager: "somebody",
      namespace: systemNamespace,
    });
    await refused(
      ["install", "--image", "localhost/berth:test"],
      /Deployment berth-system\/berth-controllers: somebody else has set fields .*somebody.*\.spec\.replicas.*--force/s,
    );
    assert.match((await berth(["status"])).stdout, /wrong: the Deployment of the controllers is scaled to 0/);
    const { code, stdout, stderr } = await berth(["install", "--image", "localhost/berth:test", "--force"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Deployment berth-system\/berth-controllers changed/);
  });

  test("definitions of another owner or a newer Berth are refused; an older format is brought forward", async () => {
    const { metadata } = await client.create(workloads, workload("stored", "default"));
    await setFormat("99");
    await refused(["install"], /workloads\.berth\.dev has format 99; this Berth knows 1\. A newer Berth was here/);
    await refused(["upgrade"], /format 99/);
    await setFormat("soon");
    await refused(["upgrade"], /annotation berth\.dev\/format is "soon", not a number/);
    await setFormat(null);
    await refused(
      ["install"],
      /does not say that it is Berth's .*kubectl annotate crd workloads\.berth\.dev berth\.dev\/format=0/,
    );
    const label = "app.kubernetes.io/managed-by";
    await client.patch(definitions, "queues.berth.dev", { metadata: { labels: { [label]: "Helm" } } });
    await setFormat("0");
    await refused(["upgrade"], /installed here by Helm, .*go on with helm upgrade/);
    await client.patch(definitions, "queues.berth.dev", { metadata: { labels: { [label]: "berth" } } });
    await refused(["install"], /has Berth in format 0, this is format 1: berth upgrade/);
    await refused(["upgrade"], /the controllers run localhost\/berth:test/).catch(() => {});
    const { code, stdout, stderr } = await berth(["upgrade", "--image", "localhost/berth:test", "--force"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /brought from format 0 to 1: \d+ stored objects written anew/);
    const after = await client.get<AnyObject>(workloads, "stored", { namespace: "default" });
    assert.equal(after.metadata.uid, metadata.uid);
    assert.equal((await client.get<AnyObject>(definitions, "workloads.berth.dev")).metadata.annotations?.[format], "1");
  });

  test("an uninstallation is asked for twice, and leaves work, its record and what an operator set", async () => {
    await client.create(resources.pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "works", namespace: "default", labels: { "berth.dev/workload": "stored" } },
      spec: { containers: [{ name: "main", image: "none" }], nodeName: "nowhere" },
    } as AnyObject);
    await refused(["uninstall"], /say --yes to do it/);
    const trial = await berth(["uninstall", "--dry-run"]);
    assert.match(trial.stdout, /Deployment berth-system\/berth-controllers would be removed/);
    const { code, stdout, stderr } = await berth(["uninstall", "--yes"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /1 running pod of jobs: they go on/);
    assert.match(stdout, /1 Workload \(1 not ended\)/);
    assert.match(stdout, /namespace berth-system with the counter of job ids and the claim berth-accounting/);
    assert.match(stdout, /kubectl delete crd -l app\.kubernetes\.io\/part-of=berth/);
    assert.ok(await client.get(resources.pods, "works", { namespace: "default" }));
    assert.ok(await client.get(workloads, "stored", { namespace: "default" }));
    const roles = await client.list<AnyObject>(resources.clusterRoles, {
      labelSelector: "app.kubernetes.io/part-of=berth",
    });
    assert.deepEqual(roles.items, []);
    assert.match((await berth(["status"])).stdout, /wrong: no policy is in force/);
    // A second one finds nothing; an install takes up what stayed.
    assert.match((await berth(["uninstall", "--yes"])).stdout, /nothing was installed; what stays/);
    const back = await berth(["install"]);
    assert.equal(back.code, 0, back.stderr);
    assert.ok(await client.get(workloads, "stored", { namespace: "default" }));
  });
});

function workload(name: string, namespace: string): AnyObject {
  return {
    apiVersion: "berth.dev/v1alpha1",
    kind: "Workload",
    metadata: { name, namespace },
    spec: { podSets: [{ name: "main", template: { spec: { containers: [{ name: "main", image: "none" }] } } }] },
  } as AnyObject;
}
