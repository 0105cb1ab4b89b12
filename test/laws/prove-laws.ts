/** The full size of the laws of scheduling: every law of every suite, on many random clusters and loads. */
import { globSync } from "node:fs";
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

/** Exit code 1 where a law does not hold. Two files at a time. */
export async function proveLaws(casesOfEach: number, seed: number): Promise<LawFigures> {
  const files = globSync("packages/scheduling/src/*laws.test.ts", { cwd: repository }).sort();
  const began = performance.now();
  process.env["BERTH_LAW_CASES"] = String(casesOfEach);
  process.env["BERTH_SEED"] = String(seed);
  process.env["NODE_OPTIONS"] = `--import=${pathToFileURL(join(repository, "test", "support", "seed.ts")).href}`;
  const held = new Map<string, string[]>(files.map((file) => [basename(file), []]));
  const broken: LawFigures["broken"] = [];
  const left = files.slice();
  const proveNext = async (): Promise<void> => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) {
      for await (const { type, data } of run({ files: [join(repository, file)] })) {
        if (type === "test:pass") held.get(basename(file))!.push(data.name);
        if (type === "test:fail")
          broken.push({ law: data.name, error: String(data.details.error.cause ?? data.details.error) });
      }
    }
  };
  await Promise.all([proveNext(), proveNext()]);
  const laws = broken.length + [...held.values()].reduce((sum, { length }) => sum + length, 0);
  if (broken.length > 0) process.exitCode = 1;
  const seconds = Math.round((performance.now() - began) / 1000);
  return { casesOfEach, laws, cases: laws * casesOfEach, seconds, held: Object.fromEntries(held), broken };
}
