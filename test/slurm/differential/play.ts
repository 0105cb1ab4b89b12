/** Both sides, side by side: the same nodes, partitions and cases. */
import { createClient, loadKubeconfig, resources, type AnyObject } from "@berth/client";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repository, startCluster } from "../../support/berth.ts";
import { waitFor } from "../../support/waiting.ts";
import { SlurmLab } from "../lab.ts";
import type { Observation } from "./case.ts";
import { describe, type Difference, differences, judge, type Known, type Verdict } from "./compare.ts";
import { heldCases } from "./held-cases.ts";
import { questions } from "./questions.ts";
import { refusedCases } from "./refused-cases.ts";
import { runCases } from "./run-cases.ts";
import { Side, speaker, wholeNodeMebibytes } from "./side.ts";

const nodes = ["node-1", "node-2", "node-3", "node-4"];
const cpusPerNode = 4;
/** What the environment of whoever runs this may lack. */
const own = { USER: "root", LOGNAME: "root", HOME: "/root", SHELL: "/bin/bash" };
const features: Record<string, string[]> = { "node-1": ["fast", "big"], "node-2": ["fast"], "node-3": ["slow"] };

/** Partitions as Berth has them when it is begun, and one more. */
const slurmPartitions = `SelectTypeParameters=CR_Core_Memory
MaxArraySize=1000001
Licenses=foo:5
EnforcePartLimits=ALL
PartitionName=standard Nodes=ALL Default=YES DefaultTime=1:00:00 MaxTime=21-00:00:00 State=UP
PartitionName=short Nodes=ALL DefaultTime=2:00 MaxTime=5:00 State=UP`;

const berthObjects = `
kind: Queue
metadata: {name: short}
spec: {defaultWallTimeSeconds: 120, maxWallTimeSeconds: 300}
---
kind: Site
metadata: {name: site}
spec: {licences: {foo: 5}}
`;

export { describe };

export interface Played {
  verdict: Verdict;
  cases: number;
  found: ReadonlyMap<string, readonly Difference[]>;
  /** Of each kind of case how many are equal in all, and of how many. */
  kinds: Record<string, { cases: number; equal: number }>;
}

export const known = JSON.parse(readFileSync(join(import.meta.dirname, "differences.json"), "utf8")) as Known[];

/** Every how many-th case of its kind the small size plays: those that run tell the most. */
const sparse = { Refused: 5, Held: 5, Run: 2, Asked: 3 };

/** Every n-th, and those cases that they name. */
function thinned<Entry extends { name: string; words: readonly string[] }>(
  all: readonly Entry[],
  nth: number,
): Entry[] {
  const chosen = new Set(all.filter((_, index) => index % nth === 0).map(({ name }) => name));
  for (const { name, words } of all.toReversed()) {
    if (!chosen.has(name)) continue;
    for (const [, other = ""] of words.join(" ").matchAll(/\{id:([^}]+)\}/g)) chosen.add(other);
  }
  return all.filter(({ name }) => chosen.has(name));
}

