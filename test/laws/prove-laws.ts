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
  /** Laws by file. */
  held: Record<string, string[]>;
  /** With the case that shows it. */
  broken: { law: string; error: string }[];
}

/** Laws are made by `law(…)`, which takes the number of cases from the environment; in files of laws every test is one. */
const lawCall = /^\s*law\(\s*["`]([^"`]+)["`]/gm;

/** Exit code 1 where a law does not hold. */
export async function proveLaws(casesOfEach: number, seed: number): Promise<LawFigures> {
  const files = globSync("packages/scheduling/src/*.test.ts", { cwd: repository })
    .map((name) => join(repository, name))
    .filter((path) => lawsOf(path).size > 0)
    .sort();
  const began = performance.now();
  const held: Record<string, string[]> = {};
  const broken: LawFigures["broken"] = [];
  process.env["BERTH_LAW_CASES"] = String(casesOfEach);
  process.env["BERTH_SEED"] = String(seed);
  process.env["NODE_OPTIONS"] = `--import=${pathToFileURL(join(repository, "test", "support", "seed.ts")).href}`;
  for await (const { type, data } of run({ files, concurrency: 2 })) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const file = basename(data.file ?? "");
    const isLaw = file.endsWith("laws.test.ts") || lawsOf(data.file ?? "").has(data.name);
    if (type === "test:fail")
      broken.push({ law: data.name, error: String(data.details.error.cause ?? data.details.error) });
    else if (isLaw) (held[file] ??= []).push(data.name);
  }
  const laws = broken.length + Object.values(held).reduce((sum, { length }) => sum + length, 0);
  if (broken.length > 0) process.exitCode = 1;
  const seconds = Math.round((performance.now() - began) / 1000);
  return { casesOfEach, laws, cases: laws * casesOfEach, seconds, held, broken };
}

function lawsOf(path: string): Set<string> {
  if (path === "") return new Set();
  return new Set([...readFileSync(path, "utf8").matchAll(lawCall)].map(([, name]) => name!));
}
