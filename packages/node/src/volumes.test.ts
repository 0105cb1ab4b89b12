import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, mock, test } from "node:test";
import type { Pod } from "@berth/kinds";
import { Volumes, type VolumeSources } from "./volumes.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-volumes-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const sources: VolumeSources = {
  secret: async (_, name) => ({ uid: name, resourceVersion: "1", data: { script: Buffer.from(`of ${name}`) } }),
  configMap: async () => undefined,
};

function pod(uid: string, secretName: string): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: uid, namespace: "ada", uid },
    spec: { containers: [], volumes: [{ name: "berth", secret: { secretName } }] },
  };
}

test("a new agent leaves the folders in place that tasks of the one before have mounted, and removes the rest in time", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const before = new Volumes(directory, "/nowhere", sources);
    const [running, over] = [pod("u1", "a"), pod("u2", "b")];
    const path = (await before.prepare(running, "n1", undefined)).get("berth")!;
    await before.prepare(over, "n1", undefined);
    const { ino } = statSync(path);

    const next = new Volumes(directory, "/nowhere", sources);
    assert.equal(statSync(path).ino, ino);
    assert.equal((await next.prepare(running, "n1", undefined)).get("berth"), path);
    assert.equal(statSync(path).ino, ino, "mounted as it is, it is not made anew");
    next.dropUnused();
    mock.timers.tick(60_000);
    assert.deepEqual(readdirSync(join(directory, "shared")), [path.split("/").at(-1)]);
    assert.equal(readFileSync(join(path, "script"), "utf8"), "of a");
  } finally {
    mock.timers.reset();
  }
});
