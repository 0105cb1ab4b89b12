import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { LdapUsers, type LdapSettings } from "./ldap-users.ts";
import { personEntry, startSlapd, type Slapd, withoutSlapd } from "./testing/slapd.ts";

const suffix = "dc=example,dc=org";
const group = (name: string, gid: number, members: string[]): string =>
  `dn: cn=${name},ou=groups,${suffix}\nobjectClass: posixGroup\ncn: ${name}\ngidNumber: ${gid}\n${members.map((member) => `memberUid: ${member}\n`).join("")}`;
const groupOfNames = (name: string, gid: number, members: string[]): string =>
  `dn: cn=${name},ou=groups,${suffix}\nobjectClass: groupOfNames\nobjectClass: posixGroup\ncn: ${name}\ngidNumber: ${gid}\n${members.map((member) => `member: ${member}\n`).join("")}`;
const person = (name: string): string => `uid=${name},ou=people,${suffix}`;

function settingsOf(server: Slapd, more: Partial<LdapSettings> = {}): LdapSettings {
  return {
    servers: [server.url],
    caFile: server.caFile,
    bindDn: server.adminDn,
    passwordFile: server.passwordFile,
    userBase: `ou=people,${suffix}`,
    groupBase: `ou=groups,${suffix}`,
    pageSize: 2,
    timeoutSeconds: 5,
    ...more,
  };
}

describe("users of a directory", { skip: withoutSlapd() }, () => {
  let server: Slapd;
  let now = 0;
  const said: string[] = [];
  const open = (more: Partial<LdapSettings> = {}): LdapUsers =>
    new LdapUsers(settingsOf(server, more), { now: () => now, warn: (text) => said.push(text) });

  before(async () => {
    server = await startSlapd();
    const many = Array.from({ length: 9 }, (_, at) => group(`project${at}`, 3000 + at, ["ada"]));
    server.change(
      [
        personEntry("ada", 1001, 1001),
        personEntry("emmy", 1002, 1002),
        personEntry("o*(x)", 1003, 1003),
        personEntry("toor", 0, 0),
        group("ada", 1001, []),
        group("physics", 2000, ["ada", "emmy"]),
        group("wheel", 0, ["ada"]),
        ...many,
      ].join("\n"),
    );
  });
  after(() => server?.[Symbol.asyncDispose]());

  test("ids, all groups over several pages, home and shell, by StartTLS and by ldaps; nobody gets root's group", async () => {
    const ada = {
      name: "ada",
      uid: 1001,
      gid: 1001,
      groups: [1001, 2000, 3000, 3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008],
      home: "/home/ada",
      shell: "/bin/bash",
    };
    for (const servers of [[server.url], [server.secureUrl], ["ldaps://127.0.0.1:1", server.secureUrl]]) {
      const users = open({ servers });
      await users.check();
      assert.deepEqual(await users.byName("ada"), ada);
      assert.deepEqual((await users.groupNames(ada)).slice(0, 3), ["ada", "physics", "project0"]);
      assert.deepEqual(await users.groupNames({ groups: [2000, 9999] }), ["physics"]);
    }
  });

  test("a name is that name: no other case, no pattern, nobody's number", async () => {
    const users = open();
    for (const name of ["ADA", "a*", "*", "1001", "", "ada)(uid=emmy", "nobody"])
      assert.equal(await users.byName(name), undefined, name);
    assert.equal((await users.byName("o*(x)"))?.uid, 1003);
  });

  test("who has root's ids, or two entries, is an error in words", async () => {
    const users = open();
    await assert.rejects(
      users.byName("toor"),
      /uid=toor,.* has uidNumber 0 and gidNumber 0; a user needs one of each, above 0/,
    );
    server.change(`dn: ou=more,ou=people,${suffix}\nobjectClass: organizationalUnit\nou: more\n`);
    server.change(personEntry("emmy", 6666, 6666).replace("ou=people", "ou=more,ou=people"));
    await assert.rejects(users.byName("emmy"), /has two users emmy: uid=emmy,ou=people,.* and uid=emmy,ou=more/);
    server.change(`dn: uid=emmy,ou=more,ou=people,${suffix}\nchangetype: delete\n`);
    assert.equal((await users.byName("emmy"))?.uid, 1002);
  });

  test("an answer holds for its life; who is gone is gone then", async () => {
    const users = open({ lifetimeSeconds: 60 });
    server.change(personEntry("guest", 1009, 1009));
    assert.equal((await users.byName("guest"))?.uid, 1009);
    server.change(`dn: ${person("guest")}\nchangetype: delete\n`);
    now += 59_999;
    assert.equal((await users.byName("guest"))?.uid, 1009);
    now += 1;
    assert.equal(await users.byName("guest"), undefined);
    server.change(personEntry("guest", 1010, 1009));
    now += 6000;
    assert.equal((await users.byName("guest"))?.uid, 1010);
  });

  test("while no server answers the known are as they were, others cannot be told; both are said once", async () => {
    const users = open({ lifetimeSeconds: 60, keepSeconds: 1000 });
    await users.byName("ada");
    assert.equal(await users.byName("later"), undefined);
    said.length = 0;
    await server.stop();
    try {
      now += 60_000;
      assert.equal((await users.byName("ada"))?.uid, 1001);
      assert.equal((await users.byName("ada"))?.uid, 1001);
      // That there was no such user is no answer now.
      await assert.rejects(users.byName("later"), /cannot be asked who is who: .*ECONNREFUSED/);
      await assert.rejects(users.byName("emmy"), /cannot be asked/);
      assert.equal(said.length, 1);
      assert.match(said[0]!, /^the directory ldap:.* cannot be asked .*; users are as they were last known/);
      now += 940_000;
      await assert.rejects(users.byName("ada"), /cannot be asked/);
    } finally {
      await server.start();
    }
    server.change(personEntry("later", 1011, 1011));
    now += 10_000;
    assert.equal((await users.byName("later"))?.uid, 1011);
    assert.match(said[1]!, /answers again$/);
  });

  test("who is not the server that is meant is not believed, and nobody is asked unencrypted", async () => {
    const { caFile: _, ...strangers } = settingsOf(server);
    await assert.rejects(new LdapUsers(strangers).check(), /self-signed certificate/);
    await assert.rejects(
      open({ servers: [server.url.replace("127.0.0.1", "127.0.0.2")] }).check(),
      /ECONNREFUSED|not in the cert's list/,
    );
    await assert.rejects(
      open({ allowPlaintext: true }).check(),
      /the server refuses \(ConfidentialityRequired, code 13\)/,
    );
    const wrong = join(server.folder, "wrong");
    writeFileSync(wrong, "guessed\n");
    await assert.rejects(open({ passwordFile: wrong }).check(), /the server refuses \(InvalidCredentials, code 49\)/);
    writeFileSync(wrong, "\n");
    await assert.rejects(open({ passwordFile: wrong }).check(), /the password of cn=admin,.* is empty/);
    await assert.rejects(open({ userBase: `ou=nowhere,${suffix}` }).check(), /NoSuchObject, code 32/);
  });
});

