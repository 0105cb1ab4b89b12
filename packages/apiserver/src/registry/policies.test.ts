import { admissionPolicies, customResourceDefinitions } from "@berth/kinds";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ensureToken } from "../authentication/tokens.ts";
import { startApiServer, type ApiServer } from "../server.ts";
import { HttpsClient } from "../testing/https-client.ts";

const workloads = "/apis/berth.dev/v1alpha1/namespaces/default/workloads";
const pods = "/api/v1/namespaces/default/pods";
const merge = { "content-type": "application/merge-patch+json" };
type Answer = Awaited<ReturnType<HttpsClient["call"]>>;

describe("admission policies", () => {
  let folder: string;
  let server: ApiServer;
  let client: HttpsClient;
  let ada: Record<string, string>;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "berth-policies-"));
    const token = ensureToken(join(folder, "tokens.json"), { user: "ada", groups: [] });
    ada = { authorization: `Bearer ${token}` };
    server = await startApiServer({
      dataDirectory: folder,
      bootstrapObjects: [...customResourceDefinitions],
      admissionPolicies,
    });
    client = new HttpsClient(server.adminKubeconfig);
    await client.call("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: "ada" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "edit" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "ada" }],
    });
  });
  after(async () => {
    client.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const create = (name: string, spec: object, as: Record<string, string> = ada): Promise<Answer> =>
    client.call(
      "POST",
      workloads,
      {
        apiVersion: "berth.dev/v1alpha1",
        kind: "Workload",
        metadata: { name },
        spec: { podSets: [{ name: "main", template: { spec: { containers: [{ name: "main" }] } } }], ...spec },
      },
      as,
    );
  const patch = (name: string, spec: object, as: Record<string, string> = ada): Promise<Answer> =>
    client.call("PATCH", `${workloads}/${name}`, { spec }, { ...merge, ...as });
  const refused = ({ code, body }: Answer, words: RegExp): void => {
    assert.deepEqual([code, body.reason], [403, "Forbidden"]);
    assert.match(body.message, words);
  };

  it("let nobody but operators hold as Admin, or release what is held so", async () => {
    refused(
      await create("held", { hold: "Admin" }),
      /^workloads.berth.dev "held" is forbidden: ValidatingAdmissionPolicy 'workloads.berth.dev' .* only an operator holds/,
    );
    assert.equal((await create("held", { hold: "User" })).code, 201);
    refused(await patch("held", { hold: "Admin" }), /only an operator/);
    assert.equal((await patch("held", { hold: "Admin" }, {})).code, 200);
    for (const hold of ["User", null]) refused(await patch("held", { hold }), /or releases one that is held so/);
    assert.equal((await patch("held", { nice: 3 })).code, 200);
    assert.equal((await patch("held", { hold: null }, {})).code, 200);
  });

  it("let whose job it is make its wall time shorter, and operators longer", async () => {
    assert.equal((await create("walled", { wallTimeSeconds: 600 })).code, 201);
    assert.equal((await patch("walled", { wallTimeSeconds: 500 })).code, 200);
    refused(await patch("walled", { wallTimeSeconds: 501 }), /longer by operators only/);
    assert.equal((await patch("walled", { wallTimeSeconds: 900 }, {})).code, 200);
    assert.equal((await patch("walled", { wallTimeSeconds: null }, {})).code, 422, "not even they take it away");
    // Of a job that asked for none, what it was given counts.
    await create("default", {});
    refused(await patch("default", { wallTimeSeconds: 60 }), /longer by operators only/);
    const status = { status: { wallTimeSeconds: 3600 } };
    await client.call("PATCH", `${workloads}/default/status`, status, merge);
    refused(await patch("default", { wallTimeSeconds: 3601 }), /longer by operators only/);
    assert.equal((await patch("default", { wallTimeSeconds: 3600 })).code, 200);
  });

  it("give the verb to a role that names it, in its namespace", async () => {
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    await create("mine", { hold: "User" });
    refused(await patch("mine", { hold: "Admin" }), /only an operator/);
    const apiVersion = "rbac.authorization.k8s.io/v1";
    await client.call("POST", `${rbac}/clusterroles`, {
      apiVersion,
      kind: "ClusterRole",
      metadata: { name: "operators" },
      rules: [{ apiGroups: ["berth.dev"], resources: ["workloads"], verbs: ["operate"] }],
    });
    await client.call("POST", `${rbac}/namespaces/default/rolebindings`, {
      apiVersion,
      kind: "RoleBinding",
      metadata: { name: "operators" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "operators" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "ada" }],
    });
    assert.equal((await patch("mine", { hold: "Admin" })).code, 200);
    await client.call("DELETE", `${rbac}/namespaces/default/rolebindings/operators`);
    refused(await patch("mine", { hold: null }), /only an operator/);
  });

  it("keep the wall time of a job's pods", async () => {
    const pod = (name: string, labels: object): object => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels, annotations: { "berth.dev/wall-time-seconds": "60" } },
      spec: { containers: [{ name: "main", image: "host" }] },
    });
    await client.call("POST", pods, pod("job", { "berth.dev/workload": "w" }));
    await client.call("POST", pods, pod("plain", {}));
    const longer = { metadata: { annotations: { "berth.dev/wall-time-seconds": "600" } } };
    const change = (name: string, body: object, as = ada): Promise<Answer> =>
      client.call("PATCH", `${pods}/${name}`, body, { ...merge, ...as });
    refused(await change("job", longer), /the wall time of a pod is its Workload's/);
    assert.equal((await change("job", { metadata: { annotations: { other: "x" } } })).code, 200);
    assert.equal((await change("plain", longer)).code, 200);
    assert.equal((await change("job", longer, {})).code, 200);
  });
});
