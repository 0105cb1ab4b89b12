import { questionDefinitions } from "@berth/kinds";
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startApiServer, type ApiServer } from "../server.ts";
import { HttpsClient } from "../testing/https-client.ts";

const path = "/apis/questions.berth.dev/v1alpha1/namespaces/default/startestimates";
const podSets = [{ name: "main", template: { spec: { containers: [{ name: "main" }] } } }];
const question = (name: string, spec: object = { podSets }): object => ({
  apiVersion: "questions.berth.dev/v1alpha1",
  kind: "StartEstimate",
  metadata: { name },
  spec,
});
const answer = { status: { queue: "standard", nodes: ["n1"] } };

describe("a question", () => {
  let folder: string;
  let server: ApiServer;
  let client: HttpsClient;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "berth-questions-"));
    server = await startApiServer({ dataDirectory: folder, questionDefinitions });
    client = new HttpsClient(server.adminKubeconfig);
  });
  after(async () => {
    client.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const patch = (name: string, body: object): ReturnType<HttpsClient["call"]> =>
    client.call("PATCH", `${path}/${name}/status`, body, { "content-type": "application/merge-patch+json" });

  it("is answered by whoever writes its status, and forgotten", async () => {
    const watch = client.watch(`${path}?watch=true`);
    assert.equal(await watch.opened, 200);
    const asked = client.call("POST", path, question("now"));
    const added = await watch.next();
    assert.equal(added?.type, "ADDED");
    assert.equal(added.object.spec.type, "Batch", "defaults of the schema are filled in");
    assert.equal((await client.call("GET", `${path}/now`)).code, 200);
    assert.equal((await patch("now", answer)).code, 200);
    const { code, body } = await asked;
    assert.equal(code, 201);
    assert.deepEqual(body.status, answer.status);
    assert.deepEqual(body.spec.podSets[0].name, "main");
    assert.deepEqual([(await watch.next())?.type, (await watch.next())?.type], ["MODIFIED", "DELETED"]);
    watch.stop();
    assert.equal((await client.call("GET", `${path}/now`)).code, 404);
    const stored = readFileSync(join(folder, "api", "store.db"));
    const journal = readFileSync(join(folder, "api", "store.db-wal"));
    assert.ok(!stored.includes("StartEstimate") && !journal.includes("StartEstimate"), "it is never written down");
  });

  it("can be refused, is not changed, and is known to clients", async () => {
    const wrong = await client.call("POST", path, question("wrong", { podSets: [] }));
    assert.equal(wrong.code, 422);
    const dry = await client.call("POST", `${path}?dryRun=All`, question("dry"));
    assert.equal(dry.code, 201);
    assert.equal((await client.call("PUT", `${path}/any`, question("any"))).code, 405);
    assert.equal((await client.call("DELETE", `${path}/any`)).code, 405);
    const { body } = await client.call("GET", "/apis/questions.berth.dev/v1alpha1");
    const found = body.resources.filter(({ name }: { name: string }) => name.startsWith("startestimates"));
    assert.deepEqual(
      found.map(({ name, verbs }: { name: string; verbs: string[] }) => [name, verbs.join()]),
      [
        ["startestimates", "create,get,list,watch"],
        ["startestimates/status", "get,patch,update"],
      ],
    );
    const openapi = await client.call("GET", "/openapi/v3/apis/questions.berth.dev/v1alpha1");
    assert.ok(openapi.text.includes("StartEstimate"));
  });
});
