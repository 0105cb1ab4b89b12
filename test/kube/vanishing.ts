/** Nodes that vanish: half of them at once, in each of three ways. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { resources } from "@berth/client";
import { labels, type Pod, type Queue, queues } from "@berth/kinds";
import { waitFor } from "../support/waiting.ts";
import { isReady, startKwok, type KwokNodes } from "./kwok.ts";
import { type Findings, readHistory } from "./history.ts";
import { capacity, type Load, makeQueue, podsOf, startTrial, type Trial } from "./trial.ts";

export interface VanishingOptions {
  /** In each half. */
  nodes: number;
  tasks: number;
  singles: number;
  gangs: number;
  leaseSeconds: number;
  /** How long those that come back are away; the jobs run on. */
  awaySeconds: number;
}

interface Recovery {
  /** Drivers' pods on the nodes that vanished; a worker's death is not the job's. */
  hit: number;
  /** From the vanishing until each of those ran, or had run, elsewhere. */
  secondsToRecover: number;
}

export interface VanishingFigures {
  nodes: number;
  podsEachTime: number;
  deleted: Recovery;
  silent: { outOfService: Recovery; assumedLost: Recovery; untilLatestEnd: Recovery };
  back: { secondsAway: number; attemptsMoreThanOne: number };
  laws: Omit<Findings, "startedTwice" | "overlapping" | "overcommitted"> & { rows: number };
}

const assumedSeconds = 10;

