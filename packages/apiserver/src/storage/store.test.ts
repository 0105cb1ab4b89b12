import type { KubernetesObject } from "@berth/machinery";
import fc from "fast-check";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import type { StoreEvent } from "./entry.ts";
import { parseEntry } from "./entry.ts";
import { NoSpaceError, type Journal, type JournalWrite } from "./journal.ts";
import { openJournal } from "./journal.ts";
import { Store, StoreWriteError } from "./store.ts";

/** A journal whose commits end when the test says so. */
function steppedJournal(): Journal & {
  batches: (readonly JournalWrite[])[];
  versions: number[];
  finish: (error?: Error) => void;
} {
  let waiting: ((error?: Error) => void) | undefined;
  const batches: (readonly JournalWrite[])[] = [];
  const versions: number[] = [];
  return {
    batches,
    versions,
    load: () => Promise.resolve(0),
    commit: (writes, version) => {
      batches.push(writes);
      versions.push(version);
      return new Promise((resolve, reject) => {
        waiting = (error) => (error === undefined ? resolve() : reject(error));
      });
    },
    close: () => Promise.resolve(),
    finish: (error) => waiting?.(error),
  };
}

const instantJournal = (): Journal => ({
  load: () => Promise.resolve(0),
  commit: () => Promise.resolve(),
  close: () => Promise.resolve(),
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function object(name: string, value: string, namespace = "a"): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, uid: `uid-${name}` },
    data: { value },
  } as never;
}

describe("store", () => {
  it("shows and acknowledges a write only when it is durable, but checks against it at once", async () => {
    const journal = steppedJournal();
    const store = await Store.open(journal);
    let acknowledged = false;
    void store.put("configmaps", object("x", "1")).then(() => (acknowledged = true));
    await turn();
    assert.equal(store.get("configmaps", "a", "x"), undefined);
    assert.equal(store.accepted("configmaps", "a", "x")?.resourceVersion, 1);
    assert.equal(store.resourceVersion, 0);
    journal.finish();
    await turn();
    assert.ok(acknowledged);
    assert.equal(store.get("configmaps", "a", "x")?.resourceVersion, 1);
    assert.equal(store.resourceVersion, 1);
  });

  it("commits what came during a commit in one batch, and publishes in order", async () => {
    const journal = steppedJournal();
    const store = await Store.open(journal);
    const seen: number[] = [];
    store.bucket("configmaps").subscribe({
      trigger: undefined,
      deliver: (events) => seen.push(...events.map((event) => event.resourceVersion)),
    });
    const all = [store.put("configmaps", object("a", "1"))];
    await turn();
    for (const name of ["b", "c", "d"]) all.push(store.put("configmaps", object(name, "1")));
    journal.finish();
    await turn();
    journal.finish();
    await Promise.all(all);
    assert.deepEqual(
      journal.batches.map((batch) => batch.length),
      [1, 3],
    );
    assert.deepEqual(seen, [1, 2, 3, 4]);
  });

  it("refuses all queued writes when a commit fails, and leaves nothing of them", async () => {
    const journal = steppedJournal();
    const store = await Store.open(journal);
    const first = store.put("configmaps", object("x", "1"));
    await turn();
    const second = store.put("configmaps", object("x", "2"));
    journal.finish(new Error("no space is left"));
    await assert.rejects(first, StoreWriteError);
    await assert.rejects(second, /no space is left/);
    assert.equal(store.accepted("configmaps", "a", "x"), undefined);
    const third = store.put("configmaps", object("x", "3"));
    await turn();
    journal.finish();
    assert.equal((await third).resourceVersion, 3);
  });

  it("says of a full disk what would be right, and goes on when there is room", async () => {
    const journal = steppedJournal();
    const store = await Store.open(journal);
    const first = store.put("configmaps", object("x", "1"));
    await turn();
    journal.finish(new NoSpaceError("no space is left for store.db"));
    await assert.rejects(first, {
      code: 507,
      reason: "InsufficientStorage",
      message: /nothing was changed; make room/,
    });
    assert.equal(store.failure, "no space is left for store.db");
    const second = store.put("configmaps", object("x", "2"));
    await turn();
    journal.finish();
    await second;
    assert.equal(store.failure, undefined);
  });

  it("takes versions ahead for what is never written, and never falls behind what was seen", async () => {
    const journal = steppedJournal();
    const store = await Store.open(journal);
    store.bucket("questions").volatile = true;
    const first = store.put("questions", object("q", "1"));
    await turn();
    journal.finish();
    assert.equal((await first).resourceVersion, 1);
    assert.equal((await store.put("questions", object("q", "2"))).resourceVersion, 2, "without a commit");
    assert.deepEqual(journal.versions, [1001]);
    const durable = store.put("configmaps", object("x", "1"));
    await turn();
    journal.finish(new NoSpaceError("no space is left"));
    await assert.rejects(durable, { code: 507 });
    assert.equal((await store.put("questions", object("q", "3"))).resourceVersion, 4, "also where the disk is full");
    assert.notEqual(store.failure, undefined, "which goes on being told");
    assert.deepEqual(journal.versions, [1001, 1001]);
    const closing = store.close();
    await turn();
    journal.finish();
    await closing;
    assert.deepEqual(journal.versions, [1001, 1001, 4]);
    assert.deepEqual(
      journal.batches.map((batch) => batch.length),
      [0, 1, 0],
    );
  });

  it("tells each past state that history still reaches, and follows selections by events alone", async () => {
    const names = ["a", "b", "c", "d"];
    const operation = fc.record({
      name: fc.constantFrom(...names),
      namespace: fc.constantFrom("n", "n-1", "m"),
      value: fc.option(fc.constantFrom("1", "2", "3"), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
        const store = await Store.open(instantJournal());
        const bucket = store.bucket("configmaps");
        bucket.selectBy((one) => ({ value: (one as unknown as { data: { value: string } }).data.value }));
        const states = new Map<number, string[]>([[0, []]]);
        const followed = new Map<string, string>();
        bucket.subscribe({
          trigger: { field: "value", value: "2" },
          deliver: (events: readonly StoreEvent[]) => {
            for (const { type, entry } of events) {
              if (type !== "DELETED" && bucket.fields(entry)["value"] === "2") followed.set(entry.key, "2");
              else followed.delete(entry.key);
            }
          },
        });
        const model = new Map<string, string>();
        for (const { name, namespace, value } of operations) {
          const key = `${namespace}/${name}`;
          if (value === undefined) {
            if (!model.delete(key)) continue;
            await store.remove("configmaps", namespace, name);
          } else {
            model.set(key, value);
            await store.put("configmaps", object(name, value, namespace));
          }
          states.set(
            store.resourceVersion,
            [...model].map(([one, text]) => `${one}=${text}`).sort((a, b) => (a < b ? -1 : 1)),
          );
        }
        for (const [resourceVersion, state] of states) {
          const listed = bucket.list({ resourceVersion })!;
          const printed = listed.map((entry) => `${entry.key}=${bucket.fields(entry)["value"]}`);
          assert.deepEqual(printed.toSorted(), state.toSorted());
          assert.deepEqual(
            listed.map((entry) => entry.key),
            listed.map((entry) => entry.key).toSorted(),
          );
          const inNamespace = bucket.list({ resourceVersion, namespace: "n" })!;
          assert.deepEqual(
            inNamespace.map((entry) => entry.key),
            listed.filter((entry) => entry.namespace === "n").map((entry) => entry.key),
          );
        }
        const selected = [...model].filter(([, value]) => value === "2").map(([key]) => key);
        assert.deepEqual([...followed.keys()].toSorted(), selected.toSorted());
      }),
      { numRuns: 60 },
    );
  });
});

