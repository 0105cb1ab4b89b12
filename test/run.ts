/**
 * Runs test suites by name with Node's own runner: `node test/run.ts unit e2e [-- node --test options]`.
 * A suite is a set of file patterns; what needs more than npm is a suite of its own.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** File patterns of each suite, relative to the repository, how many files may run side by side, and what they are told. */
const suites: Record<string, { patterns: string[]; concurrency: number; environment?: NodeJS.ProcessEnv }> = {
  unit: { patterns: ["packages/*/src/**/*.test.ts", "test/house/*.test.ts"], concurrency: 2 },
  // The unit suite draws fewer cases of each law, so that it stays quick.
  laws: {
    patterns: ["packages/scheduling/src/*laws.test.ts"],
    concurrency: 2,
    environment: { BERTH_LAW_CASES: "1000" },
  },
  // Each has a cluster of its own, and mostly waits.
  e2e: { patterns: ["test/e2e/*.test.ts"], concurrency: 2 },
  kubectl: { patterns: ["test/kubectl/*.test.ts"], concurrency: 1 },
  "client-go": { patterns: ["test/client-go/*.test.ts"], concurrency: 1 },
  replay: { patterns: ["test/replay/*.test.ts", "test/day/*.test.ts"], concurrency: 1 },
  slurm: { patterns: ["test/slurm/*.test.ts"], concurrency: 1 },
  faults: { patterns: ["test/faults/*.test.ts"], concurrency: 1 },
  conformance: { patterns: ["test/conformance/*.test.ts"], concurrency: 1 },
  kube: { patterns: ["test/kube/*.test.ts"], concurrency: 1 },
  mpi: { patterns: ["test/mpi/*.test.ts"], concurrency: 1 },
  science: { patterns: ["test/science/*.test.ts"], concurrency: 1 },
};

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const words = process.argv.slice(2);
const split = words.indexOf("--");
const names = split < 0 ? words : words.slice(0, split);
const extra = split < 0 ? [] : words.slice(split + 1);
const unknown = names.filter((name) => !(name in suites));
if (names.length === 0 || unknown.length > 0) {
  console.error(
    `${unknown.length > 0 ? `unknown suite ${unknown.join(", ")}` : "no suite named"}; suites are: ${Object.keys(suites).join(", ")}`,
  );
  process.exit(2);
}
let failed = false;
for (const name of names) {
  const suite = suites[name]!;
  const files = suite.patterns.flatMap((pattern) => globSync(pattern, { cwd: root })).sort();
  if (files.length === 0) {
    console.error(`suite ${name} has no test files`);
    failed = true;
    continue;
  }
  console.log(`# suite ${name}: ${files.length} files`);
  const result = spawnSync(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      "--import=./test/support/seed.ts",
      "--test",
      `--test-concurrency=${suite.concurrency}`,
      ...extra,
      ...files,
    ],
    { cwd: root, stdio: "inherit", env: { ...process.env, ...suite.environment } },
  );
  failed ||= result.status !== 0;
}
process.exit(failed ? 1 : 0);
