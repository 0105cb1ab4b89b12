/** The scripted day obeys every law that can be read off what was accounted, and off the journal of its decisions. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { parseJournalLine } from "@berth/scheduling";
import { replay } from "@berth/simulator";
import type { AttemptRow } from "@berth/accounting";
import { type Day, isFinal, playDay } from "./day.ts";
import { dayPage } from "./page.ts";
import { cpusPerNode, gangNodes, maintenance, nodeCount } from "./script.ts";

let day: Day;
before(async () => void (day = await playDay()));

const ms = (time: string | null): number => Date.parse(time ?? "");
const ran = (): AttemptRow[] => day.rows.filter(({ startTime }) => startTime !== null);
const keyOf = (row: AttemptRow): string => `${row.workloadUid} ${row.task}`;

test("every job of the day ends well, also those that had to give way", () => {
  assert.deepEqual(day.logs, []);
  const last = new Map(day.rows.toSorted((a, b) => a.attempt - b.attempt).map((row) => [keyOf(row), row]));
  for (const row of last.values()) assert.equal(row.state, "Succeeded", `${row.name} of ${row.user}`);
  const preempted = day.rows.filter(({ state }) => !isFinal(state));
  assert.ok(preempted.length >= 5, `${preempted.length} preemptions`);
  for (const row of preempted) {
    assert.equal(row.account, "students", "only students' jobs give way");
    const again = last.get(keyOf(row))!;
    assert.ok(again.attempt > row.attempt && ms(again.startTime) >= ms(row.endTime), `${row.name} comes back`);
  }
});

test("no node has more than its cpus at any instant", () => {
  const changes = new Map<string, { at: number; cpus: number }[]>();
  for (const row of ran()) {
    for (const node of row.nodes) {
      const cpus = row.requestedMilliCpus / 1000 / row.nodes.length;
      const own = changes.get(node) ?? [];
      own.push({ at: ms(row.startTime), cpus }, { at: ms(row.endTime), cpus: -cpus });
      changes.set(node, own);
    }
  }
  assert.equal(changes.size, nodeCount, "every node was used");
  for (const [node, own] of changes) {
    let used = 0;
    for (const { at, cpus } of own.sort((a, b) => a.at - b.at || a.cpus - b.cpus)) {
      used += cpus;
      assert.ok(used <= cpusPerNode, `${node}: ${used} cpus at ${new Date(at).toISOString()}`);
    }
  }
});

test("nothing runs on the nodes of the maintenance while it lasts, and they are used before and after", () => {
  for (const row of ran()) {
    if (!row.nodes.some((node) => maintenance.nodes.includes(node))) continue;
    const isOutside = ms(row.endTime) <= maintenance.from || ms(row.startTime) >= maintenance.to;
    assert.ok(isOutside, `${row.name} from ${row.startTime} to ${row.endTime}`);
  }
  const own = ran().filter(({ nodes }) => nodes.some((node) => maintenance.nodes.includes(node)));
  assert.ok(own.some((row) => ms(row.endTime) <= maintenance.from));
  // At least the job that waited for one of them.
  assert.ok(own.some((row) => ms(row.startTime) === maintenance.to));
});

test("the gang runs on 64 nodes at once, for as long as it has to", () => {
  const [gang, ...more] = day.rows.filter(({ name }) => name === "gang");
  assert.deepEqual(more, []);
  assert.equal(new Set(gang!.nodes).size, gangNodes);
  assert.equal((ms(gang!.endTime) - ms(gang!.startTime)) / 1000, 75 * 60);
});

test("the gang's reservation, once given, only moves to the front", () => {
  const { jobId } = day.rows.find(({ name }) => name === "gang")!;
  const told = day.journal.flatMap((line) => {
    const entry = parseJournalLine(line);
    return "decide" in entry ? entry.decisions.reservations.filter(({ job }) => job === jobId) : [];
  });
  assert.ok(told.length > 0, "it holds one");
  for (let at = 1; at < told.length; at += 1) assert.ok(told[at]!.startTime <= told[at - 1]!.startTime);
  assert.ok(ms(day.rows.find(({ name }) => name === "gang")!.startTime) / 1000 <= told.at(-1)!.startTime);
});

test("the journal of the day plays again, decision by decision", () => {
  const { differences, broken, decisions } = replay(day.journal);
  assert.deepEqual([differences, broken], [[], []]);
  assert.ok(decisions > day.submissions.length);
});

test("explain says at each step why, who, and when", () => {
  const asked = (name: string): Day["explained"] => day.explained.filter((one) => one.name === name);
  const gang = asked("gang");
  assert.equal(gang.length, 2);
  for (const { lines, explanation, at } of gang) {
    assert.equal(explanation.status?.reason, "Resources");
    assert.match(lines.join("\n"), /64 nodes/);
    const started = ms(day.rows.find(({ name }) => name === "gang")!.startTime);
    const expected = ms(explanation.status?.expectedStart?.time ?? null);
    assert.ok(expected >= started && at < started, "it starts when it was told, or earlier");
    assert.ok((explanation.status?.blockers ?? []).length > 0, "somebody is named");
  }
  const [calibration] = asked("calibration");
  assert.match(calibration!.lines.join("\n"), /cooling|maintenance/i);
  assert.equal(ms(calibration!.explanation.status?.expectedStart?.time ?? null), maintenance.to);
  const preempted = day.explained.filter(({ wasPreempted }) => wasPreempted);
  assert.ok(preempted.length > 0, "students who had to give way ask too");
  for (const { lines, explanation, name } of preempted) {
    const isWaiting = explanation.status?.phase === "Pending";
    assert.match(lines[0]!, isWaiting ? /waits in queue/ : /runs in queue/);
    assert.match(lines[1]!, isWaiting ? /^ {2}why {8}[A-Z]\w+: \w/ : /^ {2}on {9}node-/, `${name}: ${lines[1]}`);
  }
  for (const { lines } of day.explained) assert.doesNotMatch(lines.join("\n"), /undefined|NaN|None: /);
});

test("the page shows all of it", () => {
  const page = dayPage(day);
  assert.match(page, /Nodes over time/);
  assert.match(page, /class="bar c2 cut"/);
  assert.doesNotMatch(page, /NaN|Infinity|undefined/);
});
