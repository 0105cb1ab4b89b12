/** Short words for what tests do with jobs, through the commands only. */
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestCluster } from "./berth.ts";
import { hangSeconds, waitFor } from "./waiting.ts";

/** What one element asks for where a test does not care. */
export const small = ["--time=5", "--cpus-per-task=1", "--mem=50M"];

/** Writes an executable script and gives its path. */
export function writeScript(cluster: TestCluster, name: string, text: string): string {
  const path = join(cluster.directory, name);
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

/** Submits and gives the id; fails with sbatch's own words. */
export async function sbatch(cluster: TestCluster, words: string[]): Promise<number> {
  const outcome = await cluster.berth(["sbatch", "--parsable", ...words]);
  assert.equal(outcome.code, 0, `sbatch ${words.join(" ")}: ${outcome.stderr}`);
  assert.match(outcome.stdout, /^\d+\n$/);
  return Number(outcome.stdout);
}

/** A field of squeue's for one job (or `ID_TASK`); undefined when squeue does not show it. */
export async function squeueField(
  cluster: TestCluster,
  id: number | string,
  code: string,
): Promise<string | undefined> {
  const outcome = await cluster.berth(["squeue", "-h", "-r", "-t", "all", "-j", String(id), "-o", code]);
  return outcome.code === 0 ? outcome.stdout.split("\n")[0] : undefined;
}

/** Waits until squeue shows the job (or `ID_TASK`) in a state. */
export async function waitForState(
  cluster: TestCluster,
  id: number | string,
  state: string,
  seconds = hangSeconds,
): Promise<void> {
  let last: string | undefined;
  await waitFor(
    `job ${id} to be ${state}`,
    async () => {
      last = await squeueField(cluster, id, "%T");
      return last === state ? true : undefined;
    },
    seconds,
  ).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}; it is ${last}`);
  });
}

/** Rows of `sacct -X` for some jobs: the named fields of each. */
export async function sacct<Name extends string>(
  cluster: TestCluster,
  jobs: (number | string)[],
  names: readonly Name[],
  words: string[] = ["-X"],
): Promise<Record<Name, string>[]> {
  const outcome = await cluster.berth(["sacct", "-n", "-P", "-j", jobs.join(","), "-o", names.join(","), ...words]);
  assert.equal(outcome.code, 0, outcome.stderr);
  return outcome.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const cells = line.split("|");
      return Object.fromEntries(names.map((name, at) => [name, cells[at] ?? ""])) as Record<Name, string>;
    });
}

/** Waits until accounting has a row in a final state for each of the jobs, and gives the rows in the order of their ids. */
export async function ended<Name extends string>(
  cluster: TestCluster,
  jobs: (number | string)[],
  names: readonly Name[],
  seconds = hangSeconds,
): Promise<Record<Name, string>[]> {
  return await waitFor(
    `jobs ${jobs.join(", ")} to end`,
    async () => {
      const states = await sacct(cluster, jobs, ["State"]);
      if (
        states.length < jobs.length ||
        states.some(({ State }) => /^(PENDING|RUNNING|SUSPENDED|CONFIGURING|COMPLETING)/.test(State))
      )
        return undefined;
      return await sacct(cluster, jobs, names);
    },
    seconds,
  ).catch(async (error: unknown) => {
    const told = await Promise.all(
      [["squeue"], ["status"], ...jobs.map((job) => ["explain", String(job)])].map((words) => cluster.berth(words)),
    );
    throw new Error(told.map(({ stdout, stderr }) => stdout + stderr).join("\n"), { cause: error });
  });
}