export async function nodesVanish(options: VanishingOptions): Promise<VanishingFigures> {
  const { nodes, leaseSeconds } = options;
  await using trial = await startTrial({ leaseSeconds });
  const { plane } = trial;
  await startKwok(plane, { name: "stays", nodes, leaseSeconds, capacity });
  // Onto both halves.
  await plane.client.patch<Queue>(queues, "standard", { spec: { placement: "Spread" } });
  await makeQueue(trial, "hasty", { assumeLostAfterSeconds: assumedSeconds });
  const half = (name: string): Promise<KwokNodes> => startKwok(plane, { name, nodes, leaseSeconds, capacity });
  const load = (more: Partial<Load>): Load => {
    const { tasks, singles, gangs } = options;
    return { tasks, singles, gangs, runSeconds: 30, wallTimeSeconds: 60, ...more };
  };
  const remove = async ({ names }: KwokNodes): Promise<void> => {
    const queue = names.values();
    const remover = async (): Promise<void> => {
      for (const name of queue) await plane.client.delete(resources.nodes, name);
    };
    await Promise.all(Array.from({ length: 16 }, remover));
  };
  const isHit = (name: string) => (pod: Pod) =>
    pod.metadata.labels?.[labels.podSet] === "main" && pod.spec.nodeName?.startsWith(`${name}-`) === true;

  // Deleted: nothing runs there, says Kubernetes.
  const leaving = await half("leaves");
  const first = load({});
  await trial.submit("deleted", first);
  await trial.running("deleted", first);
  const hitByDeletion = await podsNamed(trial, "deleted", isHit("leaves"));
  assert.ok(hitByDeletion.length > 0);
  leaving.silence();
  const deletedAt = Date.now();
  await remove(leaving);
  await again(trial, hitByDeletion);
  const deleted = { hit: hitByDeletion.length, secondsToRecover: since(deletedAt) };
  await trial.succeeded("deleted", first, 300);

  // Silent for good: one part is tainted out-of-service by an administrator, one part may be assumed lost, the rest is waited for.
  const quiet = await half("quiet");
  const patient = load({
    singles: 0,
    gangs: 0,
    tasks: Math.ceil(options.tasks / 2),
    wallTimeSeconds: 20,
    runSeconds: 15,
  });
  const hasty = {
    ...load({ tasks: Math.ceil(options.tasks / 4), queue: "hasty", runSeconds: 60, wallTimeSeconds: 120 }),
  };
  await trial.submit("hasty", hasty);
  await trial.running("hasty", hasty);
  await trial.submit("patient", patient);
  await trial.running("patient", patient);
  quiet.silence();
  const silentAt = Date.now();
  const silentPods = async (name: string, ofTainted: boolean): Promise<Pod[]> =>
    podsNamed(
      trial,
      name,
      (pod) => isHit("quiet")(pod) && pod.status?.phase === "Running" && tainted.has(pod.spec.nodeName!) === ofTainted,
    );
  const tainted = new Set(quiet.names.slice(0, Math.ceil(nodes / 4)));
  const shut = [...(await silentPods("patient", true)), ...(await silentPods("hasty", true))];
  const waited = await silentPods("patient", false);
  const assumed = await silentPods("hasty", false);
  assert.ok(
    Math.min(shut.length, waited.length, assumed.length) > 0,
    `hit: ${shut.length}, ${waited.length}, ${assumed.length}`,
  );
  const outOfServiceAt = new Map<string, number>();
  for (const name of tainted) {
    const taint = { key: "node.kubernetes.io/out-of-service", value: "nodeshutdown", effect: "NoExecute" };
    outOfServiceAt.set(name, Date.now());
    await plane.client.patch(resources.nodes, name, { spec: { taints: [taint] } });
  }
  const taintedAt = Date.now();
  const recovery = async (hit: Pod[], from: number): Promise<Recovery> => {
    await again(trial, hit);
    return { hit: hit.length, secondsToRecover: since(from) };
  };
  const [outOfService, assumedLost, untilLatestEnd] = await Promise.all([
    recovery(shut, taintedAt),
    recovery(assumed, silentAt),
    recovery(waited, silentAt),
  ]);
  await trial.succeeded("patient", patient, 300);
  await trial.succeeded("hasty", hasty, 300);
  await remove(quiet);

  // Silent, and back with everything that ran.
  const returning = await half("returns");
  const back = load({ runSeconds: options.awaySeconds + 20, wallTimeSeconds: options.awaySeconds + 120 });
  await trial.submit("back", back);
  await trial.running("back", back);
  const before = await podsNamed(trial, "back", () => true);
  returning.silence();
  const awayAt = Date.now();
  await waitFor("the nodes to be told silent", async () => {
    const { items } = await plane.client.listAll(resources.nodes);
    return items.filter((node) => !isReady(node)).length >= nodes || undefined;
  });
  await pause(Math.max(0, options.awaySeconds * 1000 - (Date.now() - awayAt)));
  const after = new Set((await podsNamed(trial, "back", () => true)).map(({ metadata }) => metadata.uid));
  const gone = before.filter(({ metadata }) => !after.has(metadata.uid));
  assert.deepEqual(
    gone.map(({ metadata }) => metadata.name),
    [],
    "pods that went while their nodes were silent",
  );
  returning.resume();
  const secondsAway = since(awayAt);
  const ended = await trial.succeeded("back", back, 300);
  const repeated = ended.filter(({ status }) => (status?.attempts ?? 1) > 1 || (status?.restarts ?? 0) > 0);
  assert.deepEqual(
    repeated.map(({ metadata }) => metadata.name),
    [],
    "Workloads that were begun again though they ran on",
  );

  const laws = await trial.judged({
    outOfServiceAt,
    assumed: { isOf: (task) => task.includes("/hasty-"), seconds: assumedSeconds, silentSince: silentAt },
  });
  const { pods, tasks, requeued, rows } = laws;
  return {
    nodes: nodes * 2,
    podsEachTime: podsOf(first),
    deleted,
    silent: { outOfService, assumedLost, untilLatestEnd },
    back: { secondsAway, attemptsMoreThanOne: repeated.length },
    laws: { pods, tasks, requeued, rows },
  };
}

const since = (at: number): number => Math.round((Date.now() - at) / 100) / 10;

async function podsNamed({ plane }: Trial, name: string, wanted: (pod: Pod) => boolean): Promise<Pod[]> {
  const { items } = await plane.client.listAll<Pod>(resources.pods, { namespace: "nobody" });
  return items.filter((pod) => pod.metadata.name.startsWith(`${name}-`) && wanted(pod));
}

/** Waits until each of these has been begun again on a node that is there. */
async function again({ plane }: Trial, hit: readonly Pod[]): Promise<void> {
  const names = new Set(hit.map(({ metadata }) => metadata.name));
  let left: string[] = [];
  await waitFor(
    "pods to be begun again",
    async () => {
      const { lives } = await readHistory(plane.auditLog);
      const attempts = new Map<string, number>();
      for (const { task, attempt, runningAt } of lives)
        if (runningAt !== undefined) attempts.set(task, Math.max(attempts.get(task) ?? 0, attempt));
      left = lives
        .filter(({ name, task, attempt }) => names.has(name) && (attempts.get(task) ?? 0) <= attempt)
        .map(({ name, node }) => `${name} on ${node}`);
      if (left.length === 0) return true;
      await pause(1000);
      return undefined;
    },
    300,
  ).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}: ${left.length} of ${names.size}, ${left.slice(0, 5).join(", ")}`);
  });
}
