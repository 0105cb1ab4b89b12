/** The same command lines and scripts to real Slurm and to Berth: what differs stands in a list, with its reason. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { describe, playBoth } from "./differential/play.ts";
import { missing } from "./lab.ts";

const skip = missing() ?? false;

test("what differs from Slurm is known, and what is known differs", { skip, timeout: 1_200_000 }, async () => {
  const { verdict, cases } = await playBoth("Part");
  assert.deepEqual(verdict.unlisted.map(describe), [], "differences that are in no list");
  assert.deepEqual(verdict.gone, [], "entries of differences.json that explain nothing any more");
  assert.ok(cases > 100 && verdict.equal > 0.6 * cases, `${cases} cases, of which ${verdict.equal} are equal in all`);
});
