/** charts/berth is what is made of the manifests that `berth install` writes; test/kube renders it. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { chartFiles } from "../../../../tools/chart/chart.ts";

const repository = join(import.meta.dirname, "../../../..");
const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { version: string };

test("the chart is current: node tools/chart/generate.ts", () => {
  const files = chartFiles(version);
  for (const [path, text] of files)
    assert.ok(
      readFileSync(join(repository, "charts/berth", path), "utf8") === text,
      `charts/berth/${path}: run node tools/chart/generate.ts`,
    );
  const present = globSync("**/*.*", { cwd: join(repository, "charts/berth") });
  assert.deepEqual(present.sort(), [...files.keys()].sort());
});
