/** `berth simulate` and its parts, as typed: what they print, write, refuse, and with which exit code. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { repository, run, type Outcome } from "../support/berth.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-simulate-"));
after(() => rmSync(folder, { recursive: true }));

const berth = (...words: string[]): Promise<Outcome> => run(join(repository, "berth"), words, { cwd: folder });

before(async () => {
  const made = await berth(
    "simulate",
    "generate",
    "lublin-feitelson",
    "--jobs",
    "300",
    "--processors",
    "32",
    "--load",
    "2",
  );
  assert.equal(made.code, 0, made.stderr);
  writeFileSync(join(folder, "a.swf"), made.stdout);
});

test("figures as one JSON object, the schedule as CSV, and a page", async () => {
  const outcome = await berth(
    "simulate",
    "a.swf",
    "--policy",
    "easy",
    "--json",
    "--output",
    "jobs.csv",
    "--html",
    "a.html",
  );
  assert.equal(outcome.code, 0, outcome.stderr);
  const figures = JSON.parse(outcome.stdout) as Record<string, number>;
  for (const name of [
    "jobs",
    "averageWait",
    "averageFlow",
    "averageBoundedSlowdown",
    "maxFlow",
    "maxBoundedSlowdown",
    "rmsBoundedSlowdown",
    "utilization",
    "makespan",
    "seconds",
  ]) {
    assert.ok(Number.isFinite(figures[name]), name);
  }
  const [head, ...lines] = readFileSync(join(folder, "jobs.csv"), "utf8").trimEnd().split("\n");
  assert.equal(head, "id,submit,start,end,wait,processors");
  assert.equal(lines.length, 300);
  const waits = lines.map((line) => Number(line.split(",")[4]));
  const average = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
  assert.ok(Math.abs(average - figures["averageWait"]!) < 1e-6 * Math.max(1, average));
  assert.match(readFileSync(join(folder, "a.html"), "utf8"), /^<!doctype html>/);
});

test("compare tables settings, marks the best of each figure, and gives the same as JSON", async () => {
  const words = ["simulate", "compare", "a.swf", "--policy", "fcfs", "--policy", "easy"];
  const table = await berth(...words);
  assert.equal(table.code, 0, table.stderr);
  const [head, ...rows] = table.stdout.split("\n");
  assert.match(head!, /^SETTING +WAIT +FLOW +SLOWDOWN/);
  assert.match(rows[0]!, /^fcfs/);
  assert.match(rows[1]!, /^easy +[\d.]+\* /);
  const { rows: data, best } = JSON.parse((await berth(...words, "-o", "json")).stdout) as {
    rows: { name: string; averageWait: number }[];
    best: Record<string, string[]>;
  };
  assert.deepEqual(
    data.map(({ name }) => name),
    ["fcfs", "easy"],
  );
  assert.deepEqual(best["averageWait"], ["easy"]);
});

test("odd lines are counted and told with their line; --strict refuses", async () => {
  const lines = readFileSync(join(folder, "a.swf"), "utf8").trimEnd().split("\n");
  const first = lines.findIndex((line) => !line.startsWith(";"));
  lines.splice(first + 2, 1, "not a job");
  lines.push("1000 5 -1 10 2 -1 -1 2 20 -1 1 1 1 -1 -1 -1 -1 -1");
  writeFileSync(join(folder, "odd.swf"), `${lines.join("\n")}\n`);
  const outcome = await berth("simulate", "odd.swf", "--json");
  assert.equal(outcome.code, 0, outcome.stderr);
  const { broken, unsorted, holes, jobs } = JSON.parse(outcome.stdout) as Record<string, number>;
  assert.deepEqual([broken, unsorted, holes, jobs], [1, 1, 2, 300]);
  assert.match(outcome.stderr, new RegExp(`line ${first + 3}: 3 fields where a job line has 18`));
  assert.match(outcome.stderr, /job numbers 301 to 999 are missing/);
  const strict = await berth("simulate", "odd.swf", "--strict");
  assert.equal(strict.code, 1);
  assert.match(strict.stderr, /refused, as --strict asks/);
  assert.equal(strict.stdout, "");
});

test("a site that contradicts itself is refused with the lines, and nothing is simulated", async () => {
  const account = (name: string, spec: string): string =>
    `apiVersion: berth.dev/v1alpha1\nkind: Account\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
  writeFileSync(join(folder, "site.yaml"), [account("a", "{parent: b}"), account("b", "{parent: a}")].join("---\n"));
  const outcome = await berth("simulate", "a.swf", "--site", "site.yaml");
  assert.equal(outcome.code, 1);
  assert.equal(outcome.stdout, "");
  assert.match(outcome.stderr, /line 4: Account a: spec\.parent: a is its own ancestor/);
  assert.match(outcome.stderr, /line 9: Account b: spec\.parent/);
  assert.doesNotMatch(outcome.stderr, /at .*\.ts:/);
});

test("a journal whose decision was changed does not play again: exit code 1, and the line", async () => {
  const lines = [
    '{"begin":{"version":1,"options":{"resources":["cpu"]}}}',
    '{"decide":5,"decisions":{"starts":[],"preemptions":[],"reservations":[{"job":1}],"unreserved":[],"waiting":[],"expired":[]}}',
  ];
  writeFileSync(join(folder, "journal.jsonl"), `${lines.join("\n")}\n`);
  const outcome = await berth("simulate", "--replay", "journal.jsonl");
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /line 2 comes out otherwise/);
  const none = await berth("simulate", "--replay", "a.swf");
  assert.equal(none.code, 1);
  assert.match(none.stderr, /is no journal/);
});

test("what cannot be meant is refused in words", async () => {
  for (const [words, message] of [
    [["simulate"], /say which trace/],
    [["simulate", "a.swf", "--policy", "best"], /--policy best: there are fcfs, easy/],
    [["simulate", "a.swf", "--policy", "site"], /--site FILE/],
    [["simulate", "a.swf", "--processors", "0"], /whole number from 1/],
    [["simulate", "none.swf"], /cannot be read/],
    [["simulate", "generate", "else"], /lublin-feitelson and kueue/],
    [["simulate", "generate", "lublin-feitelson", "--jobs", "-4"], /--jobs -4/],
  ] as const) {
    const outcome = await berth(...words);
    assert.notEqual(outcome.code, 0, words.join(" "));
    assert.match(outcome.stderr, message);
  }
});
