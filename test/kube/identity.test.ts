/** Who is who on a real API server: by tokens of an OpenID provider, and by a directory. */
import assert from "node:assert/strict";
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createClient, loadKubeconfig, resources, type AnyObject, type Client } from "@berth/client";
import { labels, queues, systemNamespace, workloads, type Pod, type Workload } from "@berth/kinds";
import { personEntry, startSlapd, type Slapd, withoutSlapd } from "../../packages/identity/src/testing/slapd.ts";
import { repository, run, type Outcome } from "../support/berth.ts";
import { startOpenIdProvider, type OpenIdProvider } from "../support/openid-provider.ts";
import { waitFor } from "../support/waiting.ts";
import { createReadyNode, person, startProcess, type Controllers } from "./berth.ts";
import { startControlPlane, withoutControlPlane, type ControlPlane } from "./control-plane.ts";
import { Pki, writeKubeconfig } from "./pki.ts";

const rbac = "rbac.authorization.k8s.io";
const container = { name: "main", image: "none", resources: { requests: { cpu: "1", memory: "1Gi" } } };

const notRoot = process.getuid?.() === 0 ? false : "needs root to submit as another user";

type Stated = Record<string, string>;

describe("who is who", { skip: withoutControlPlane() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-identity-"));
  let cluster: ControlPlane;
  let client: Client;
  let provider: OpenIdProvider;
  let account: string;

  before(async () => {
    const pki = await Pki.create(join(folder, "pki"));
    const pair = await pki.issue("provider", {
      commonName: "provider",
      alternativeNames: ["127.0.0.1"],
      use: "server",
    });
    provider = await startOpenIdProvider(pair, pki.authorityPem, ["uidNumber", "gidNumber", "gids"]);
    const authentication = join(folder, "authentication.json");
    writeFileSync(authentication, JSON.stringify(authenticationConfiguration(provider, pki.authorityPem)));
    cluster = await startControlPlane({
      scheduler: false,
      controllerManager: false,
      apiServerFlags: [`--authentication-config=${authentication}`],
    });
    client = cluster.client;
    const { code, stderr } = await run(join(repository, "berth"), ["install", "--level", "policies"], {
      env: { BERTH_CONTEXT: cluster.kubeconfig },
      timeoutSeconds: 120,
    });
    assert.equal(code, 0, stderr);
    await createReadyNode(client);
    for (const name of [person.name, "ada", "bob"]) await makeNamespace(name);
    account = await cluster.kubeconfigForServiceAccount(systemNamespace, "berth-controllers");
  });
  after(async () => {
    await provider?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  /** As an operator does it: whose it is, and that they may work in it. */
  async function makeNamespace(name: string): Promise<void> {
    const metadata = { name, annotations: { "berth.dev/owner": name } };
    await client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata });
    await client.create(resources.roleBindings, {
      apiVersion: `${rbac}/v1`,
      kind: "RoleBinding",
      metadata: { name: "berth-user", namespace: name },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name: "berth-user" },
      subjects: [{ apiGroup: rbac, kind: "User", name }],
    } as AnyObject);
  }
  const stated = async (name: string): Promise<Stated> =>
    (await client.get<AnyObject>(resources.namespaces, name)).metadata.annotations ?? {};
  const idsOf = ({ "berth.dev/uid": uid, "berth.dev/gid": gid, "berth.dev/groups": groups }: Stated): unknown[] => [
    uid,
    gid,
    groups,
  ];
  const startControllers = (settings: unknown): Promise<Controllers> => {
    const users = join(folder, "users.yaml");
    writeFileSync(users, JSON.stringify(settings));
    const accounting = join(folder, "accounting.db");
    return startProcess([`--kubeconfig=${account}`, `--users=${users}`, `--accounting=${accounting}`]);
  };
  const leading = (controllers: Controllers): Promise<unknown> =>
    waitFor("the controllers to lead", () => controllers.isLeading() || undefined, 60);
  const submit = async (namespace: string, name: string, as = client): Promise<Workload> =>
    await as.create<Workload>(workloads, {
      apiVersion: "berth.dev/v1alpha1",
      kind: "Workload",
      metadata: { name, namespace },
      spec: { wallTimeSeconds: 600, podSets: [{ name: "main", template: { spec: { containers: [container] } } }] },
    } as unknown as Workload);
  const read = (namespace: string, name: string): Promise<Workload> =>
    client.get<Workload>(workloads, name, { namespace });
  const admitted = (namespace: string, name: string): Promise<Workload> =>
    waitFor(`${name} to be admitted`, async () => {
      const found = await read(namespace, name);
      return found.status?.jobId === undefined ? undefined : found;
    });
  const refusal = (namespace: string, name: string): Promise<string> =>
    waitFor(`${name} to be refused`, async () => {
      const { status } = await read(namespace, name);
      return status?.conditions?.find(({ type, status: is }) => type === "Admitted" && is === "False")?.message;
    });
  const podOf = (namespace: string, name: string): Promise<Pod> =>
    waitFor(`the pod of ${name}`, async () => {
      const labelSelector = `${labels.workload}=${name}`;
      return (await client.list<Pod>(resources.pods, { namespace, labelSelector })).items[0];
    });

  describe("by tokens of an OpenID provider", () => {
    let controllers: Controllers;
    const tokenFile = async (name: string): Promise<string> => {
      const server = { url: cluster.url, authorityPem: cluster.pki.authorityPem };
      return writeKubeconfig(join(folder, `token-${name}`), server, { token: await provider.idToken(name) });
    };
    const asUser = async (name: string): Promise<Client> =>
      createClient(loadKubeconfig({ path: await tokenFile(name) }).connection);
    /** As the person types it, with the token that they have just got. */
    const sbatch = async (...words: string[]): Promise<Outcome> => {
      const home = join(folder, "home");
      mkdirSync(home, { recursive: true });
      const kubeconfig = await tokenFile(person.name);
      for (const path of [folder, home, kubeconfig]) chownSync(path, person.uid, person.gid);
      return await run(join(repository, "berth"), ["sbatch", "--parsable", ...words], {
        cwd: home,
        env: { BERTH_CONTEXT: kubeconfig, XDG_STATE_HOME: home, HOME: home, USER: person.name },
        as: { uid: person.uid, gid: person.gid },
        timeoutSeconds: 60,
        input: "#!/bin/sh\ntrue\n",
      });
    };
    before(async () => {
      provider.people.set(person.name, { uidNumber: 1001, gidNumber: 100, gids: ["2000", "2001"] });
      provider.people.set("ada", { uidNumber: 1002, gidNumber: 1002, gids: [] });
      provider.people.set("bob", {});
      controllers = await startControllers({ source: "Claims" });
      await leading(controllers);
      // The API server fetches the provider's keys in its own time.
      await waitFor("tokens to be taken", async () => {
        const own = await asUser("ada");
        return await own.get(resources.namespaces, "ada").then(
          () => true,
          () => undefined,
        );
      });
    });
    after(() => controllers?.end());

    test("a job runs as what the token of its user says; the first one writes it down", async () => {
      const ada = await asUser("ada");
      await assert.rejects(
        submit("ada", "first", ada),
        /your token says that you are uid 1002, gid 1002, groups ; namespace ada says uid , gid , groups ; to renew it: kubectl annotate --overwrite namespace ada berth\.dev\/uid=1002/,
      );
      const annotations = { "berth.dev/uid": "1002", "berth.dev/gid": "1002" };
      await ada.patch(resources.namespaces, "ada", { metadata: { annotations } });
      await submit("ada", "second", ada);
      const { status } = await admitted("ada", "second");
      const nowhere = { home: "/", shell: "/bin/sh" };
      assert.deepEqual(status?.identity, { user: "ada", uid: 1002, gid: 1002, groups: [1002], ...nowhere });
      const { spec } = await podOf("ada", "second");
      assert.equal(spec.securityContext?.runAsUser, 1002);
    });

    test(
      "sbatch writes it down by itself, and again when the token says something else",
      { skip: notRoot },
      async () => {
        const podDefaults = { spec: { containers: [{ name: "main", image: "none" }] } };
        await client.patch(queues, "standard", { spec: { podDefaults } });
        const { code, stdout, stderr } = await sbatch();
        assert.equal(code, 0, stderr);
        const jobs = await client.list<Workload>(workloads, { namespace: person.name });
        const job = jobs.items.find(({ status }) => String(status?.jobId) === stdout.trim());
        assert.deepEqual(job?.status?.identity?.groups, [100, 2000, 2001]);
        assert.deepEqual(idsOf(await stated(person.name)), ["1001", "100", "2000,2001"]);
        provider.people.set(person.name, { uidNumber: 1001, gidNumber: 100, gids: ["2001"] });
        const again = await sbatch();
        assert.equal(again.code, 0, again.stderr);
        assert.deepEqual(idsOf(await stated(person.name)), ["1001", "100", "2001"]);
      },
    );

    test("nobody writes down anything else of themselves, of others, or of the namespace", async () => {
      const ada = await asUser("ada");
      const tell = (metadata: object, name = "ada", as = ada): Promise<string> =>
        as.patch(resources.namespaces, name, { metadata }).then(
          () => "taken",
          (error: Error) => error.message,
        );
      const only = /operators write them, and the owner what a token claims of their ids, which is uid 1002, gid 1002/;
      assert.match(await tell({ annotations: { "berth.dev/uid": "0" } }), only);
      assert.match(await tell({ annotations: { "berth.dev/uid": "1001" } }), only);
      assert.match(await tell({ annotations: { "berth.dev/groups": "2000" } }), only);
      assert.match(await tell({ annotations: { "berth.dev/uid": null } }), only);
      assert.match(await tell({ annotations: { "berth.dev/owner": "bob" } }), only);
      assert.match(await tell({ annotations: { "berth.dev/supplemental-groups-policy": "Merge" } }), only);
      const nothing = /its owner writes what a token claims of their ids, and nothing else/;
      assert.match(await tell({ labels: { "pod-security.kubernetes.io/enforce": "privileged" } }), nothing);
      assert.match(await tell({ annotations: { "scheduler.alpha.kubernetes.io/node-selector": "a=b" } }), nothing);
      assert.match(await tell({}, "bob"), /cannot patch resource "namespaces"/);
      const bob = await asUser("bob");
      assert.match(await tell({ annotations: { "berth.dev/uid": "1002" } }, "bob", bob), /claims of their ids$/);
      assert.deepEqual(idsOf(await stated("ada")), ["1002", "1002", undefined]);
    });

    test("of whom no token says anything no job is taken", async () => {
      await submit("bob", "nobody", await asUser("bob"));
      assert.match(
        await refusal("bob", "nobody"),
        /what tokens say of users \(berth\.dev\/uid and berth\.dev\/gid on their namespaces\) knows no user named bob/,
      );
    });
  });

  describe("by a directory", { skip: withoutSlapd() }, () => {
    let server: Slapd;
    let controllers: Controllers;
    before(async () => {
      server = await startSlapd();
      const { suffix } = server;
      server.change(
        [
          personEntry("ada", 3001, 3001),
          personEntry("bob", 3002, 3002),
          `dn: cn=physics,ou=groups,${suffix}\nobjectClass: posixGroup\ncn: physics\ngidNumber: 4000\nmemberUid: ada\n`,
        ].join("\n"),
      );
      controllers = await startControllers({
        source: "Ldap",
        servers: [server.url],
        caFile: server.caFile,
        bindDn: server.adminDn,
        passwordFile: server.passwordFile,
        userBase: `ou=people,${suffix}`,
        groupBase: `ou=groups,${suffix}`,
        lifetimeSeconds: 1,
        timeoutSeconds: 2,
      });
      await leading(controllers);
    });
    after(async () => {
      await controllers?.end();
      await server?.[Symbol.asyncDispose]();
    });
    const words = (): string => controllers.lines.map(({ message }) => message).join("\n");

    test("a job runs as its user with their groups, and their namespace says so", async () => {
      await waitFor(
        "the namespace to say it",
        async () => (await stated("ada"))["berth.dev/uid"] === "3001" || undefined,
      );
      assert.deepEqual(idsOf(await stated("ada")), ["3001", "3001", "4000"]);
      await submit("ada", "by-directory");
      const { status } = await admitted("ada", "by-directory");
      const places = { home: "/home/ada", shell: "/bin/bash" };
      assert.deepEqual(status?.identity, { user: "ada", uid: 3001, gid: 3001, groups: [3001, 4000], ...places });
      const { spec } = await podOf("ada", "by-directory");
      const { runAsUser, runAsGroup, supplementalGroups, supplementalGroupsPolicy } = spec.securityContext ?? {};
      assert.deepEqual(
        { runAsUser, runAsGroup, supplementalGroups, supplementalGroupsPolicy },
        { runAsUser: 3001, runAsGroup: 3001, supplementalGroups: [3001, 4000], supplementalGroupsPolicy: "Strict" },
      );
    });

    test("while it does not answer the known are who they were, and others wait", async () => {
      await server.stop();
      await submit("ada", "meanwhile");
      await submit(person.name, "unknown");
      assert.equal((await admitted("ada", "meanwhile")).status?.identity?.uid, 3001);
      await waitFor("a warning", () => /cannot be asked who is who/.test(words()) || undefined);
      assert.equal((await read(person.name, "unknown")).status?.jobId, undefined);
      server.start().catch(() => undefined);
      assert.match(await refusal(person.name, "unknown"), /the directory ldap:.* knows no user named nobody/);
      assert.match(words(), /answers again/);
    });

    test("who is gone is refused in words", async () => {
      server.change(`dn: uid=ada,ou=people,${server.suffix}\nchangetype: delete\n`);
      await waitFor("the answer's life to end", async () => {
        const name = `after-${Date.now()}`;
        await submit("ada", name);
        const found = await waitFor("a verdict", async () => {
          const { status } = await read("ada", name);
          return status?.conditions?.find(({ type }) => type === "Admitted");
        });
        return found.status === "False" && /knows no user named ada/.test(found.message ?? "") ? true : undefined;
      });
      assert.deepEqual(idsOf(await stated("ada")), ["3001", "3001", "4000"], "so that nobody else is taken for them");
    });
  });
});

function authenticationConfiguration({ issuer, clientId }: OpenIdProvider, certificateAuthority: string): unknown {
  return {
    apiVersion: "apiserver.config.k8s.io/v1beta1",
    kind: "AuthenticationConfiguration",
    jwt: [
      {
        issuer: { url: issuer, audiences: [clientId], certificateAuthority },
        claimMappings: {
          username: { claim: "sub", prefix: "" },
          extra: [
            { key: "berth.dev/uid", valueExpression: "has(claims.uidNumber) ? string(claims.uidNumber) : ''" },
            { key: "berth.dev/gid", valueExpression: "has(claims.gidNumber) ? string(claims.gidNumber) : ''" },
            { key: "berth.dev/groups", valueExpression: "has(claims.gids) ? dyn(claims.gids).map(g, string(g)) : []" },
          ],
        },
      },
    ],
  };
}
