/** Writes charts/berth, or with `--check` says what of it is not current. */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { chartFiles } from "./chart.ts";

const repository = join(import.meta.dirname, "..", "..");
const folder = join(repository, "charts", "berth");
const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { version: string };
const files = chartFiles(version);
const present = globSync("**/*", { cwd: folder, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
const stale = [...new Set([...files.keys(), ...present])].filter((path) => {
  if (!present.includes(path)) return true;
  return files.get(path) !== readFileSync(join(folder, path), "utf8");
});
if (process.argv.includes("--check")) {
  for (const path of stale) console.error(`charts/berth/${path} is not current; run: node tools/chart/generate.ts`);
  process.exit(stale.length === 0 ? 0 : 1);
}
for (const path of stale) {
  const text = files.get(path);
  if (text === undefined) rmSync(join(folder, path));
  else {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  console.log(`charts/berth/${path} ${text === undefined ? "removed" : "written"}`);
}
