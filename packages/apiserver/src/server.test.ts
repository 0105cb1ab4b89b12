import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ApiServer } from "./server.ts";
import { startApiServer } from "./server.ts";
import { WebSocket } from "ws";
import { HttpsClient } from "./testing/https-client.ts";

const configMaps = "/api/v1/namespaces/default/configmaps";
const bookmarks = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";

describe("API server", () => {
  let folder: string;
  let server: ApiServer;
  let client: HttpsClient;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "berth-apiserver-"));
    server = await startApiServer({
      dataDirectory: folder,
      extraRoutes: [
        {
          method: "POST",
          prefix: "/berth/v1/echo",
          handler: ({ body }, identity) => ({ status: 200, body: { body, who: identity?.name ?? null } }),
        },
      ],
    });
    client = new HttpsClient(server.adminKubeconfig);
  });
  after(async () => {
    client.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const create = async (name: string, more: object = {}): Promise<string> => {
    const answer = await client.call("POST", configMaps, { metadata: { name, ...more }, data: { v: "1" } });
    assert.equal(answer.code, 201, answer.text);
    return answer.body.metadata.resourceVersion as string;
  };

  it("sends initial events, one annotated bookmark, then what happens", async () => {
    await create("i1", { labels: { initial: "yes" } });
    const watch = client.watch(`${configMaps}?${bookmarks}&labelSelector=initial%3Dyes`);
    const first = await watch.next();
    assert.equal(first?.type, "ADDED");
    assert.equal(first.object.metadata.name, "i1");
    const mark = await watch.next();
    assert.equal(mark?.type, "BOOKMARK");
    assert.equal(mark.object.kind, "ConfigMap");
    assert.equal(mark.object.metadata.annotations["k8s.io/initial-events-end"], "true");
    const created = await create("i2", { labels: { initial: "yes" } });
    const second = await watch.next();
    assert.equal(second?.object.metadata.resourceVersion, created);
    watch.stop();
    const wrong = await client.call("GET", `${configMaps}?watch=true&sendInitialEvents=true`);
    assert.equal(wrong.code, 422, wrong.text);
  });

  it("says what an apply patch lacks, and answers 201 for what it makes", async () => {
    const apply = (query: string, body: unknown, path = `${configMaps}/ssa`) =>
      client.call("PATCH", `${path}${query}`, body, { "content-type": "application/apply-patch+yaml" });
    const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "ssa" }, data: { k: "1" } };
    const nameless = await apply("", config);
    assert.equal(nameless.code, 422);
    assert.equal(
      nameless.body.message,
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
    const managed = await apply("?fieldManager=me", { ...config, metadata: { name: "ssa", managedFields: [{}] } });
    assert.equal(`${managed.code} ${managed.body.message}`, "400 metadata.managedFields must be nil");
    assert.equal((await apply("?fieldManager=me", "data: [")).code, 400);
    assert.equal((await apply("?fieldManager=me", config)).code, 201);
    const kindless = await apply("?fieldManager=me", "{data: {k: '1'}}");
    assert.equal(
      `${kindless.code} ${kindless.body.message}`,
      "400 what is applied must name its apiVersion and kind: ConfigMap of v1",
    );
    assert.equal((await apply("?fieldManager=me", config)).code, 200);
    const conflict = await apply("?fieldManager=you", { ...config, data: { k: "2" } });
    assert.equal(conflict.code, 409);
    assert.deepEqual(conflict.body.details.causes, [
      { reason: "FieldManagerConflict", message: 'conflict with "me"', field: ".data.k" },
    ]);
    assert.equal((await apply("?fieldManager=you&force=true", { ...config, data: { k: "2" } })).code, 200);
    const merge = { "content-type": "application/merge-patch+json" };
    const forced = await client.call("PATCH", `${configMaps}/ssa?force=true`, { data: { k: "3" } }, merge);
    assert.match(forced.body.message, /force: Forbidden: may not be specified for non-apply patch/);
    const uid = await apply(
      "?fieldManager=me",
      { ...config, metadata: { name: "none", uid: "u" } },
      `${configMaps}/none`,
    );
    assert.match(`${uid.code} ${uid.body.message}`, /^409 .*no existing object was found/);
  });

  it("opens a watch at once, also where nothing happens, and ends it in time", async () => {
    const watch = client.watch(`${configMaps}?watch=1&labelSelector=none%3Dsuch&timeoutSeconds=1`);
    assert.equal(await watch.opened, 200);
    assert.equal(await watch.next(), undefined);
  });

  it("turns entering and leaving a selection into ADDED and DELETED with the old body", async () => {
    const from = await create("sel", { labels: { side: "in" } });
    const watch = client.watch(`${configMaps}?watch=true&resourceVersion=${from}&labelSelector=side%3Din`);
    const patch = (labels: object): Promise<{ body: { metadata: { resourceVersion: string } } }> =>
      client.call(
        "PATCH",
        `${configMaps}/sel`,
        { metadata: { labels } },
        { "content-type": "application/merge-patch+json" },
      );
    const out = await patch({ side: "out" });
    const left = await watch.next();
    assert.equal(left?.type, "DELETED");
    assert.equal(left.object.metadata.labels.side, "in");
    assert.equal(left.object.metadata.resourceVersion, out.body.metadata.resourceVersion);
    await patch({ side: "in" });
    assert.equal((await watch.next())?.type, "ADDED");
    const removed = await client.call("DELETE", `${configMaps}/sel`);
    assert.equal(removed.body.status, "Success");
    const last = await watch.next();
    assert.equal(last?.type, "DELETED");
    assert.ok(Number(last.object.metadata.resourceVersion) > Number(out.body.metadata.resourceVersion));
    watch.stop();
  });

  it("answers a watch from the far past with one ERROR event: 410 Expired", async () => {
    const folder2 = mkdtempSync(join(tmpdir(), "berth-apiserver-"));
    const first = await startApiServer({ dataDirectory: folder2 });
    const old = new HttpsClient(first.adminKubeconfig);
    const { body } = await old.call("GET", configMaps);
    await old.call("POST", configMaps, { metadata: { name: "later" } });
    old.close();
    await first.close();
    const second = await startApiServer({ dataDirectory: folder2 });
    const again = new HttpsClient(second.adminKubeconfig);
    assert.equal((await again.call("GET", `${configMaps}/later`)).code, 200);
    const watch = again.watch(`${configMaps}?watch=true&resourceVersion=${body.metadata.resourceVersion}`);
    const event = await watch.next();
    assert.equal(event?.type, "ERROR");
    assert.equal(event.object.code, 410);
    assert.equal(event.object.reason, "Expired");
    assert.equal(await watch.next(), undefined);
    again.close();
    await second.close();
    rmSync(folder2, { recursive: true });
  });

  it("pages a list of one resource version, whatever is written in between", async () => {
    for (const name of ["pg-a", "pg-b", "pg-c", "pg-d"]) await create(name, { labels: { page: "1" } });
    const first = await client.call("GET", `${configMaps}?labelSelector=page&limit=2`);
    const names = (answer: typeof first): string[] =>
      answer.body.items.map((item: { metadata: { name: string } }) => item.metadata.name);
    assert.deepEqual(names(first), ["pg-a", "pg-b"]);
    await create("pg-bb", { labels: { page: "1" } });
    await client.call("DELETE", `${configMaps}/pg-c`);
    const second = await client.call(
      "GET",
      `${configMaps}?labelSelector=page&limit=2&continue=${first.body.metadata.continue}`,
    );
    assert.deepEqual(names(second), ["pg-c", "pg-d"]);
    assert.equal(second.body.metadata.resourceVersion, first.body.metadata.resourceVersion);
    assert.equal(second.body.metadata.continue, undefined);
    const all = await client.call("GET", `${configMaps}?limit=1`);
    assert.ok(all.body.metadata.remainingItemCount >= 3);
    assert.equal((await client.call("GET", `${configMaps}?continue=zzz`)).code, 400);
    const exact = `${configMaps}?labelSelector=page&resourceVersionMatch=Exact&resourceVersion=${first.body.metadata.resourceVersion}`;
    assert.deepEqual(names(await client.call("GET", exact)), ["pg-a", "pg-b", "pg-c", "pg-d"]);
  });

  it("writes nothing for a change that changes nothing, and refuses what was overtaken", async () => {
    const version = await create("noop");
    const patch = { "content-type": "application/merge-patch+json" };
    const same = await client.call("PATCH", `${configMaps}/noop`, { data: { v: "1" } }, patch);
    assert.equal(same.body.metadata.resourceVersion, version);
    const { body } = await client.call("GET", `${configMaps}/noop`);
    await client.call("PATCH", `${configMaps}/noop`, { data: { v: "2" } }, patch);
    const late = await client.call("PUT", `${configMaps}/noop`, body);
    assert.equal(late.code, 409);
    assert.match(late.body.message, /the object has been modified; please apply your changes to the latest version/);
    delete body.metadata.resourceVersion;
    assert.equal((await client.call("PUT", `${configMaps}/noop`, body)).code, 200);
    const wrong = { preconditions: { uid: "other" } };
    assert.equal((await client.call("DELETE", `${configMaps}/noop`, wrong)).code, 409);
    const dry = await client.call("DELETE", `${configMaps}/noop?dryRun=All`);
    assert.equal(dry.code, 200);
    assert.equal((await client.call("GET", `${configMaps}/noop`)).code, 200);
  });

  it("makes names, keeps uids apart and counts generations of specs only", async () => {
    const made = await client.call("POST", configMaps, { metadata: { generateName: "gen-" } });
    assert.match(made.body.metadata.name, /^gen-[a-z0-9]{5}$/);
    const jobs = "/apis/batch/v1/namespaces/default/jobs";
    const template = { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "host" }] } };
    const job = await client.call("POST", jobs, { metadata: { name: "g" }, spec: { template } });
    assert.equal(job.body.metadata.generation, 1);
    const merge = { "content-type": "application/merge-patch+json" };
    const status = await client.call(
      "PATCH",
      `${jobs}/g/status`,
      { status: { active: 1 }, spec: { suspend: true } },
      merge,
    );
    assert.deepEqual(
      [status.body.metadata.generation, status.body.status.active, status.body.spec.suspend],
      [1, 1, false],
    );
    const spec = await client.call("PATCH", `${jobs}/g`, { spec: { suspend: true }, status: { active: 7 } }, merge);
    assert.deepEqual([spec.body.metadata.generation, spec.body.status.active], [2, 1]);
  });

  it("deletes a pod in two steps while its node has it, and at once when it has none", async () => {
    const pods = "/api/v1/namespaces/default/pods";
    const pod = (name: string, nodeName?: string): object => ({
      metadata: { name },
      spec: { nodeName, containers: [{ name: "c", image: "host" }] },
    });
    await client.call("POST", pods, pod("bound", "n1"));
    const first = await client.call("DELETE", `${pods}/bound`);
    assert.equal(first.body.kind, "Pod");
    assert.equal(first.body.metadata.deletionGracePeriodSeconds, 30);
    const last = await client.call("DELETE", `${pods}/bound`, { gracePeriodSeconds: 0 });
    assert.equal(last.body.kind, "Pod");
    assert.equal((await client.call("GET", `${pods}/bound`)).code, 404);
    await client.call("POST", pods, pod("free"));
    const bind = { target: { kind: "Node", name: "n2" } };
    assert.equal((await client.call("POST", `${pods}/free/binding`, bind)).code, 201);
    assert.equal((await client.call("POST", `${pods}/free/binding`, bind)).code, 409);
    const { status } = (await client.call("GET", `${pods}/free`)).body;
    assert.equal(status.conditions.find(({ type }: { type: string }) => type === "PodScheduled").status, "True");
    assert.equal((await client.call("GET", `${pods}?fieldSelector=spec.nodeName%3Dn2`)).body.items.length, 1);
    assert.equal((await client.call("POST", `${pods}/free/eviction`, {})).code, 201);
    const log = await client.call("GET", `${pods}/free/log`);
    assert.match(log.text, /nodes \\"n2\\" not found/);
  });

  it("knows service accounts by their tokens, until they are gone", async () => {
    const accounts = "/api/v1/namespaces/default/serviceaccounts";
    await client.call("POST", accounts, { metadata: { name: "robot" } });
    const asked = await client.call("POST", `${accounts}/robot/token`, { spec: {} });
    const authorization = `Bearer ${asked.body.status.token as string}`;
    const self = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    const who = await client.call("POST", self, {}, { authorization });
    assert.equal(who.body.status.userInfo.username, "system:serviceaccount:default:robot");
    assert.equal((await client.call("GET", configMaps, undefined, { authorization })).code, 403);
    await client.call("DELETE", `${accounts}/robot`);
    assert.equal((await client.call("POST", self, {}, { authorization })).code, 401);
    assert.equal((await client.call("GET", configMaps, undefined, { authorization: "Bearer nonsense" })).code, 401);
  });

  it("serves discovery in each shape and OpenAPI by hash", async () => {
    const accept = (version: string): Record<string, string> => ({
      accept: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList,application/json`,
    });
    for (const version of ["v2", "v2beta1"]) {
      const answer = await client.call("GET", "/apis", undefined, accept(version));
      assert.equal(
        answer.headers["content-type"],
        `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
      );
      assert.equal(answer.body.apiVersion, `apidiscovery.k8s.io/${version}`);
      const again = await client.call("GET", "/apis", undefined, {
        ...accept(version),
        "if-none-match": answer.headers.etag!,
      });
      assert.equal(again.code, 304);
    }
    assert.equal((await client.call("GET", "/apis")).body.kind, "APIGroupList");
    assert.equal((await client.call("GET", "/apis/batch/")).body.kind, "APIGroup");
    assert.equal((await client.call("GET", "/api/v1")).body.kind, "APIResourceList");
    const index = await client.call("GET", "/openapi/v3");
    const path: string = index.body.paths["apis/batch/v1"].serverRelativeURL;
    const document = await client.call("GET", path);
    assert.match(document.headers["cache-control"]!, /immutable/);
    assert.ok(document.body.paths["/apis/batch/v1/namespaces/{namespace}/jobs"]);
    assert.equal((await client.call("GET", "/openapi/v3/apis/batch/v1?hash=OLD")).code, 301);
    const protobuf = { accept: "application/com.github.proto-openapi.spec.v2@v1.0+protobuf" };
    assert.equal((await client.call("GET", "/openapi/v2", undefined, protobuf)).code, 406);
  });

  it("refuses in words: media types, bodies, paths, dry runs", async () => {
    const text = await client.call("POST", configMaps, "x", { "content-type": "text/plain" });
    assert.equal(text.code, 415);
    assert.equal((await client.call("POST", configMaps, "{", {})).code, 400);
    assert.equal(
      (await client.call("POST", configMaps, { kind: "Pod", apiVersion: "v1", metadata: { name: "x" } })).code,
      400,
    );
    assert.equal((await client.call("POST", `${configMaps}?dryRun=some`, { metadata: { name: "x" } })).code, 400);
    assert.equal((await client.call("GET", "/api/v1/namespaces/default/nonsense")).code, 404);
    assert.equal((await client.call("GET", configMaps, undefined, { accept: "text/html" })).code, 406);
    const big = await client.call("POST", configMaps, { metadata: { name: "big" }, data: { v: "x".repeat(4 << 20) } });
    assert.equal(big.code, 413);
    const bad = await client.call("POST", "/api/v1/namespaces/default/pods", { metadata: { name: "p" }, spec: "text" });
    assert.equal(bad.code, 422, bad.text);
    const yaml = await client.call("POST", configMaps, "metadata: {name: from-yaml}\n", {
      "content-type": "application/yaml",
    });
    assert.equal(yaml.code, 201);
    const warned = await client.call("POST", configMaps, { metadata: { name: "warned" }, nonsense: 1 });
    assert.match(String(warned.headers.warning), /unknown field/);
  });

  it("watches over a WebSocket, one event a message", async () => {
    const config = JSON.parse(readFileSync(server.adminKubeconfig, "utf8")) as { users: { user: { token: string } }[] };
    const url = `${server.url.replace("https", "wss")}${configMaps}?watch=true&labelSelector=socket`;
    const socket = new WebSocket(url, {
      ca: server.certificateAuthority,
      headers: { authorization: `Bearer ${config.users[0]!.user.token}` },
    });
    await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
    const message = new Promise<string>((resolve) =>
      socket.on("message", (data) => resolve((data as Buffer).toString())),
    );
    await create("by-socket", { labels: { socket: "yes" } });
    const event = JSON.parse(await message) as { type: string; object: { metadata: { name: string } } };
    assert.deepEqual([event.type, event.object.metadata.name], ["ADDED", "by-socket"]);
    socket.close();
    const refused = new WebSocket(url, { ca: server.certificateAuthority });
    const code = new Promise((resolve) => refused.on("unexpected-response", (_, answer) => resolve(answer.statusCode)));
    refused.on("error", () => {});
    assert.equal(await code, 403);
  });

  it("answers routes of other packages, metrics, and keeps its keys to itself", async () => {
    const echo = await client.call("POST", "/berth/v1/echo", { a: 1 });
    assert.deepEqual(echo.body, { body: { a: 1 }, who: "admin" });
    const metrics = await client.call("GET", "/metrics");
    assert.match(metrics.text, /^apiserver_request_total\{verb="create",resource="configmaps",code="201"\} \d+$/m);
    for (const file of [
      "pki/ca.key",
      "pki/apiserver.key",
      "pki/service-account.key",
      "tokens.json",
      "admin.kubeconfig",
    ]) {
      assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file);
    }
    assert.ok(readFileSync(join(folder, "admin.kubeconfig"), "utf8").includes(server.url));
  });
});
