import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseGroupFile, parsePasswdFile, parsePasswdLine } from "./account-files.ts";

const name = fc.stringMatching(/^[a-z_][a-z0-9_-]{0,30}$/);
const id = fc.integer({ min: 0, max: 0xff_ff_ff_fe });
const path = fc.stringMatching(/^\/[a-z0-9/._-]{0,30}$/);

test("an entry is read back as it was written, amid lines that are none", () => {
  fc.assert(
    fc.property(name, id, id, path, path, (name, uid, gid, home, shell) => {
      const line = `${name}:x:${uid}:${gid}:A Name,,,:${home}:${shell}`;
      const entry = { name, uid, gid, home, shell };
      assert.deepEqual(parsePasswdLine(line), entry);
      assert.deepEqual(parsePasswdFile(`# comment\n\n+::::::\nbroken:x:a:b\n${line}\n`), [entry]);
    }),
  );
});

test("empty home and shell have passwd(5)'s meaning", () => {
  assert.deepEqual(parsePasswdLine("a:x:1:2:::"), { name: "a", uid: 1, gid: 2, home: "/", shell: "/bin/sh" });
});

test("groups with and without members", () => {
  assert.deepEqual(parseGroupFile("root:x:0:\nbio:x:2000:ada,bob\n#no\nx:y\n"), [
    { name: "root", gid: 0, members: [] },
    { name: "bio", gid: 2000, members: ["ada", "bob"] },
  ]);
});
