/**
 * The full sizes: `npm run prove -- NAME [--seed N] [--cases N]`. What CI runs small, this runs whole, with the same code, and writes the
 * figures with date and commit to test/results/NAME.json.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { repository } from "./support/berth.ts";

const proofs: Record<string, { about: string; run: (seed: number, cases?: number) => Promise<object> }> = {
  kills: {
    about: "200 kills of Berth's Node.js processes under a mixed load of 500 jobs",
    run: async (seed) => (await import("./faults/kills.ts")).killUnderLoad({ kills: 200, jobs: 500, seed }),
  },
  laws: {
    about: "every law of scheduling, of accounts, placement, reservations and preemption, on random clusters and loads",
    run: async (seed, cases) => (await import("./laws/prove-laws.ts")).proveLaws(cases ?? 10_000, seed),
  },
  vanishing: {
    about: "half of 3,000 simulated nodes of a real control plane vanish, in each of three ways",
    run: async () =>
      (await import("./kube/vanishing.ts")).nodesVanish({
        nodes: 1500,
        tasks: 4000,
        singles: 500,
        gangs: 200,
        leaseSeconds: 240,
        awaySeconds: 600,
      }),
  },
  leaders: {
    about: "100 leaders killed under load on a real control plane, and API server and etcd 10 times each",
    run: async (seed) =>
      (await import("./kube/killing.ts")).killUnderLoad({
        nodes: 100,
        leaderKills: 100,
        serverKills: 10,
        load: { tasks: 40, singles: 20, gangs: 4 },
        seed,
      }),
  },
  slurm: {
    about: "every command line and script of the differential suite, to real Slurm and to Berth",
    run: async () => (await import("./slurm/differential/prove-differential.ts")).proveDifferential(),
  },
  replay: {
    about: "2,000 jobs of KTH-SP2 through the whole embedded cluster in virtual time, beside the simulator",
    run: async () => (await import("./replay/prove-replay.ts")).proveReplay(2000),
  },
};

const { values, positionals } = parseArgs({
  // Cases: of laws, how many of each.
  options: { seed: { type: "string", default: "1" }, cases: { type: "string" } },
  allowPositionals: true,
});
const name = positionals[0] ?? "";
const proof = proofs[name];
if (!proof) {
  console.error(`${name === "" ? "no proof named" : `no proof "${name}"`}; there are:`);
  for (const [known, { about }] of Object.entries(proofs)) console.error(`  ${known.padEnd(12)} ${about}`);
  process.exit(2);
}
const figures = await proof.run(Number(values.seed), values.cases === undefined ? undefined : Number(values.cases));
const result = {
  proof: name,
  about: proof.about,
  date: new Date().toISOString(),
  commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: repository, encoding: "utf8" }).trim(),
  machine: `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  command: `npm run prove -- ${name} --seed ${values.seed}${values.cases === undefined ? "" : ` --cases ${values.cases}`}`,
  figures,
};
writeFileSync(join(repository, "test", "results", `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
console.log(JSON.stringify(result, null, 2));
