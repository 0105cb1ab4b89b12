import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, link, lstat, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OwnershipProofs, type ProofResult } from "./ownership-proofs.ts";

const folder = await mkdtemp(join(tmpdir(), "berth-proofs-"));
after(() => rm(folder, { recursive: true }));
await chmod(folder, 0o755);
const directory = join(folder, "login");
let now = 0;
const proofs = new OwnershipProofs({ directory, lifetimeSeconds: 30, maximumOpen: 3, now: () => now });
await proofs.prepare();

const refusal = (result: ProofResult): string => ("refused" in result ? result.refused : `uid ${result.uid}`);

test("the directory lets everybody create and nobody list", async () => {
  assert.equal((await lstat(directory)).mode & 0o7777, 0o1733);
});

test("who makes the file is known, once", async () => {
  const { nonce, path, content } = proofs.challenge();
  await writeFile(path, content, { mode: 0o600, flag: "wx" });
  assert.deepEqual(await proofs.verify(nonce), { uid: process.getuid!() });
  assert.match(refusal(await proofs.verify(nonce)), /never issued/);
  await assert.rejects(lstat(path));
});

test("a link, foreign content, a file open to others and a late file prove nothing", async () => {
  const other = join(folder, "other");
  const first = proofs.challenge();
  await writeFile(other, first.content, { mode: 0o600 });
  await symlink(other, first.path);
  assert.match(refusal(await proofs.verify(first.nonce)), /not a regular file/);

  const second = proofs.challenge();
  await writeFile(other, second.content);
  await link(other, second.path);
  assert.match(refusal(await proofs.verify(second.nonce)), /other links/);

  const third = proofs.challenge();
  await writeFile(third.path, `${third.content}x`, { mode: 0o600 });
  assert.match(refusal(await proofs.verify(third.nonce)), /does not contain/);

  const fourth = proofs.challenge();
  await writeFile(fourth.path, fourth.content);
  await chmod(fourth.path, 0o666);
  assert.match(refusal(await proofs.verify(fourth.nonce)), /written by others/);

  const fifth = proofs.challenge();
  await writeFile(fifth.path, fifth.content, { mode: 0o600 });
  now += 30_000;
  assert.match(refusal(await proofs.verify(fifth.nonce)), /too old/);
  assert.match(refusal(await proofs.verify("../../etc/passwd")), /never issued/);
});

test("open challenges are bounded, the oldest gives way", async () => {
  const oldest = proofs.challenge();
  for (let index = 0; index < 3; index += 1) proofs.challenge();
  assert.match(refusal(await proofs.verify(oldest.nonce)), /never issued/);
});

test(
  "another user is told apart",
  { skip: process.getuid?.() === 0 ? false : "needs root to act as another user" },
  async () => {
    const { nonce, path, content } = proofs.challenge();
    const script = 'umask 077; printf %s "$2" >"$1"';
    const made = spawnSync("sh", ["-c", script, "sh", path, content], { uid: 65_534, gid: 65_534 });
    assert.equal(made.status, 0, String(made.stderr));
    assert.deepEqual(await proofs.verify(nonce), { uid: 65_534 });
  },
);
