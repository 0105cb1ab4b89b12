import type { Explanation } from "@berth/kinds";
import assert from "node:assert/strict";
import { test } from "node:test";
import { localTimes, runningLines, waitingLines } from "./explanation-text.ts";
import { labelled } from "./labelled-lines.ts";

const now = Date.parse("2026-11-22T14:00:00Z");
const clock = (time: string): string => {
  const at = new Date(time);
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
};

test("times of messages are told by the reader's clock", () => {
  const told = localTimes("n1 has room at 14:05Z when job 40 ends", "2026-11-22T14:00:00Z");
  assert.equal(
    told.replace(/.*at /, "").replace(/^\S+ (?=\d\d:)/, ""),
    `${clock("2026-11-22T14:05:00Z")} when job 40 ends`,
  );
  assert.match(
    localTimes("not before 2026-12-24 08:30Z", "2026-11-22T14:00:00Z"),
    /not before 2026-12-2[345] \d\d:\d0$|not before 2026-12-2[345] \d\d:[03]0$/,
  );
  assert.equal(localTimes("needs 2 cpus", "2026-11-22T14:00:00Z"), "needs 2 cpus");
});

test("labelled lines are wrapped at words, and aligned", () => {
  assert.deepEqual(labelled("why", "one two three four", 26), ["  why        one two three", "             four"]);
});

test("what waits: the reason, the start and what it assumes, who is in the way, place, priority, advice", () => {
  const explanation: Explanation = {
    apiVersion: "",
    kind: "Explanation",
    metadata: { name: "align" },
    spec: { jobId: 43, queue: "standard", wallTimeSeconds: 600 },
    status: {
      phase: "Pending",
      reason: "HeldByUser",
      slurmReason: "JobHeldUser",
      message: "held by its owner until released",
      asOf: "2026-11-22T14:00:00Z",
      submitTime: "2026-11-22T13:55:00Z",
      waitedSecondsByReason: { HeldByUser: 200, None: 100 },
      position: { queue: 2, of: 7 },
      expectedStart: {
        time: "2026-11-22T14:05:00Z",
        basis: "Forecast",
        asOf: "2026-11-22T14:00:00Z",
        assumes: "nobody comes before it",
        first: "2026-11-22T14:15:00Z",
      },
      blockers: [
        { job: 40, task: 3, how: "Ends", user: "bob", jobName: "train", until: "2026-11-22T14:05:00Z", node: "n1" },
        { job: 41, how: "Before" },
      ],
      priority: {
        value: 1493.4,
        factors: [
          { name: "age", factor: 0.5, weight: 1000, points: 500 },
          { name: "fairShare", factor: 0.1, weight: 10_000, points: 1000 },
          { name: "qos", factor: 0, weight: 0, points: 0 },
          { name: "nice", points: -7 },
        ],
      },
      needs: {
        pods: 1,
        podsFittingNow: 0,
        nodesUsable: 3,
        nodesFittingNow: 0,
        perPod: [
          { resource: "cpu", asked: 4000, mostFree: 1000, largest: 8000 },
          { resource: "memory", asked: 1.5 * 2 ** 30, mostFree: 0, largest: 0 },
          { resource: "nvidia.com/gpu", asked: 0.5, mostFree: 0, largest: 1 },
        ],
      },
      advice: "Release it.",
    },
  };
  const text = waitingLines(explanation, now).join("\n").replaceAll(/\s+/g, " ");
  const at = clock("2026-11-22T14:05:00Z");
  for (const words of [
    "why HeldByUser (in squeue: JobHeldUser): held by its owner until released",
    "starts about ",
    `${at}:00 (in 5 min); 10:00 earlier than first told nobody comes before it`,
    "behind job 40_3 (train) of bob holds what it is to get on n1 until ",
    "job 41 goes before it, and waits too",
    "position 2 of 7 that wait in queue standard",
    "waited 5:00 so far: 3:20 for HeldByUser, 1:40 for the scheduler's first look",
    "asks for 4 cpus, 1.5 GiB, 0.5 nvidia.com/gpu for 10:00; no node of 3 could take it now",
    "priority 1493 = age 500 (0.500 × 1000) + fair share 1000 (0.100 × 10000) - nice 7",
    "advice Release it.",
  ])
    assert.ok(text.includes(words), `${words}\n${text}`);
  assert.ok(waitingLines(explanation, now).every((line) => line.length <= 100));
});

test("what runs: where, since when, until when", () => {
  const text = runningLines(
    {
      apiVersion: "",
      kind: "Explanation",
      metadata: { name: "w" },
      spec: { wallTimeSeconds: 600 },
      status: { startTime: "2026-11-22T13:59:00Z", endTime: "2026-11-22T14:09:00Z", nodes: ["n1", "n2"] },
    },
    now,
  ).join("\n");
  assert.match(text, /on +n\[1-2\]\n +since .*\(1:00\)\n +ends by .*\(in 9 min\), when its wall time of 10:00 is over/);
});