/** @param size of the cases a part, or all of them; or those whose name fits */
export async function playBoth(size: "Part" | "Whole" | RegExp): Promise<Played> {
  const choose = <Entry extends { name: string; words: readonly string[] }>(
    all: readonly Entry[],
    nth: number,
  ): Entry[] => {
    if (size === "Whole") return [...all];
    return size === "Part" ? thinned(all, nth) : all.filter(({ name }) => size.test(name));
  };
  const cases = [
    ...choose(refusedCases, sparse.Refused),
    ...choose(heldCases, sparse.Held),
    ...choose(runCases, sparse.Run),
  ];
  const asked = choose(questions, sparse.Asked);
  const folder = mkdtempSync(join(tmpdir(), "berth-differential-"));
  try {
    const [slurm, berth] = await Promise.all([playSlurm(folder), playBerth(folder)]);
    const found = new Map(
      [...cases, ...asked].map(({ name }) => [name, differences(name, slurm.get(name) ?? {}, berth.get(name) ?? {})]),
    );
    const kinds: Played["kinds"] = {};
    for (const { name, kind } of [...cases, ...asked.map((each) => ({ ...each, kind: "Asked" }))]) {
      const count = (kinds[kind] ??= { cases: 0, equal: 0 });
      count.cases += 1;
      if (found.get(name)!.length === 0) count.equal += 1;
    }
    return { verdict: judge(found, known, size === "Whole"), cases: found.size, found, kinds };
  } finally {
    if (process.env["BERTH_KEEP"] === undefined) rmSync(folder, { recursive: true, force: true });
  }

  async function playSide(side: Side): Promise<Map<string, Observation>> {
    const all = new Map<string, Observation>();
    const askAll = async (when: "First" | "Last"): Promise<void> => {
      const waiting = asked.filter((question) => question.when === when);
      const worker = async (): Promise<void> => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
          all.set(next.name, await side.ask(next));
      };
      await Promise.all([worker(), worker()]);
    };
    await askAll("First");
    for (const [name, observation] of await side.play(cases, 3)) all.set(name, observation);
    await askAll("Last");
    return all;
  }

  async function playSlurm(parent: string): Promise<Map<string, Observation>> {
    // All of some nodes can be told from what anybody asks for.
    const memoryMebibytes = wholeNodeMebibytes;
    await using lab = new SlurmLab(slurmPartitions, {
      cluster: "berth",
      nodes: nodes.map((name) => ({ name, cpus: cpusPerNode, memoryMebibytes, features: features[name] ?? [] })),
    });
    await lab.start();
    lab.run("sacctmgr", ["-iQ", "add", "account", "default", "cluster=berth"]);
    lab.run("sacctmgr", ["-iQ", "add", "user", "root", "account=default"]);
    lab.run("sacctmgr", ["-iQ", "modify", "user", "root", "set", "defaultaccount=default"]);
    await lab.ready();
    return await playSide(
      new Side(
        "slurm",
        join(parent, "slurm"),
        speaker((name) => [name], { ...lab.environment, ...own }),
      ),
    );
  }

  async function playBerth(parent: string): Promise<Map<string, Observation>> {
    await using cluster = await startCluster({
      flags: ["--nodes", String(nodes.length), "--cpus-per-node", String(cpusPerNode)],
    });
    const applied = await cluster.berth(["apply", "-"], { input: berthObjects });
    if (applied.code !== 0) throw new Error(applied.stderr);
    const client = createClient(loadKubeconfig({ path: join(cluster.data, "admin.kubeconfig") }).connection);
    for (const [name, words] of Object.entries(features)) {
      const labels = Object.fromEntries(words.map((word) => [`berth.dev/feature-${word}`, "true"]));
      await client.patch<AnyObject>(resources.nodes, name, { metadata: { labels } });
    }
    await waitFor("the queue and the licences to be known", async () =>
      (await cluster.berth(["sbatch", "--test-only", "-p", "short", "-L", "foo", "-C", "slow", "--wrap=true"])).code ===
      0
        ? true
        : undefined,
    );
    const environment = {
      ...process.env,
      ...own,
      BERTH_CONTEXT: cluster.data,
      XDG_STATE_HOME: join(cluster.directory, "state"),
    };
    const program = join(repository, "berth");
    return await playSide(
      new Side(
        "berth",
        join(parent, "berth"),
        speaker((name) => [program, name], environment),
      ),
    );
  }
}

if (import.meta.main) {
  const [pattern] = process.argv.slice(2);
  const played = await playBoth(pattern === undefined ? "Whole" : pattern === "part" ? "Part" : new RegExp(pattern));
  for (const difference of played.verdict.unlisted) console.log(describe(difference));
  for (const text of played.verdict.gone) console.log(`gone: ${text}`);
  const { equal, different, unlisted } = played.verdict;
  console.log(`${played.cases} cases: ${equal} equal, ${different} different, ${unlisted.length} unlisted differences`);
}
