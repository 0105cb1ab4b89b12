import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openUsers, parseUserSettings } from "./user-settings.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-settings-"));
after(() => rmSync(folder, { recursive: true }));

const ldap = {
  source: "Ldap",
  servers: ["ldaps://ldap.example.org"],
  userBase: "ou=people,dc=example,dc=org",
  groupBase: "ou=groups,dc=example,dc=org",
};

test("each source has its settings; paths are from the folder of the file", async () => {
  assert.deepEqual(parseUserSettings({ source: "Claims" }, "/etc/berth"), { source: "Claims" });
  assert.deepEqual(parseUserSettings({ ...ldap, bindDn: "cn=x", passwordFile: "password" }, "/etc/berth"), {
    ...ldap,
    bindDn: "cn=x",
    passwordFile: "/etc/berth/password",
  });
  writeFileSync(join(folder, "passwd"), "ada:x:1001:1001::/home/ada:/bin/sh\n");
  const files = parseUserSettings({ source: "Files", passwdFile: "passwd" }, folder);
  assert.ok(files.source === "Files");
  assert.equal((await (await openUsers(files, () => {})).byName("ada"))?.uid, 1001);
});

test("what cannot be asked is said at once", async () => {
  const open = async (more: object): Promise<unknown> => {
    const settings = parseUserSettings({ ...ldap, ...more }, folder);
    assert.ok(settings.source === "Ldap");
    return await openUsers(settings, () => {});
  };
  await assert.rejects(open({ caFile: "nothing" }), /ENOENT.*nothing/);
  await assert.rejects(open({ caFile: "passwd" }), /passwd holds no certificate in PEM/);
  await assert.rejects(open({ servers: ["ldaps://127.0.0.1:1"] }), /cannot be asked who is who: .*ECONNREFUSED/);
});

const wrong: [what: unknown, words: RegExp][] = [
  ["Ldap", /it must be a map with source: Local, Files, Claims, Ldap/],
  [{ source: "Nis" }, /source: "Nis" is none; it must be one of/],
  [{ source: "Ldap", servers: ["ldaps://a"] }, /userBase is missing; source Ldap needs it/],
  [{ ...ldap, server: "x" }, /server is no setting of source Ldap; it has servers, /],
  [{ ...ldap, pageSize: 0 }, /pageSize must be a whole number above 0, not 0/],
  [{ ...ldap, servers: [] }, /servers must be a list of texts/],
  [{ ...ldap, servers: ["http://a"] }, /servers: http:\/\/a must be ldaps:\/\/HOST/],
  [{ ...ldap, servers: ["ldap://a/dc=x"] }, /must be ldaps:/],
  [{ ...ldap, bindDn: "cn=x" }, /bindDn and passwordFile go together/],
  [{ ...ldap, userFilter: "a=b" }, /userFilter: a=b must stand in parentheses/],
];
for (const [value, words] of wrong)
  test(`refused: ${words.source}`, () => assert.throws(() => parseUserSettings(value, "/etc/berth"), words));
