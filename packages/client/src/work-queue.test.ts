import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { WorkQueue } from "./index.ts";

test("law: no key runs twice at once, and each added key runs after its last addition", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.integer({ min: 0, max: 4 }), turns: fc.integer({ min: 0, max: 3 }) }), {
        maxLength: 30,
      }),
      fc.integer({ min: 1, max: 3 }),
      async (additions, concurrency) => {
        const stop = new AbortController();
        const running = new Set<number>();
        let time = 0;
        const added = new Map<number, number>();
        const begun = new Map<number, number>();
        const queue = new WorkQueue<number>({
          concurrency,
          signal: stop.signal,
          async process(key) {
            assert.ok(!running.has(key));
            running.add(key);
            assert.ok(running.size <= concurrency);
            begun.set(key, ++time);
            for (let turn = 0; turn < key; turn++) await Promise.resolve();
            running.delete(key);
          },
        });
        for (const { key, turns } of additions) {
          added.set(key, ++time);
          queue.add(key);
          for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
        }
        await queue.idle();
        for (const [key, at] of added) assert.ok(begun.get(key)! > at);
        stop.abort();
      },
    ),
    { numRuns: 50 },
  );
});

test("a failure is tried again until it succeeds, and told", async () => {
  const stop = new AbortController();
  const failures: number[] = [];
  let left = 3;
  const queue = new WorkQueue<string>({
    firstDelayMs: 1,
    signal: stop.signal,
    process() {
      if (left-- > 0) throw new Error("not yet");
    },
    onError: (_key, _error, count) => failures.push(count),
  });
  queue.add("key");
  await queue.idle();
  assert.deepEqual(failures, [1, 2, 3]);
});

test("a number asks for another run later", async () => {
  const stop = new AbortController();
  let runs = 0;
  const queue = new WorkQueue<string>({ signal: stop.signal, process: () => (++runs < 3 ? 1 : undefined) });
  queue.add("key");
  await queue.idle();
  assert.equal(runs, 3);
});
