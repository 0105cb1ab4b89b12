/** The simulator decides nothing: every start is the core's, by the `decide` that the live loop calls. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { test } from "node:test";

const folder = new URL(".", import.meta.url);

test("it takes from the core a state, what decides on it, and what a limit refuses; nothing else decides", () => {
  const sources = readdirSync(folder).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  assert.ok(sources.length > 8);
  const values = new Set<string>();
  for (const name of sources) {
    const text = readFileSync(new URL(name, folder), "utf8");
    for (const [, what, from] of text.matchAll(/^(?:import|export)\s+([^;]*?)\s+from\s+"([^"]+)";/gms)) {
      assert.ok(from === "@berth/scheduling" || /^\.\/[\w-]+\.ts$/.test(from!), `${name} imports ${from}`);
      if (from !== "@berth/scheduling" || what!.startsWith("type ")) continue;
      for (const value of what!.replace(/[{}]/g, "").split(",")) values.add(value.trim());
    }
  }
  values.delete("");
  // No timeline, no placement, no order of jobs. The two last are the journal's lines.
  assert.deepEqual([...values].sort(), [
    "createClusterState",
    "decide",
    "journalLine",
    "parseJournalLine",
    "submitRefusal",
  ]);
});

/** A core whose `decide` starts the newest job alone, whatever the policy says. */
const otherCore = `
export * from ${JSON.stringify(import.meta.resolve("@berth/scheduling"))};
export function decide(state, now) {
  const nothing = { starts: [], preemptions: [], resumptions: [], reservations: [], unreserved: [], waiting: [], expired: [] };
  if (state.counts().running > 0) return nothing;
  for (let job = 100; job >= 0; job -= 1) {
    if (!state.has(job)) continue;
    const allocation = { nodes: [["machine"]], startTime: now, endTime: now + 1000 };
    state.startJob(job, allocation);
    return { ...nothing, starts: [{ job, queue: "machine", wallTimeSeconds: 1, ...allocation }] };
  }
  return nothing;
}`;

test("with another decide the schedule is another, and wholly that one's", async () => {
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "@berth/scheduling" ? { url: "test:core", shortCircuit: true } : next(specifier, context),
    load: (url, context, next) =>
      url === "test:core" ? { format: "module", source: otherCore, shortCircuit: true } : next(url, context),
  });
  const { simulate } = await import("./simulate.ts");
  hooks.deregister();
  const jobs = [0, 0, 0, 5, 5].map((submit, index) => {
    return { id: index + 1, submit, runSeconds: 10, requestedSeconds: 10, processors: 1, line: index + 1 };
  });
  for (const policy of ["fcfs", "easy", "conservative"] as const) {
    const { schedule } = simulate({ jobs, processors: 8, policy, mode: "Cycle" });
    assert.deepEqual(
      schedule.map(({ id, start }) => [id, start]),
      [
        [1, 40],
        [2, 30],
        [3, 0],
        [4, 20],
        [5, 10],
      ],
    );
  }
});
