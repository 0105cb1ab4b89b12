import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { LocalUsers, currentUser } from "./local-users.ts";

const folder = await mkdtemp(join(tmpdir(), "berth-identity-"));
after(() => rm(folder, { recursive: true }));
const passwdFile = join(folder, "passwd");
const groupFile = join(folder, "group");
await writeFile(passwdFile, "root:x:0:0:root:/root:/bin/bash\nada:x:1001:1001::/home/ada:/bin/zsh\n");
await writeFile(groupFile, "root:x:0:\nada:x:1001:\nbio:x:2000:bob,ada\n");

const absent = (): Promise<string | undefined> => Promise.reject(new Error("not found"));

test("the machine's own name service knows who runs this", async () => {
  const me = currentUser();
  const users = new LocalUsers();
  const [byName, byUid] = await Promise.all([users.byName(me.name), users.byUid(me.uid)]);
  assert.equal(byName?.uid, me.uid);
  assert.equal(byName?.gid, byUid?.gid);
  assert.ok(byName?.groups.includes(me.gid));
  assert.ok((await users.groupNames(byName!)).length > 0);
});

test("without getent and id the files are read", async () => {
  const users = new LocalUsers({ run: absent, passwdFile, groupFile });
  const ada = { name: "ada", uid: 1001, gid: 1001, groups: [1001, 2000], home: "/home/ada", shell: "/bin/zsh" };
  assert.deepEqual(await users.byName("ada"), ada);
  assert.deepEqual(await users.byUid(1001), ada);
  assert.equal(await users.byName("eve"), undefined);
  assert.deepEqual(await users.groupNames(ada), ["ada", "bio"]);
});

test("a number where a name is meant, and odd names, are nobody", async () => {
  const users = new LocalUsers({
    run: (program) => Promise.resolve(program === "getent" ? "ada:x:1001:1001::/home/ada:/bin/zsh\n" : "1001\n"),
  });
  assert.equal(await users.byName("1001"), undefined);
  assert.equal(await users.byName("ADA"), undefined);
  assert.equal(await users.byName("a:b"), undefined);
  assert.equal(await users.byUid(-1), undefined);
  assert.equal((await users.byName("ada"))?.uid, 1001);
});

test("answers are kept for their lifetime, and equal questions asked once", async () => {
  let asked = 0;
  let now = 0;
  const users = new LocalUsers({
    now: () => now,
    lifetimeSeconds: 60,
    run: (program) => {
      if (program === "getent") asked += 1;
      return Promise.resolve(program === "getent" ? "ada:x:1001:1001::/home/ada:/bin/zsh\n" : "1001\n");
    },
  });
  await Promise.all([users.byName("ada"), users.byName("ada")]);
  now = 59_999;
  await users.byName("ada");
  assert.equal(asked, 1);
  now = 60_000;
  await users.byName("ada");
  assert.equal(asked, 2);
});
