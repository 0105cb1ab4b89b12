import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { processIdentity } from "@berth/identity";
import { lockDataFolder, prepareDataFolder } from "./data-folder.ts";
import { Refusal } from "./refusal.ts";

const root = await mkdtemp(join(tmpdir(), "berth-data-"));
after(() => rm(root, { recursive: true }));
const refusedWith = (words: RegExp) => (error: unknown) => error instanceof Refusal && words.test(error.message);

test("a missing folder is made, and recognised again", async () => {
  const folder = join(root, "new", "data");
  await prepareDataFolder(folder);
  await prepareDataFolder(folder);
  assert.equal(await readFile(join(folder, "format"), "utf8"), "1\n");
});

test("a folder of something else, a damaged and a newer one are refused in words and left as they are", async () => {
  const folder = await mkdtemp(join(root, "x-"));
  await writeFile(join(folder, "thesis.tex"), "");
  await assert.rejects(prepareDataFolder(folder), refusedWith(/not a data folder of Berth.*thesis\.tex/));
  await writeFile(join(folder, "format"), "one");
  await assert.rejects(prepareDataFolder(folder), refusedWith(/damaged.*"one"/));
  await writeFile(join(folder, "format"), "2\n");
  await assert.rejects(prepareDataFolder(folder), refusedWith(/format 2, made by a newer Berth/));
  assert.equal(await readFile(join(folder, "format"), "utf8"), "2\n");
});

test("an older format is brought forward step by step, and a step that fails can be repeated", async () => {
  const folder = await mkdtemp(join(root, "x-"));
  await writeFile(join(folder, "format"), "1\n");
  const done: number[] = [];
  let fails = true;
  const upgrades = [1, 2].map((from) => ({
    from,
    apply: async () => {
      if (from === 2 && fails) throw new Error("power cut");
      done.push(from);
    },
  }));
  await assert.rejects(prepareDataFolder(folder, { format: 3, upgrades }), /power cut/);
  fails = false;
  await prepareDataFolder(folder, { format: 3, upgrades });
  assert.deepEqual(done, [1, 2]);
  assert.equal(await readFile(join(folder, "format"), "utf8"), "3\n");
  await writeFile(join(folder, "format"), "1\n");
  await assert.rejects(prepareDataFolder(folder, { format: 2, upgrades: [] }), refusedWith(/cannot bring forward/));
});

test("one lock at a time; a dead holder's is taken over, and whatever damaged one", async () => {
  const folder = await mkdtemp(join(root, "x-"));
  const unlock = await lockDataFolder(folder);
  await assert.rejects(
    lockDataFolder(folder),
    refusedWith(new RegExp(`already runs.*process ${process.pid}.*berth down --data`)),
  );
  await unlock();
  assert.deepEqual(await readdir(folder), []);

  const child = spawn("cat", { stdio: ["pipe", "ignore", "ignore"] });
  const holder = processIdentity(child.pid);
  child.stdin.end();
  await once(child, "exit");
  for (const stale of [JSON.stringify(holder), JSON.stringify({ ...processIdentity(), bootId: "before" }), "{", ""]) {
    await writeFile(join(folder, "supervisor.json"), stale);
    const release = await lockDataFolder(folder);
    assert.deepEqual(JSON.parse(await readFile(join(folder, "supervisor.json"), "utf8")), processIdentity());
    await release();
  }
});

test("of many who find a dead lock, exactly one gets it", async () => {
  const folder = await mkdtemp(join(root, "x-"));
  await writeFile(join(folder, "supervisor.json"), "");
  const trials = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataFolder(folder)));
  assert.equal(trials.filter(({ status }) => status === "fulfilled").length, 1);
  for (const trial of trials) if (trial.status === "rejected") assert.ok(trial.reason instanceof Refusal);
});
