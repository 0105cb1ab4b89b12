import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startApiServer, type ApiServer } from "@berth/apiserver";
import type { KubernetesObject } from "@berth/machinery";
import {
  ConnectionError,
  createClient,
  electLeader,
  Informer,
  isReason,
  loadKubeconfig,
  resources,
  type Client,
} from "./index.ts";

type ConfigMap = KubernetesObject & { data?: Record<string, string> };

const data = mkdtempSync(join(tmpdir(), "berth-client-"));
const stop = new AbortController();
let api: ApiServer;
let client: Client;

before(async () => {
  api = await startApiServer({ dataDirectory: data, signal: stop.signal });
  client = createClient(loadKubeconfig({ path: api.adminKubeconfig }).connection);
});

after(async () => {
  stop.abort();
  client.close();
  await api.close();
  rmSync(data, { recursive: true, force: true });
});

function configMap(name: string, value: string, labels?: Record<string, string>): ConfigMap {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default", labels }, data: { value } };
}

/** Resolves when `condition` holds; looked at after each change that `wake` tells of. */
function changes(): { wake(): void; until(condition: () => boolean): Promise<void> } {
  let waiting: (() => void)[] = [];
  return {
    wake() {
      const all = waiting;
      waiting = [];
      for (const resolve of all) resolve();
    },
    async until(condition) {
      while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

describe("the client, on the real API", () => {
  test("creates, reads, updates, patches and deletes", async () => {
    const made = await client.create<ConfigMap>(resources.configMaps, configMap("one", "1"));
    assert.ok(made.metadata.uid);
    made.data = { value: "2" };
    const updated = await client.update<ConfigMap>(resources.configMaps, made);
    assert.equal(updated.data?.["value"], "2");
    await assert.rejects(client.update(resources.configMaps, made), (error) => isReason(error, "Conflict"));
    const patch = { data: { other: "x" } };
    const patched = await client.patch<ConfigMap>(resources.configMaps, "one", patch, { namespace: "default" });
    assert.deepEqual(patched.data, { value: "2", other: "x" });
    await client.delete(resources.configMaps, "one", { namespace: "default" });
    const gone = client.get(resources.configMaps, "one", { namespace: "default" });
    await assert.rejects(gone, (error) => isReason(error, "NotFound") && error.code === 404);
  });

  test("lists in pages that belong together", async () => {
    for (let index = 0; index < 7; index++) {
      await client.create(resources.configMaps, configMap(`page-${index}`, "", { of: "pages" }));
    }
    const list = await client.listAll<ConfigMap>(resources.configMaps, { labelSelector: "of=pages", limit: 3 });
    assert.deepEqual(
      list.items.map(({ metadata }) => metadata.name),
      Array.from({ length: 7 }, (_, index) => `page-${index}`),
    );
    await client.deleteCollection(resources.configMaps, { namespace: "default", labelSelector: "of=pages" });
    assert.equal((await client.list(resources.configMaps, { labelSelector: "of=pages" })).items.length, 0);
  });

  test("a namespaced object without a namespace is refused before it is sent", async () => {
    await assert.rejects(
      client.create(resources.configMaps, { ...configMap("x", ""), metadata: { name: "x" } }),
      TypeError,
    );
    assert.throws(() => client.get(resources.configMaps, "x"), /needs a namespace/);
  });

  test("an informer follows, indexes and tells of what changed", async () => {
    const { wake, until } = changes();
    const told: string[] = [];
    await client.create(resources.configMaps, configMap("before", "1", { watch: "yes" }));
    const ending = new AbortController();
    const informer = new Informer<ConfigMap>({
      client,
      resource: resources.configMaps,
      labelSelector: "watch=yes",
      indexers: { value: (object) => [object.data?.["value"] ?? ""] },
      handlers: [
        {
          add: (object) => (told.push(`add ${object.metadata.name}`), wake()),
          update: (object) => (told.push(`update ${object.metadata.name}`), wake()),
          delete: (object) => (told.push(`delete ${object.metadata.name}`), wake()),
        },
      ],
      signal: ending.signal,
    });
    await informer.synced;
    assert.deepEqual(told, ["add before"]);
    await client.create(resources.configMaps, configMap("later", "2", { watch: "yes" }));
    await client.patch(resources.configMaps, "before", { data: { value: "2" } }, { namespace: "default" });
    await until(() => told.length === 3);
    assert.deepEqual(
      informer
        .byIndex("value", "2")
        .map(({ metadata }) => metadata.name)
        .sort(),
      ["before", "later"],
    );
    assert.deepEqual(informer.byIndex("value", "1"), []);
    await client.delete(resources.configMaps, "later", { namespace: "default" });
    // Leaving the selector is a deletion to whoever watches it.
    await client.patch(resources.configMaps, "before", { metadata: { labels: null } }, { namespace: "default" });
    await until(() => told.length === 5);
    assert.deepEqual(told.slice(3), ["delete later", "delete before"]);
    assert.equal(informer.size, 0);
    ending.abort();
    await informer.done;
  });

  test("of two candidates one leads, and the other when it ends", async () => {
    const leading: string[] = [];
    const { wake, until } = changes();
    const candidate = (identity: string, signal: AbortSignal) =>
      electLeader({
        client,
        namespace: "default",
        name: "election",
        identity,
        leaseDurationSeconds: 2,
        renewDeadlineSeconds: 1,
        retryPeriodSeconds: 0.05,
        async lead(signal) {
          leading.push(identity);
          wake();
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          leading.splice(leading.indexOf(identity), 1);
        },
        signal,
      });
    const first = new AbortController();
    const second = new AbortController();
    const one = candidate("one", first.signal);
    await until(() => leading.length === 1);
    const two = candidate("two", second.signal);
    first.abort();
    await one;
    await until(() => leading.includes("two"));
    assert.deepEqual(leading, ["two"]);
    second.abort();
    await two;
  });
});

describe("the client, on a server that replays answers", () => {
  type Answer = (request: IncomingMessage, response: ServerResponse) => void;
  const answers: Answer[] = [];
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!);
    const answer = answers.shift();
    if (answer === undefined) response.writeHead(500).end();
    else answer(request, response);
  });
  let replayed: Client;

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    replayed = createClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
  after(() => {
    replayed.close();
    server.closeAllConnections();
    server.close();
  });

  const frames =
    (...events: object[]): Answer =>
    (_request, response) => {
      response.writeHead(200, { "Content-Type": "application/json" });
      // Cut into pieces that are no lines, as a network does.
      const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
      for (let at = 0; at < text.length; at += 7) response.write(text.slice(at, at + 7));
      response.end();
    };
  const object = (name: string, resourceVersion: string, uid = name) => ({ metadata: { name, uid, resourceVersion } });
  const endOfList = (resourceVersion: string) => ({
    type: "BOOKMARK",
    object: { metadata: { resourceVersion, annotations: { "k8s.io/initial-events-end": "true" } } },
  });

  test("waits as Retry-After says, and asks again", async () => {
    answers.push((_request, response) => response.writeHead(429, { "Retry-After": "0" }).end());
    answers.push((_request, response) => response.end("{}"));
    await replayed.request({ method: "GET", path: "/version" });
    assert.equal(answers.length, 0);
  });

  test("an answer that is no Status is still an error in words", async () => {
    answers.push((_request, response) => response.writeHead(502).end("bad gateway"));
    await assert.rejects(replayed.request({ method: "GET", path: "/x" }), /GET \/x: 502 bad gateway/);
  });

  test("nothing listens: said, and tried again only when asked", async () => {
    const nobody = createClient({ server: "http://127.0.0.1:1" });
    await assert.rejects(
      nobody.request({ method: "GET", path: "/" }),
      (error) => error instanceof ConnectionError && error.code === "ECONNREFUSED",
    );
  });

  test("an informer goes on from the last version, begins anew when that is gone, and tells what it missed", async () => {
    asked.length = 0;
    const told: string[] = [];
    const { wake, until } = changes();
    const ending = new AbortController();
    const expired = { type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } };
    answers.push(
      frames({ type: "ADDED", object: object("a", "1") }, { type: "ADDED", object: object("b", "2") }, endOfList("5")),
    );
    answers.push(frames({ type: "MODIFIED", object: object("a", "6") }));
    answers.push(frames(expired));
    answers.push(
      frames(
        { type: "ADDED", object: object("a", "7", "another") },
        { type: "ADDED", object: object("c", "8") },
        endOfList("9"),
      ),
    );
    answers.push(() => wake());
    const informer = new Informer({
      client: replayed,
      resource: resources.nodes,
      handlers: [
        {
          add: ({ metadata }) => told.push(`add ${metadata.name}${metadata.resourceVersion}`),
          update: ({ metadata }) => told.push(`update ${metadata.name}${metadata.resourceVersion}`),
          delete: ({ metadata }) => told.push(`delete ${metadata.name}`),
        },
      ],
      signal: ending.signal,
    });
    await until(() => answers.length === 0);
    assert.deepEqual(told, ["add a1", "add b2", "update a6", "delete b", "delete a", "add a7", "add c8"]);
    const versions = asked.map((url) => new URL(url, "http://x").searchParams.get("resourceVersion"));
    assert.deepEqual(versions, [null, "5", "6", null, "9"]);
    assert.equal(informer.resourceVersion, "9");
    ending.abort();
    await informer.done;
  });

  test("a server without watch-list is asked for a list and a watch", async () => {
    asked.length = 0;
    const { wake, until } = changes();
    const ending = new AbortController();
    const refusal = { kind: "Status", code: 422, reason: "Invalid", message: "sendInitialEvents is forbidden" };
    answers.push((_request, response) => response.writeHead(422).end(JSON.stringify(refusal)));
    answers.push((_request, response) =>
      response.end(JSON.stringify({ metadata: { resourceVersion: "3", continue: "more" }, items: [object("a", "1")] })),
    );
    answers.push((_request, response) =>
      response.end(JSON.stringify({ metadata: { resourceVersion: "3" }, items: [object("b", "2")] })),
    );
    answers.push(() => wake());
    const informer = new Informer({ client: replayed, resource: resources.nodes, signal: ending.signal });
    await informer.synced;
    await until(() => answers.length === 0);
    assert.equal(informer.size, 2);
    const last = new URL(asked.at(-1)!, "http://x").searchParams;
    assert.equal(last.get("resourceVersion"), "3");
    assert.equal(last.get("sendInitialEvents"), null);
    ending.abort();
    await informer.done;
  });
});
