/** The day as a page: who had which node when, and the plots of the simulator's report. */
import { measure, placementSection, reportPage, reportSeries } from "@berth/simulator";
import type { Placed, ScheduledJob, Simulation } from "@berth/simulator";
import type { Day } from "./day.ts";
import { accounts, cpusPerNode, dayBegin, maintenance, nodeCount, type User } from "./script.ts";

const seconds = (time: string | null): number => (Date.parse(time ?? "") - dayBegin) / 1000;

export function dayPage(day: Day): string {
  const ran = day.rows.filter(({ startTime }) => startTime !== null);
  const placed = ran.flatMap((row): Placed[] =>
    [...new Set(row.nodes)].map((node) => ({
      node,
      start: seconds(row.startTime),
      end: seconds(row.endTime),
      name: row.account,
      label: `${row.name} of ${row.user}${row.task < 0 ? "" : `, element ${row.task}`}: ${row.state}`,
      wasCutShort: row.state === "Preempted" || row.state === "Requeued",
      part: row.requestedMilliCpus / 1000 / new Set(row.nodes).size / cpusPerNode,
    })),
  );
  for (const node of maintenance.nodes) {
    placed.push({
      node,
      start: (maintenance.from - dayBegin) / 1000,
      end: (maintenance.to - dayBegin) / 1000,
      name: "maintenance",
      label: "maintenance",
      part: 1,
    });
  }
  const names = Array.from({ length: nodeCount }, (_, index) => `node-${index}`);
  const simulation = simulationOf(day);
  const series = reportSeries(simulation, { entitled: { physics: 0.5, biology: 0.3, students: 0.2 } });
  return reportPage(simulation, series, {
    title: "A day on 72 nodes",
    notes: [
      "The embedded cluster with simulated nodes, in virtual time: what was submitted, and what Berth made of it.",
      "Students' jobs fill what is left and give way to research; they wait again and come back.",
    ],
    startTime: dayBegin / 1000,
    sections: [
      placementSection(placed, {
        nodes: names,
        order: ["physics", "biology", "students", "maintenance"],
        startTime: dayBegin / 1000,
        title: "Nodes over time",
        words: "Each line is a node; a bar's height is its part of the node. Dashed: cut short by preemption.",
      }),
    ],
  });
}

/** What ended, in the shape of the simulator's own results. */
function simulationOf({ rows }: Day): Simulation {
  const byJob = Map.groupBy(
    rows.filter(({ startTime }) => startTime !== null),
    ({ jobId }) => jobId,
  );
  const processors = nodeCount * cpusPerNode;
  const schedule: ScheduledJob[] = [];
  const assignments: Simulation["assignments"] = [];
  let preemptions = 0;
  let lostProcessorSeconds = 0;
  for (const [id, attempts] of byJob) {
    const sorted = attempts.toSorted((a, b) => a.attempt - b.attempt);
    const last = sorted.at(-1)!;
    const cpus = last.requestedMilliCpus / 1000;
    const preempted = sorted.slice(0, -1).map(({ startTime, endTime }) => {
      const [start, end] = [seconds(startTime), seconds(endTime)];
      preemptions += 1;
      lostProcessorSeconds += (end - start) * cpus;
      return { start, end, lostSeconds: end - start };
    });
    const [submit, start, end] = [seconds(last.submitTime), seconds(last.startTime), seconds(last.endTime)];
    schedule.push({ id, submit, start, end, wait: start - submit, processors: cpus, preempted });
    assignments.push({ user: last.user, account: accounts[last.user as User], queue: last.queue });
  }
  return {
    metrics: measure(schedule, processors, 0),
    schedule,
    processors,
    assignments,
    accountsAre: "account",
    refused: [],
    unstarted: [],
    cancelled: 0,
    preemptions,
    lostProcessorSeconds,
    withoutTheirGpus: 0,
    decisions: 0,
  };
}
