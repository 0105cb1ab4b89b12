/** What packages say of themselves is what the house allows; what they import is checked by `npm run layers` and knip. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

const repository = join(import.meta.dirname, "../..");
const read = (path: string): unknown => JSON.parse(readFileSync(join(repository, path), "utf8"));

const layers = read("layers.json") as Record<string, string[]>;
const folders = globSync("packages/*/package.json", { cwd: repository })
  .map((path) => path.split("/")[1]!)
  .sort();

test("every package has its place in layers.json, and no place is empty", () => {
  assert.deepEqual(Object.keys(layers).sort(), folders);
});

/** Packages that another starts as a program, and so must find, but never imports. */
const started: Record<string, string[]> = { cli: ["daemon"] };

for (const name of folders) {
  test(`${name} depends on what layers.json allows it`, () => {
    const {
      dependencies = {},
      devDependencies = {},
      ...manifest
    } = read(`packages/${name}/package.json`) as {
      name: string;
      dependencies?: Record<string, string>;
      devDependencies?: Record<string, string>;
    };
    assert.equal(manifest.name, `@berth/${name}`);
    const allowed = new Set([...layers[name]!, ...(started[name] ?? [])]);
    const refused = Object.keys(dependencies)
      .filter((one) => one.startsWith("@berth/"))
      .filter((one) => !allowed.has(one.slice("@berth/".length)));
    assert.deepEqual(refused, []);
    for (const one of Object.keys(devDependencies)) {
      assert.ok(!(one in dependencies), `${one} is a dependency and a development dependency`);
    }
  });
}
