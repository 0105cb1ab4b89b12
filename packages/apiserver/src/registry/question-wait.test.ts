import assert from "node:assert/strict";
import { test } from "node:test";
import { PassThrough } from "node:stream";
import type { KubernetesObject } from "@berth/machinery";
import { Store } from "../storage/store.ts";
import type { Kind } from "./kind.ts";
import { answered } from "./question.ts";

const kind = { kind: "StartEstimate", resource: "startestimates", bucket: "questions" } as Kind;
const object = { metadata: { name: "q", namespace: "ada", uid: "1" } } as unknown as KubernetesObject;

async function openStore(): Promise<{ store: Store; written: string[] }> {
  const written: string[] = [];
  const store = await Store.open({
    load: async () => 0,
    commit: async (writes) => void written.push(...writes.map(({ key }) => key)),
    close: async () => {},
  });
  store.bucket("questions").volatile = true;
  return { store, written };
}

test("nobody answers: 504 in words; the question is forgotten and was never written", async () => {
  const { store, written } = await openStore();
  const entry = await store.put("questions", structuredClone(object));
  await assert.rejects(answered(store, kind, entry, new PassThrough(), { waitMs: 1 }), {
    code: 504,
    message: "nobody answers start estimates: the controllers are not running",
  });
  await store.settled();
  assert.equal(store.get("questions", "ada", "q"), undefined);
  assert.deepEqual(written, []);
  assert.equal(store.resourceVersion, 2);
});

test("who asked goes away: the question is forgotten", async () => {
  const { store } = await openStore();
  const asker = new PassThrough();
  const entry = await store.put("questions", structuredClone(object));
  const answer = answered(store, kind, entry, asker);
  asker.destroy();
  assert.equal(await answer, undefined);
  await store.settled();
  assert.equal(store.get("questions", "ada", "q"), undefined);
});
