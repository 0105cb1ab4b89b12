/** The first jobs of a recorded workload through the whole embedded cluster; `npm run prove -- replay` plays 2,000. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { replay } from "@berth/simulator";
import { readTrace } from "../support/traces.ts";
import { replayTrace } from "./replay-trace.ts";

const jobs = 250;

test(`${jobs} jobs of KTH-SP2 through the embedded cluster: metrics as simulated, and the journal plays again`, async (t) => {
  const trace = readTrace("KTH-SP2", 100);
  if (trace === undefined) return t.skip("../shared/traces/KTH-SP2.swf.gz is not here");
  const journal: string[] = [];
  const figures = await replayTrace({
    jobs: trace.jobs.slice(0, jobs),
    processors: 100,
    journal: (line) => journal.push(line),
  });
  for (const [name, difference] of Object.entries(figures.differences)) {
    assert.ok(difference <= 0.005, `${name} differs by ${difference}: ${JSON.stringify(figures)}`);
  }
  const again = replay(journal);
  assert.deepEqual([again.differences, again.broken], [[], []]);
  assert.ok(again.decisions > jobs, `${again.decisions} decisions`);
});
