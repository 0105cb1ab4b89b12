import assert from "node:assert/strict";
import { test } from "node:test";
import { currentClusterFile, defaultDataFolder, publicFolderOf } from "./cluster-places.ts";

test("root's cluster is the machine's, others' lie in their home", () => {
  assert.equal(defaultDataFolder({ uid: 0, home: "/root", env: {} }), "/var/lib/berth");
  assert.equal(defaultDataFolder({ uid: 7, home: "/home/ada", env: {} }), "/home/ada/.local/share/berth");
  assert.equal(defaultDataFolder({ uid: 7, home: "/home/ada", env: { XDG_DATA_HOME: "/d" } }), "/d/berth");
  assert.equal(
    defaultDataFolder({ uid: 7, home: "/home/ada", env: { XDG_DATA_HOME: "relative" } }),
    "/home/ada/.local/share/berth",
  );
  assert.equal(currentClusterFile({ uid: 7, home: "/home/ada", env: {} }), "/home/ada/.local/state/berth/current.json");
});

test("each data folder has a public folder of its own", () => {
  assert.notEqual(publicFolderOf("/a"), publicFolderOf("/b"));
  assert.match(publicFolderOf("/a"), /^\/run\/berth\/[0-9a-f]{16}$/);
});