describe("journal", () => {
  const folder = (): string => mkdtempSync(join(tmpdir(), "berth-store-"));

  it("gives back what was committed, with the last resource version", async () => {
    const directory = folder();
    const path = join(directory, "store.db");
    const store = await Store.open(openJournal(path));
    await Promise.all(["x", "y", "z"].map((name) => store.put("configmaps", object(name, "ä\u0000\ud800"))));
    await store.remove("configmaps", "a", "y");
    await store.close();
    const again = await Store.open(openJournal(path));
    assert.equal(again.resourceVersion, 4);
    assert.deepEqual([...again.bucket("configmaps").entries.keys()].toSorted(), ["a/x", "a/z"]);
    assert.deepEqual(parseEntry(again.get("configmaps", "a", "x")!), {
      ...object("x", "ä\u0000\ud800"),
      metadata: { ...object("x", "").metadata, resourceVersion: "1" },
    });
    // History begins anew: older watches must list again.
    assert.equal(again.bucket("configmaps").since(3), undefined);
    assert.deepEqual(again.bucket("configmaps").since(4), []);
    await again.close();
    rmSync(directory, { recursive: true });
  });

  it("refuses a damaged file, a newer format, a foreign file and a second server, in words", async () => {
    const directory = folder();
    const path = join(directory, "store.db");
    writeFileSync(path, "this is no database, but it is long enough to be read as one".repeat(20));
    await assert.rejects(Store.open(openJournal(path)), /store\.db is damaged .*nothing was changed/);
    rmSync(path);
    const foreign = new DatabaseSync(path);
    foreign.exec("CREATE TABLE t (a)");
    foreign.close();
    await assert.rejects(Store.open(openJournal(path)), /not a store of Berth/);
    rmSync(path);
    const store = await Store.open(openJournal(path));
    await assert.rejects(Store.open(openJournal(path)), /in use by another process/);
    await store.close();
    const newer = new DatabaseSync(path);
    newer.exec("PRAGMA user_version = 99");
    newer.close();
    await assert.rejects(Store.open(openJournal(path)), /format 99, .*newer Berth/);
    rmSync(directory, { recursive: true });
  });
});
