/**
 * Makes the generated tables of `packages/machinery/src/generated` from what Kubernetes publishes in its Go modules.
 *
 *     node tools/generate/generate.ts [--check]
 *
 * `--check` writes nothing and fails when a committed table is not what would be made now. Needs `go` and its module proxy.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { definitionsTable } from "./definitions.ts";
import { groupVersions, kubernetesVersion } from "./group-versions.ts";
import { resourcesTable } from "./resources.ts";

const here = import.meta.dirname;
const target = join(here, "../../packages/machinery/src/generated");

/** The folder of a module in Go's cache, downloaded when it is not there. */
function moduleFolder(module: string): string {
  const output = execFileSync("go", ["mod", "download", "-json", module], { encoding: "utf8", cwd: "/" });
  return (JSON.parse(output) as { Dir: string }).Dir;
}

/** Deterministic, one entry a line, so that a change of Kubernetes' version reads well as a diff. */
function render(table: Record<string, unknown> | unknown[]): string {
  if (Array.isArray(table)) return `[\n${table.map((one) => JSON.stringify(one)).join(",\n")}\n]\n`;
  const lines = Object.entries(table).map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}

const kubernetes = moduleFolder(`k8s.io/kubernetes@v${kubernetesVersion}`);
const protobuf = execFileSync("go", ["run", "."], {
  cwd: join(here, "protobuf-table"),
  encoding: "utf8",
  input: JSON.stringify(groupVersions),
  maxBuffer: 64 * 1024 * 1024,
});
const tables: Record<string, string> = {
  "resources.generated.json": render(resourcesTable(kubernetes, groupVersions)),
  "definitions.generated.json": render(definitionsTable(kubernetes, groupVersions)),
  "protobuf.generated.json": render(JSON.parse(protobuf) as Record<string, unknown>),
};

let stale = 0;
mkdirSync(target, { recursive: true });
for (const [name, text] of Object.entries(tables)) {
  const path = join(target, name);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, text);
    continue;
  }
  let committed = "";
  try {
    committed = readFileSync(path, "utf8");
  } catch {
    console.error(`${name} is missing`);
  }
  if (committed === text) continue;
  stale++;
  console.error(`${name} is not current: run node tools/generate/generate.ts and commit the result`);
}
process.exitCode = stale === 0 ? 0 : 1;
