import { viewDefinitions, type Inquiry, type InquiryStatus } from "@berth/kinds";
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startApiServer, type ApiServer } from "../server.ts";
import { HttpsClient } from "../testing/https-client.ts";

const group = "/apis/questions.berth.dev/v1alpha1";
const path = `${group}/queueviews`;

describe("a view", () => {
  let folder: string;
  let server: ApiServer;
  let client: HttpsClient;
  let watch: ReturnType<HttpsClient["watch"]>;
  const asked: Inquiry["spec"][] = [];
  let answerWith: (spec: Inquiry["spec"]) => InquiryStatus;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "berth-views-"));
    server = await startApiServer({ dataDirectory: folder, views: viewDefinitions });
    client = new HttpsClient(server.adminKubeconfig);
    watch = client.watch(`${group}/inquiries?watch=true`);
    assert.equal(await watch.opened, 200);
    void (async () => {
      for (let event = await watch.next(); event !== undefined; event = await watch.next()) {
        if (event.type !== "ADDED") continue;
        const { metadata, spec } = event.object as Inquiry;
        asked.push(spec);
        await client.call(
          "PATCH",
          `${group}/inquiries/${metadata.name}/status`,
          { status: answerWith(spec) },
          { "content-type": "application/merge-patch+json" },
        );
      }
    })();
  });
  after(async () => {
    watch.stop();
    client.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Plays whoever answers: as many rows as asked for, the number of the first in the token. */
  const rows =
    (all: number) =>
    ({ limit, continue: token }: Inquiry["spec"]): InquiryStatus => {
      const first = Number(token ?? 0);
      const next = Math.min(all, first + limit);
      const items = Array.from({ length: next - first }, (_, index) => ({
        apiVersion: "questions.berth.dev/v1alpha1",
        kind: "QueueView",
        metadata: { name: String(first + index) },
        spec: { queue: "standard", jobId: first + index },
      })).map((object) => JSON.stringify(object));
      return next === all ? { items } : { items, continue: String(next), remaining: all - next };
    };

  it("is listed by what the answer to an inquiry says: in pages, as a table, selected by fields", async () => {
    answerWith = rows(600);
    const whole = await client.call("GET", path);
    assert.equal(whole.body.kind, "QueueViewList");
    assert.equal(whole.body.items.length, 600);
    assert.equal(whole.body.metadata.continue, undefined);
    assert.deepEqual([whole.body.items[599].kind, whole.body.items[599].metadata.name], ["QueueView", "599"]);
    asked.length = 0;
    const page = await client.call("GET", `${path}?limit=300&fieldSelector=spec.user%3Dada,status.phase!%3DRunning`);
    assert.deepEqual([page.body.items.length, page.body.metadata.remainingItemCount], [300, 300]);
    assert.deepEqual(asked[0]?.fields, [
      { field: "spec.user", operator: "=", value: "ada" },
      { field: "status.phase", operator: "!=", value: "Running" },
    ]);
    assert.deepEqual([asked[0]?.asker.user, asked[0]?.asker.seesAll], ["admin", true]);
    const rest = await client.call("GET", `${path}?limit=500&continue=${page.body.metadata.continue}`);
    assert.deepEqual([rest.body.items[0].metadata.name, rest.body.items.length], ["300", 300]);
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    const table = await client.call("GET", `${path}?limit=1`, undefined, { accept });
    assert.equal(table.body.kind, "Table");
    assert.equal(table.body.rows[0].cells[1], "standard");
  });

  it("is got by name; what the answer refuses is refused in its words", async () => {
    answerWith = ({ name, namespace }) =>
      name === "lost"
        ? { refusal: { code: 410, reason: "Expired", message: "the list was begun before the controllers started" } }
        : name === "here"
          ? { items: [JSON.stringify({ kind: "Explanation", metadata: { name, namespace } })] }
          : { items: [] };
    const one = await client.call("GET", `${group}/namespaces/default/explanations/here`);
    assert.deepEqual([one.code, one.body.kind, one.body.metadata.namespace], [200, "Explanation", "default"]);
    assert.equal((await client.call("GET", `${group}/namespaces/default/explanations/none`)).code, 404);
    const lost = await client.call("GET", `${group}/namespaces/default/explanations/lost`);
    assert.deepEqual([lost.code, lost.body.reason], [410, "Expired"]);
    assert.match(lost.body.message, /begun before/);
  });

  it("is only read, says by what it can be narrowed, and leaves nothing behind", async () => {
    assert.equal((await client.call("POST", path, {})).code, 405);
    assert.equal((await client.call("DELETE", `${path}/1`)).code, 405);
    assert.equal((await client.call("GET", `${path}?watch=true`)).code, 405);
    const labelled = await client.call("GET", `${path}?labelSelector=a%3Db`);
    assert.equal(labelled.code, 400);
    assert.match(labelled.body.message, /--field-selector \(spec\.queue/);
    assert.equal((await client.call("GET", `${path}?fieldSelector=spec.nothing%3D1`)).code, 400);
    const { body } = await client.call("GET", group);
    const found = body.resources.filter(({ name }: { name: string }) => name.startsWith("queueviews"));
    assert.deepEqual(
      found.map(({ name, verbs }: { name: string; verbs: string[] }) => [name, verbs.join()]),
      [["queueviews", "get,list"]],
    );
    assert.deepEqual((await client.call("GET", `${group}/inquiries`)).body.items, []);
    const stored = ["store.db", "store.db-wal"].map((name) => readFileSync(join(folder, "api", name)));
    assert.ok(!stored.some((bytes) => bytes.includes("queueviews-")), "it is never written down");
  });
});
