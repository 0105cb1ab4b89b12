/** The table of attempts, tried on a real API server with Berth installed and its controllers at work. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  createClient,
  loadKubeconfig,
  resources,
  type AnyObject,
  type Client,
  type ConnectionOptions,
} from "@berth/client";
import { annotations, labels, systemNamespace, workloads, type Pod } from "@berth/kinds";
import { repository, run } from "../support/berth.ts";
import { waitFor } from "../support/waiting.ts";
import { attemptRows, attempts, present, withoutEffect, type Who } from "./attempts.ts";
import { createReadyNode, startProcess, type Controllers } from "./berth.ts";
import { startControlPlane, withoutControlPlane, type ControlPlane } from "./control-plane.ts";

const rbac = "rbac.authorization.k8s.io";

test("docs/reference/attempts.md has the same rows", () => {
  const text = readFileSync(join(repository, "docs", "reference", "attempts.md"), "utf8");
  const rows = text.split("\n").filter((line) => /^\| (?!-|attempt )/.test(line.replace(/^\|-/, "| -")));
  const told = rows.map((row) => row.replaceAll(/ +/g, " "));
  assert.deepEqual(told, attemptRows());
});

describe("attempts", { skip: withoutControlPlane() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-attempts-"));
  let cluster: ControlPlane;
  let controllers: Controllers;
  const clients = {} as Record<Who, Client>;
  const connections = {} as Record<Who, ConnectionOptions>;

  before(async () => {
    cluster = await startControlPlane({ scheduler: false, controllerManager: false });
    const { client } = cluster;
    const installed = await run(join(repository, "berth"), ["install", "--level", "policies"], {
      env: { BERTH_CONTEXT: cluster.kubeconfig },
      timeoutSeconds: 120,
    });
    assert.equal(installed.code, 0, installed.stderr);
    await client.create(resources.clusterRoles, {
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRole",
      metadata: { name: "makes-pods" },
      rules: [
        {
          apiGroups: ["", "apps", "batch"],
          resources: ["pods/binding", "pods/ephemeralcontainers", "deployments", "jobs", "cronjobs", "podtemplates"],
          verbs: ["*"],
        },
      ],
    } as AnyObject);
    for (const name of ["ada", "bob"]) {
      const metadata = { name, annotations: { [annotations.owner]: name } };
      await client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata });
    }
    const robot = { kind: "ServiceAccount", name: "robot", namespace: "ada" };
    for (const name of ["default", "robot"]) {
      const metadata = { name, namespace: "ada" };
      await client.create(resources.serviceAccounts, { apiVersion: "v1", kind: "ServiceAccount", metadata });
    }
    const bindings: [namespace: string, role: string, subject: object][] = [
      ...["ada", "bob"].flatMap((name) =>
        ["berth-user", "makes-pods"].map(
          (role) => [name, role, { apiGroup: rbac, kind: "User", name }] as [string, string, object],
        ),
      ),
      ["ada", "berth-user", robot],
    ];
    for (const [at, [namespace, name, subject]] of bindings.entries()) {
      await client.create(resources.roleBindings, {
        apiVersion: `${rbac}/v1`,
        kind: "RoleBinding",
        metadata: { name: `binding-${at}`, namespace },
        roleRef: { apiGroup: rbac, kind: "ClusterRole", name },
        subjects: [subject],
      } as AnyObject);
    }
    const open = (who: Who, path: string): void => {
      connections[who] = loadKubeconfig({ path }).connection;
      clients[who] = createClient(connections[who]);
    };
    open("ada", await cluster.kubeconfigFor("ada"));
    open("bob", await cluster.kubeconfigFor("bob"));
    open("robot", await cluster.kubeconfigForServiceAccount("ada", "robot"));
    await createReadyNode(client);
    const passwd = join(folder, "passwd");
    const group = join(folder, "group");
    writeFileSync(passwd, "ada:x:1001:1001::/home/ada:/bin/sh\nbob:x:1002:1002::/home/bob:/bin/sh\n");
    writeFileSync(group, "physics:x:2000:ada\n");
    controllers = await startProcess([
      `--kubeconfig=${await cluster.kubeconfigForServiceAccount(systemNamespace, "berth-controllers")}`,
      `--passwd=${passwd}`,
      `--group=${group}`,
      `--accounting=${join(folder, "accounting.db")}`,
    ]);
    await waitFor("namespaces to say as whom their pods run", async () => {
      const { metadata } = await client.get<AnyObject>(resources.namespaces, "ada");
      return metadata.annotations?.[annotations.groups] === "2000" || undefined;
    });
    for (const [resource, object] of present) await clients.ada.create(resource, object, { namespace: "ada" });
  });
  after(async () => {
    for (const client of Object.values(clients)) client.close();
    await controllers?.end();
    await cluster?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const { what, who, words, try: attempt } of attempts) {
    test(`refused: ${what}, by ${who}`, async () => {
      const answer = await attempt(clients[who], connections[who]).then(
        () => "taken",
        (error: Error) => error.message,
      );
      assert.match(answer, words);
    });
  }

  for (const { what, who, workload } of withoutEffect) {
    test(`without effect: ${what}, by ${who}`, async () => {
      await clients[who].create(workloads, workload, { namespace: "ada" });
      const { name } = workload.metadata;
      const pod = await waitFor(`the pod of ${name}`, async () => {
        const { items } = await cluster.client.list<Pod>(resources.pods);
        return items.find(({ metadata }) => metadata.ownerReferences?.[0]?.name === name);
      });
      const { metadata, spec } = pod;
      assert.equal(metadata.namespace, "ada");
      assert.equal(metadata.labels?.[labels.workload], name);
      assert.notEqual(metadata.annotations?.[annotations.wallTimeSeconds], "999999");
      assert.equal(metadata.annotations?.[annotations.grant], undefined);
      const { runAsUser, runAsGroup, supplementalGroups, supplementalGroupsPolicy } = spec.securityContext ?? {};
      assert.deepEqual([runAsUser, runAsGroup, supplementalGroups], [1001, 1001, [1001, 2000]]);
      assert.equal(supplementalGroupsPolicy, "Strict");
      assert.equal(spec["serviceAccountName"] ?? "default", "default");
      assert.equal(spec.automountServiceAccountToken, false);
    });
  }

  test("what is one's own one may: enter, read, change", async () => {
    const { ada } = clients;
    await ada.get(resources.secrets, "script", { namespace: "ada" });
    // There is no kubelet: who may not is told so before it is looked for.
    const enter = ada.request({ method: "POST", path: "/api/v1/namespaces/ada/pods/running/exec?command=sh" });
    await assert.rejects(enter, (error: Error) => !/cannot create|cannot get|forbidden/i.test(error.message));
    await ada.patch(workloads, "waiting", { spec: { hold: null } }, { namespace: "ada" });
  });
});
