/**
 * A scripted day on the embedded cluster with simulated nodes, in virtual time: `node test/day/day.ts [--html FILE] [--seed N]`. Three
 * accounts with unequal shares, a maintenance, students who fill holes, a gang of 64 nodes; what is submitted stands in script.ts,
 * the site in examples/day.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { AttemptRow } from "@berth/accounting";
import type { AnyObject, Client } from "@berth/client";
import { annotations, explanations, workloads } from "@berth/kinds";
import type { Explanation } from "@berth/kinds";
import { runningLines, titleOf, waitingLines } from "../../packages/cli/src/explanation-text.ts";
import { parseYamlDocuments } from "../../packages/cli/src/simulation/yaml-documents.ts";
import { repository } from "../support/berth.ts";
import { drive, startVirtualCluster } from "../support/virtual-cluster.ts";
import { dayPage } from "./page.ts";
import { accounts, cpusPerNode, dayBegin, nodeCount, script, type Submission } from "./script.ts";

export interface Day {
  submissions: Submission[];
  /** All attempts, by end. */
  rows: AttemptRow[];
  /** What `berth explain` would have said, of whom and when; of the preempted of the first that waits, and the first that runs again. */
  explained: { at: number; name: string; wasPreempted: boolean; lines: string[]; explanation: Explanation }[];
  journal: string[];
  logs: string[];
  /** Milliseconds since 1970 when all had ended. */
  end: number;
}

/** When somebody asks why their job waits: minutes after eight. */
const questions: { minute: number; user: string; name: string }[] = [
  { minute: 125, user: "emmy", name: "gang" },
  { minute: 135, user: "emmy", name: "gang" },
  { minute: 355, user: "emmy", name: "calibration" },
];

export async function playDay(seed = 1): Promise<Day> {
  const text = readFileSync(join(repository, "examples", "day", "site.yaml"), "utf8");
  const objects = parseYamlDocuments(text).map(({ value }) => value as AnyObject);
  const journal: string[] = [];
  await using cluster = await startVirtualCluster({
    start: dayBegin - 60_000,
    nodes: Array.from({ length: nodeCount }, (_, index) => ({
      name: `node-${index}`,
      cpus: cpusPerNode,
      memoryBytes: 32 * 2 ** 30,
    })),
    objects: objects.filter(({ kind }) => kind !== "Node" && kind !== "Reservation"),
    journal: (line) => journal.push(line),
  });
  const { clock, client, accounting, logs } = cluster;
  await drive(clock, prepare(client, objects));
  if (clock.now() > dayBegin) throw new Error("the day began before its cluster was ready");
  const submissions = script(seed);
  const failures: unknown[] = [];
  const explained: Day["explained"] = [];
  const rows: AttemptRow[] = [];
  const later = (at: number, work: () => Promise<void>): void => {
    clock.at(at, () => void work().catch((error: unknown) => failures.push(error)));
  };
  for (const { at, workload } of submissions) {
    later(at, async () => void (await client.create(workloads, workload)));
  }
  const ask = (at: number, user: string, name: string, wasPreempted = false): void =>
    later(at, async () => {
      const explanation = await client.get<Explanation>(explanations, name, { namespace: user });
      const { phase } = explanation.status ?? {};
      const same = explained.some((one) => one.wasPreempted && one.explanation.status?.phase === phase);
      if (wasPreempted && (same || (phase !== "Pending" && phase !== "Running"))) return;
      explained.push({
        at: clock.now(),
        name,
        wasPreempted,
        lines: explainedLines(explanation),
        explanation,
      });
    });
  for (const { minute, user, name } of questions) ask(dayBegin + minute * 60_000, user, name);
  const record = accounting.record.bind(accounting);
  accounting.record = async (some) => {
    await record(some);
    // Who had to give way asks as well.
    for (const { state, user, workload } of some)
      if (state === "Preempted") ask(clock.now() + 60_000, user, workload, true);
    rows.push(...some);
  };
  const wanted = submissions.reduce((sum, { workload }) => sum + tasksOf(workload.spec.array?.indices), 0);
  const isOver = (): boolean => failures.length > 0 || rows.filter(({ state }) => isFinal(state)).length >= wanted;
  await clock.runUntil(() => isOver() || clock.now() > dayBegin + 40 * 3_600_000);
  if (failures.length > 0) throw failures[0];
  return { submissions, rows, explained, journal, logs, end: clock.now() };
}

/** As `berth explain` prints it. */
function explainedLines(explanation: Explanation): string[] {
  const waits = explanation.status?.phase === "Pending";
  const { jobId, queue, account } = explanation.spec;
  const title = titleOf(
    String(jobId),
    explanation,
    `${waits ? "waits" : "runs"} in queue ${queue}, account ${account}`,
  );
  return [title, ...(waits ? waitingLines(explanation) : runningLines(explanation))];
}

/** Namespaces of the users, and what needs the nodes. */
async function prepare(client: Client, objects: readonly AnyObject[]): Promise<void> {
  const namespaces = { group: "", version: "v1", resource: "namespaces", namespaced: false };
  for (const user of Object.keys(accounts)) {
    const metadata = { name: user, annotations: { [annotations.owner]: user } };
    await client.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata });
  }
  const reservations = { group: "berth.dev", version: "v1alpha1", resource: "reservations", namespaced: false };
  for (const object of objects) if (object.kind === "Reservation") await client.create(reservations, object);
}

function tasksOf(indices: string | undefined): number {
  return indices === undefined ? 1 : Number(indices.split("-")[1]) + 1;
}

/** A row of an attempt after which another comes is no end of its job. */
export function isFinal(state: string): boolean {
  return state !== "Requeued" && state !== "Preempted";
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { html: { type: "string" }, seed: { type: "string", default: "1" } } });
  const day = await playDay(Number(values.seed));
  const states = Object.groupBy(day.rows, ({ state }) => state);
  console.log(JSON.stringify(Object.fromEntries(Object.entries(states).map(([state, rows]) => [state, rows!.length]))));
  for (const { at, lines } of day.explained.toSorted((a, b) => a.at - b.at))
    console.log(`\nAt ${new Date(at).toISOString().slice(11, 16)}: ${lines.join("\n")}`);
  if (values.html !== undefined) writeFileSync(values.html, dayPage(day));
}
