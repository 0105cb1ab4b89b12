/** Leaders that are killed, and a control plane that is, under load: nothing is lost, nothing starts twice. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { seededRandom } from "../support/random.ts";
import { waitFor } from "../support/waiting.ts";
import type { Controllers } from "./berth.ts";
import { startKwok } from "./kwok.ts";
import { capacity, type Load, podsOf, startTrial, type Trial } from "./trial.ts";

export interface KillingOptions {
  nodes: number;
  leaderKills: number;
  /** Of the API server, and as often of etcd. */
  serverKills: number;
  /** Submitted before each kill. */
  load: Pick<Load, "tasks" | "singles" | "gangs">;
  seed: number;
}

export interface KillingFigures {
  seed: number;
  nodes: number;
  leaderKills: number;
  apiServerKills: number;
  etcdKills: number;
  workloads: number;
  pods: number;
  rows: number;
  /** From a leader's death until the next leads. */
  takeoverSeconds: { median: number; longest: number };
  seconds: number;
}

export async function killUnderLoad(options: KillingOptions): Promise<KillingFigures> {
  const { leaderKills, serverKills, seed } = options;
  const random = seededRandom(seed);
  const began = Date.now();
  await using trial = await startTrial({ leaseSeconds: 40 });
  const { plane, berth } = trial;
  await startKwok(plane, { nodes: options.nodes, leaseSeconds: 40, capacity });
  const loads: [string, Load][] = [];
  const submissions: Promise<void>[] = [];
  const submit = (): void => {
    const load = { ...options.load, runSeconds: 1 + Math.floor(random() * 8), wallTimeSeconds: 600 };
    const name = `round${loads.length}`;
    loads.push([name, load]);
    submissions.push(trial.submit(name, load));
  };

  let leader: Controllers = berth.first;
  let standby = await berth.startControllers();
  const takeovers: number[] = [];
  for (let kill = 0; kill < leaderKills; kill++) {
    submit();
    // At any moment of taking in, placing, making and ending what was submitted.
    await pause(random() * 4000);
    const killedAt = Date.now();
    await leader.end("SIGKILL");
    // The lease is anybody's who asks first once it has run out, also of one that has only just begun.
    const starting = berth.startControllers();
    const candidates = [standby];
    starting.then((started) => void candidates.push(started)).catch(() => {});
    const next = await waitFor("the next to lead", () => candidates.find((each) => each.isLeading()), 120);
    takeovers.push((Date.now() - killedAt) / 1000);
    const started = await starting;
    [leader, standby] = next === started ? [started, standby] : [standby, started];
  }
  for (let kill = 0; kill < serverKills; kill++) {
    for (const name of ["kube-apiserver", "etcd"] as const) {
      submit();
      await pause(random() * 3000);
      await plane.end(name);
      await pause(random() * 3000);
      await plane.start(name);
    }
  }
  await Promise.all(submissions);
  if (serverKills > 0) {
    // A change that kwok could not write while there was no server it does not try again.
    await plane.processes.end("kwok");
    plane.processes.start("kwok");
  }
  await allSucceed(trial, loads);
  // An end whose word the API server took into its death is not in its audit log.
  const laws = await trial.judged(serverKills === 0 ? {} : { milliCpuPerNode: undefined });
  assert.equal(laws.requeued, 0, "attempts that were begun again though no node was lost");
  const pods = loads.reduce((sum, [, load]) => sum + podsOf(load), 0);
  // What was rolled back with the API server may be missing from its audit log, but nothing is there twice.
  if (serverKills === 0)
    assert.equal(
      laws.tasks,
      loads.reduce((sum, [, load]) => sum + load.tasks + load.singles + load.gangs, 0),
    );
  takeovers.sort((a, b) => a - b);
  return {
    seed,
    nodes: options.nodes,
    leaderKills,
    apiServerKills: serverKills,
    etcdKills: serverKills,
    workloads: loads.reduce((sum, [, { singles, gangs }]) => sum + 1 + singles + gangs, 0),
    pods,
    rows: laws.rows,
    takeoverSeconds: { median: takeovers[takeovers.length >> 1] ?? 0, longest: takeovers.at(-1) ?? 0 },
    seconds: Math.round((Date.now() - began) / 1000),
  };
}

async function allSucceed(trial: Trial, loads: readonly [string, Load][]): Promise<void> {
  for (const [name, load] of loads) {
    const all = await trial.succeeded(name, load, 600);
    const restarted = all.filter(({ status }) => (status?.restarts ?? 0) > 0);
    assert.deepEqual(
      restarted.map(({ metadata }) => metadata.name),
      [],
      "Workloads that were restarted",
    );
  }
}