describe("groups that name their members by DN", { skip: withoutSlapd() }, () => {
  let server: Slapd;
  before(async () => {
    server = await startSlapd({
      schema: "Rfc2307bis",
      access: [
        `access to dn.exact="cn=secret,ou=groups,${suffix}" attrs=member by * none`,
        "access to * by users read by anonymous auth",
      ],
    });
    server.change(
      [
        personEntry("ada", 1001, 1001, "userPassword: reader"),
        personEntry("emmy", 1002, 1002),
        groupOfNames("physics", 2000, [person("ada"), person("emmy")]),
        groupOfNames("secret", 2001, [person("ada")]),
        // A group in a group, and one in a circle.
        groupOfNames("science", 2002, [`cn=physics,ou=groups,${suffix}`, `cn=all,ou=groups,${suffix}`]),
        groupOfNames("all", 2003, [`cn=science,ou=groups,${suffix}`]),
      ].join("\n"),
    );
  });
  after(() => server?.[Symbol.asyncDispose]());

  test("by member, by memberOf where members may not be read, and through groups", async () => {
    const reader = join(server.folder, "reader");
    writeFileSync(reader, "reader");
    const users = new LdapUsers(settingsOf(server, { bindDn: person("ada"), passwordFile: reader }));
    assert.deepEqual((await users.byName("ada"))?.groups, [1001, 2000, 2001, 2002, 2003]);
    assert.deepEqual((await users.byName("emmy"))?.groups, [1002, 2000, 2002, 2003]);
  });
});
