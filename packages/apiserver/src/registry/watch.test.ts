import type { KubernetesObject } from "@berth/machinery";
import fc from "fast-check";
import assert from "node:assert/strict";
import { it } from "node:test";
import { coreKinds } from "../kinds/core.ts";
import { Store } from "../storage/store.ts";
import { rendererOf } from "./render.ts";
import { Registry } from "./registry.ts";
import { selectionOf, selects } from "./selection.ts";
import { Watcher } from "./watch.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a client that lists once and then applies every event holds: name → resource version. */
function follower(): { held: Map<string, string>; versions: number[]; read: (text: string) => void } {
  const held = new Map<string, string>();
  const versions: number[] = [];
  return {
    held,
    versions,
    read: (text) => {
      for (const line of text.split("\n").filter((one) => one !== "")) {
        const { type, object } = JSON.parse(line) as { type: string; object: KubernetesObject };
        const { name, namespace, resourceVersion } = object.metadata;
        if (type === "BOOKMARK") continue;
        versions.push(Number(resourceVersion));
        if (type === "DELETED") assert.ok(held.delete(`${namespace}/${name}`), `${name} was not held`);
        else {
          assert.equal(held.has(`${namespace}/${name}`), type === "MODIFIED", `${type} ${name}`);
          held.set(`${namespace}/${name}`, resourceVersion!);
        }
      }
    },
  };
}

it("a watch, whenever it began and whatever it selects, leads to what a list shows", async () => {
  const operation = fc.record({
    name: fc.constantFrom("a", "b", "c"),
    namespace: fc.constantFrom("n", "m"),
    label: fc.constantFrom("x", "y"),
    remove: fc.boolean(),
  });
  const selector = fc.constantFrom(
    "",
    "labelSelector=l%3Dx",
    "labelSelector=l!%3Dx",
    "fieldSelector=metadata.name%3Da",
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 1, maxLength: 30 }),
      selector,
      fc.constantFrom("", "n"),
      fc.nat(),
      fc.boolean(),
      async (operations, query, namespace, at, fromState) => {
        const store = await Store.open({
          load: () => Promise.resolve(0),
          commit: () => Promise.resolve(),
          close: () => Promise.resolve(),
        });
        const registry = new Registry(store);
        const kind = coreKinds().find((one) => one.resource === "configmaps")!;
        registry.add(kind);
        const selection = selectionOf(kind, namespace, "", new URLSearchParams(query));
        const { held, versions, read } = follower();
        const bucket = store.bucket(kind.bucket);
        const begin = at % operations.length;
        let watcher: Watcher | undefined;
        for (const [index, { name, namespace: home, label, remove }] of operations.entries()) {
          if (index === begin) {
            const resourceVersion = fromState ? undefined : store.resourceVersion;
            if (!fromState) {
              for (const entry of bucket.list({}) ?? []) {
                if (selects(selection, bucket, entry)) held.set(entry.key, String(entry.resourceVersion));
              }
            }
            const sink = {
              write: (frame: Buffer) => {
                read(frame.toString());
                return true;
              },
              buffered: 0,
              onDrain: () => {},
              end: () => {},
            };
            const renderer = rendererOf(kind, { as: "Object" }, "Metadata", 0);
            const request = {
              selection,
              resourceVersion,
              sendInitialEvents: undefined,
              bookmarks: false,
              timeoutSeconds: 600,
            };
            watcher = new Watcher(store, kind, request, renderer, sink);
            watcher.start();
          }
          const labels = { l: label };
          const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: home, uid: "u", labels } };
          if (!remove) await store.put(kind.bucket, object);
          else if (store.accepted(kind.bucket, home, name) !== undefined) await store.remove(kind.bucket, home, name);
        }
        await turn();
        await turn();
        watcher!.stop();
        const listed = (bucket.list({ namespace: selection.namespace }) ?? [])
          .filter((entry) => selects(selection, bucket, entry))
          .map((entry) => [entry.key, String(entry.resourceVersion)]);
        assert.deepEqual([...held].toSorted(), listed.toSorted());
        const events = fromState ? versions.slice(-1) : versions;
        assert.deepEqual(
          events,
          events.toSorted((one, other) => one - other),
        );
      },
    ),
    { numRuns: 100 },
  );
});
