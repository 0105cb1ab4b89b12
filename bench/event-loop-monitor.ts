/**
 * Preloaded into the process that is measured: how long its event loop was held, in milliseconds of CPU time of its own thread, so that
 * a busy machine does not count. Garbage collections are told apart. A message on its channel asks for the figures and begins anew.
 */
import { PerformanceObserver } from "node:perf_hooks";

interface Turn {
  end: number;
  held: number;
}

let turns: Turn[] = [];
let collections: { start: number; duration: number }[] = [];
let last = process.threadCpuUsage();

setInterval(() => {
  const now = process.threadCpuUsage();
  turns.push({ end: performance.now(), held: (now.user - last.user + now.system - last.system) / 1000 });
  last = now;
}, 1).unref();
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) collections.push({ start: startTime, duration });
}).observe({ entryTypes: ["gc"] });

/** The first turn that ended after a moment. */
function turnAt(moment: number): Turn | undefined {
  let low = 0;
  let high = turns.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (turns[middle]!.end < moment) low = middle + 1;
    else high = middle;
  }
  return turns[low];
}

process.on("message", (message) => {
  // A profile is written at an exit, not at a kill.
  if (message === "end") process.exit();
  for (const { start, duration } of collections) {
    const turn = turnAt(start);
    if (turn !== undefined) turn.held = Math.max(0, turn.held - duration);
  }
  const held = turns.map((turn) => turn.held).sort((a, b) => a - b);
  const at = (part: number): number =>
    Number((held[Math.min(held.length - 1, Math.floor(held.length * part))] ?? 0).toFixed(1));
  process.send!({
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
    over10: held.filter((one) => one > 10).length,
    turns: held.length,
    longestCollection: Number(Math.max(0, ...collections.map(({ duration }) => duration)).toFixed(1)),
    collections: Math.round(collections.reduce((sum, { duration }) => sum + duration, 0)),
  });
  turns = [];
  collections = [];
});
