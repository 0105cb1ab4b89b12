import assert from "node:assert/strict";
import { test } from "node:test";
import { createJournalledState } from "@berth/scheduling";
import { replay } from "./index.ts";

/** A small history with all that is hard to write down: removed fields, refused calls, selectors. */
function journal(): string[] {
  const lines: string[] = [];
  const { state, decide } = createJournalledState(
    { resources: ["cpu"], policy: { reservationDepth: 2 }, matches: (selector, nodeClass) => selector === nodeClass },
    (line) => lines.push(line),
  );
  state.putQueue({ name: "a", selector: "gpu" });
  state.putNode({ name: "n0", capacity: [8], nodeClass: "gpu", state: "Up" });
  state.putNode({ name: "n1", capacity: [8], nodeClass: "cpu", state: "Up" });
  const job = { user: "ada", queues: ["a"], submitTime: 0, podSets: [{ count: 1, request: [5] }], wallTimeSeconds: 60 };
  for (const id of [1, 2, 3]) state.addJob({ ...job, id, hold: id === 3 ? "User" : undefined });
  assert.throws(() => state.addJob({ ...job, id: 1 }));
  decide(0);
  state.updateJob(3, { hold: undefined }, 10);
  decide(10);
  state.endJob(1, 20, { ok: true });
  decide(20);
  state.removeJob(3, 30);
  decide(30);
  return lines;
}

test("a journal played again gives the same decisions, line by line", () => {
  const lines = journal();
  const { differences, broken, states, decisions, calls } = replay(lines);
  assert.deepEqual([differences, broken], [[], []]);
  assert.deepEqual([states, decisions, calls], [1, 4, 10]);
  assert.ok(lines.some((line) => line.includes('"hold":null')));
});

test("a restart goes on in the same journal", () => {
  const lines = [...journal(), ...journal()];
  assert.equal(replay(lines).states, 2);
  assert.deepEqual(replay(lines).differences, []);
});

test("a decision that was another is told with its line", () => {
  const lines = journal();
  const at = lines.findIndex((line) => line.startsWith('{"decide":20'));
  lines[at] = lines[at]!.replace('"job":2', '"job":3');
  const [difference, ...more] = replay(lines).differences;
  assert.deepEqual(more, []);
  assert.equal(difference?.line, at + 1);
  assert.match(difference.replayed, /"job":2/);
});

test("broken lines are named and passed over", () => {
  const lines = journal();
  lines.splice(3, 0, "{", '{"x":1}', "");
  const { broken, differences } = replay(lines);
  assert.deepEqual(broken, [
    { line: 4, problem: "it is no JSON" },
    { line: 5, problem: "it has none of `begin`, `matches`, `call` and `decide`" },
  ]);
  assert.deepEqual(differences, []);
  assert.match(replay(['{"begin":{"version":2}}']).broken[0]!.problem, /version 2/);
});
