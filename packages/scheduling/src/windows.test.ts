/** Windows of repeating reservations, with and without the shifts that clocks of a time zone make. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { longestGapSeconds, overlapEver, windowAfter } from "./windows.ts";
import type { Window } from "./windows.ts";

const hour = 3600;
const day = 24 * hour;
type Times = Parameters<typeof windowAfter>[0];

/** Repeats, with shifts of less than half of what it repeats by. */
const repeating: fc.Arbitrary<Times> = fc
  .record({
    startTime: fc.integer({ min: 0, max: 500 }),
    everySeconds: fc.integer({ min: 20, max: 90 }),
    part: fc.integer({ min: 1, max: 100 }),
    shifts: fc.array(fc.record({ after: fc.integer({ min: 1, max: 200 }), seconds: fc.integer({ min: -4, max: 4 }) }), {
      maxLength: 4,
    }),
  })
  .map(({ startTime, everySeconds, part, shifts }) => {
    let from = startTime;
    return {
      startTime,
      everySeconds,
      durationSeconds: Math.max(1, Math.floor((everySeconds * part) / 100)),
      shifts: shifts.map(({ after, seconds }) => ({ from: (from += after), seconds })),
    };
  });

/** One after the other until the one that ends after `until`. */
function windowsUntil(times: Times, until: number): Window[] {
  const windows: Window[] = [];
  for (let at = 0; ; at = windows.at(-1)!.end) {
    const window = windowAfter(times, at)!;
    windows.push(window);
    if (window.end > until) return windows;
  }
}

test("windows follow each other with a gap between them, and each time has the first that is not over", () => {
  fc.assert(
    fc.property(repeating, fc.integer({ min: 0, max: 2000 }), (times, time) => {
      const windows = windowsUntil(times, 2000);
      const isOne = times.durationSeconds === times.everySeconds;
      for (const [index, { start, end }] of windows.entries()) {
        // Each shift joins two at the most.
        assert.ok(start < end && end - start <= times.durationSeconds * (1 + times.shifts!.length));
        if (index === 0) continue;
        const gap = start - windows[index - 1]!.end;
        assert.ok((gap > 0 || isOne) && gap <= longestGapSeconds(times));
      }
      assert.deepEqual(windowAfter(times, time), windows.find(({ end }) => end > time) ?? windows.at(-1));
    }),
  );
});

test("two that repeat overlap ever, if a window of the one does a window of the other after both have begun", () => {
  fc.assert(
    fc.property(repeating, repeating, (a, b) => {
      const begin = Math.max(a.startTime, b.startTime) + 100;
      // Beyond the last shift, and all the distances that come after it.
      const until = 1500 + 2 * a.everySeconds! * b.everySeconds!;
      const [ofA, ofB] = [windowsUntil(a, until), windowsUntil(b, until)];
      let at = 0;
      const meet = ofA.some((one) => {
        while (at < ofB.length && ofB[at]!.end <= one.start) at += 1;
        return one.start >= begin && at < ofB.length && ofB[at]!.start < one.end;
      });
      assert.ok(!meet || overlapEver(a, b), "what overlaps is told");
      assert.equal(overlapEver(a, b), overlapEver(b, a));
    }),
  );
});

test("two that move together may follow each other closely; one that stays is met when the other moves", () => {
  const shifts = [
    { from: 100 * day, seconds: -hour },
    { from: 300 * day, seconds: 0 },
  ];
  const early = { startTime: 8 * hour, durationSeconds: 2 * hour, everySeconds: day, shifts };
  const late = { startTime: 10 * hour, durationSeconds: 2 * hour, everySeconds: 7 * day, shifts };
  assert.equal(overlapEver(early, late), false);
  assert.equal(overlapEver(early, { ...late, shifts: undefined }), false);
  assert.equal(overlapEver({ ...early, shifts: undefined }, late), true);
  assert.deepEqual(windowAfter(early, 100 * day), { start: 100 * day + 7 * hour, end: 100 * day + 9 * hour });
  assert.deepEqual(windowAfter(early, 300 * day), { start: 300 * day + 8 * hour, end: 300 * day + 10 * hour });
  assert.equal(longestGapSeconds(early), 23 * hour);
});

test("windows between which a shift leaves no gap are one", () => {
  const times = { startTime: 0, durationSeconds: 9, everySeconds: 11, shifts: [{ from: 11, seconds: -2 }] };
  for (const time of [0, 8, 9, 17]) assert.deepEqual(windowAfter(times, time), { start: 0, end: 18 });
  assert.deepEqual(windowAfter(times, 18), { start: 20, end: 29 });
  const less = { ...times, shifts: [{ from: 11, seconds: -1 }] };
  assert.deepEqual(
    [windowAfter(less, 0), windowAfter(less, 9)],
    [9, 19].map((end) => ({ start: end - 9, end })),
  );
});
