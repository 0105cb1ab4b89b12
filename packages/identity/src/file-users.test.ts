import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { FileUsers } from "./file-users.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-users-"));
after(() => rmSync(folder, { recursive: true }));

test("users, their groups and the names of these come from files, which are read again when they change", async () => {
  const passwdFile = join(folder, "passwd");
  const groupFile = join(folder, "group");
  writeFileSync(passwdFile, "ada:x:1001:1001:Ada:/home/ada:/bin/bash\nada:x:7:7::/:/bin/sh\n");
  writeFileSync(groupFile, "ada:x:1001:\nphysics:x:2000:ada,emmy\nchemistry:x:2001:marie\n");
  let now = 0;
  const users = new FileUsers({ passwdFile, groupFile, now: () => now });
  const ada = await users.byName("ada");
  assert.deepEqual(ada, {
    name: "ada",
    uid: 1001,
    gid: 1001,
    groups: [1001, 2000],
    home: "/home/ada",
    shell: "/bin/bash",
  });
  assert.deepEqual(await users.groupNames(ada), ["ada", "physics"]);
  assert.equal(await users.byName("emmy"), undefined);
  writeFileSync(passwdFile, "emmy:x:1002:1002::/home/emmy:/bin/sh\n");
  now += 2000;
  assert.equal((await users.byName("emmy"))?.uid, 1002);
  assert.equal(await users.byName("ada"), undefined);
  rmSync(passwdFile);
  now += 2000;
  assert.equal((await users.byName("emmy"))?.uid, 1002);
});

test("a file that is missing or holds no users is an error in words", async () => {
  await assert.rejects(new FileUsers({ passwdFile: join(folder, "none") }).read(), /ENOENT.*none/);
  const passwdFile = join(folder, "empty");
  writeFileSync(passwdFile, "# nobody\n");
  await assert.rejects(new FileUsers({ passwdFile }).read(), /holds no line of passwd/);
});
