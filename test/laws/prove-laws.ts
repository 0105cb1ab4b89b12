/** The full size of the laws of scheduling: every law of every suite, on many random clusters and loads. */
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "node:test";
import { pathToFileURL } from "node:url";
import { repository } from "../support/berth.ts";

export interface LawFigures {
  casesOfEach: number;
  laws: number;
  cases: number;
  seconds: number;
  /** By file, in its order. */
  held: Record<string, string[]>;
}

/** Laws stand as `law("…", …)`; the number of cases of each and the seed come from the environment. */
const lawCall = /^law\(\s*"([^"]+)"/gm;

/** @throws Error naming each law that does not hold, with the case that shows it */
export async function proveLaws(casesOfEach: number, seed: number): Promise<LawFigures> {
  const files = globSync("packages/scheduling/src/*.test.ts", { cwd: repository })
    .map((name) => join(repository, name))
    .filter((path) => lawsOf(path).length > 0)
    .sort();
  const began = performance.now();
  const passed = new Set<string>();
  const failed: string[] = [];
  process.env["BERTH_LAW_CASES"] = String(casesOfEach);
  process.env["BERTH_SEED"] = String(seed);
  process.env["NODE_OPTIONS"] = `--import=${pathToFileURL(join(repository, "test", "support", "seed.ts")).href}`;
  for await (const { type, data } of run({ files, concurrency: 2 })) {
    if (type === "test:pass") passed.add(data.name);
    if (type === "test:fail") failed.push(`${data.name}: ${String(data.details.error.cause ?? data.details.error)}`);
  }
  if (failed.length > 0) throw new Error(failed.join("\n\n"));
  const held = Object.fromEntries(files.map((path) => [basename(path), lawsOf(path)]));
  const names = Object.values(held).flat();
  const missing = names.filter((name) => !passed.has(name));
  if (missing.length > 0) throw new Error(`not run: ${missing.join("; ")}`);
  return {
    casesOfEach,
    laws: names.length,
    cases: names.length * casesOfEach,
    seconds: Math.round((performance.now() - began) / 1000),
    held,
  };
}

function lawsOf(path: string): string[] {
  return [...readFileSync(path, "utf8").matchAll(lawCall)].map(([, name]) => name!);
}
