import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OidcUsers } from "./oidc-users.ts";

const of = (...stated: { namespace: string; uid?: string; gid?: string; groups?: string }[]): OidcUsers =>
  new OidcUsers((name) => (name === "ada" ? stated : []));

test("ids and groups are what the personal namespace says, else the first that says any", async () => {
  const users = of(
    { namespace: "a-project", uid: "1001", gid: "100", groups: "5" },
    { namespace: "ada", uid: "1001", gid: "100", groups: "2000,2001" },
    { namespace: "new" },
  );
  const ada = { name: "ada", uid: 1001, gid: 100, groups: [100, 2000, 2001], home: "/", shell: "/bin/sh" };
  assert.deepEqual(await users.byName("ada"), ada);
  assert.equal(await users.byName("emmy"), undefined);
  assert.equal(await of({ namespace: "ada" }).byName("ada"), undefined);
  assert.deepEqual((await of({ namespace: "p", uid: "7", gid: "7" }).byName("ada"))?.groups, [7]);
});

test("namespaces that disagree are an error, whatever their order", async () => {
  const stated = [
    { namespace: "ada", uid: "1001", gid: "1001" },
    { namespace: "other", uid: "1002", gid: "1001" },
  ];
  for (const list of [stated, stated.toReversed()])
    await assert.rejects(
      of(...list).byName("ada"),
      /namespace ada says that ada is uid 1001, gid 1001, and other that it is uid 1002/,
    );
});

test("nothing but a number above 0 is ever an id", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.constantFrom("0", "-1", "1e3", "4294967295", "007")), async (uid) => {
      const user = await of({ namespace: "ada", uid, gid: "1" })
        .byName("ada")
        .catch((error: Error) => error);
      if (user instanceof Error) assert.match(user.message, /these must be numbers above 0/);
      else assert.ok(user !== undefined && user.uid > 0 && user.uid === Number(uid));
    }),
  );
});
