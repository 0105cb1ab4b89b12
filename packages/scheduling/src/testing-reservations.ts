/** For the tests: scenarios with advance reservations. */
import fc from "fast-check";
import type { AdvanceReservationInput } from "./index.ts";
import type { Scenario } from "./testing-scenarios.ts";

/**
 * Adds reservations to scenarios, some put later, moved or removed, and has some jobs name one. `once`: none that repeat. */
export function withReservations(
  scenarios: fc.Arbitrary<Scenario>,
  options: {
    once?: boolean;
    early?: boolean;
    named?: boolean;
    leastGap?: number;
    whom?: readonly Partial<AdvanceReservationInput>[];
  } = {},
): fc.Arbitrary<Scenario> {
  const { once = false, early = false, named: isNamed = true, leastGap = 0, whom = [{ users: ["ada"] }] } = options;
  const put = fc
    .record({
      name: fc.constantFrom("r0", "r1", "r2"),
      startTime: fc.integer({ min: 0, max: 120 }),
      durationSeconds: fc.integer({ min: 4, max: 60 }),
      gap: once
        ? fc.constant(undefined)
        : fc.option(fc.integer({ min: leastGap, max: 100 }), { nil: undefined, freq: 2 }),
      shifts: fc.array(
        fc.record({ after: fc.integer({ min: 1, max: 80 }), seconds: fc.integer({ min: -2, max: 1 }) }),
        { maxLength: 2 },
      ),
      which: fc.constantFrom("Named", "Count", "All"),
      nodes: fc.subarray([0, 1, 2, 3, 4], { minLength: 1 }),
      nodeCount: fc.integer({ min: 1, max: 3 }),
      selector: fc.constantFrom(undefined, "gpu"),
      maintenance: fc.boolean(),
      forWhom: fc.constantFrom<Partial<AdvanceReservationInput>>(...whom),
      ignoreJobs: fc.boolean(),
    })
    .map(
      ({ which, nodes, nodeCount, selector, gap, shifts, maintenance, forWhom, ...rest }): AdvanceReservationInput => {
        const named = { nodes: nodes.map((index) => `n${index}`) };
        const counted = { selector, nodeCount: which === "Count" ? nodeCount : undefined };
        const everySeconds = gap === undefined ? undefined : rest.durationSeconds + gap;
        const whom = maintenance ? { maintenance } : forWhom;
        let from = rest.startTime;
        const calendar = {
          everySeconds,
          shifts:
            everySeconds === undefined
              ? undefined
              : shifts.map(({ after, seconds }) => ({ from: (from += after), seconds })),
        };
        return Object.assign(calendar, rest, which === "Named" ? named : counted, whom);
      },
    );
  const time = early ? fc.constant(0) : fc.integer({ min: 0, max: 100 });
  const event = early
    ? fc.record({ time, put })
    : fc.oneof(
        { weight: 3, arbitrary: fc.record({ time, put }) },
        fc.record({ time, remove: fc.constantFrom("r0", "r1") }),
      );
  const named = fc.array(isNamed ? fc.constantFrom(undefined, undefined, "r0", "r1", "r9") : fc.constant(undefined), {
    minLength: 14,
    maxLength: 14,
  });
  return fc
    .record({ scenario: scenarios, events: fc.array(event, { minLength: 1, maxLength: 4 }), named })
    .map(({ scenario, events, named }) => {
      const jobs = scenario.jobs.map(({ input, ...job }, index) => {
        return Object.assign(job, {
          input: named[index] === undefined ? input : { ...input, reservation: named[index] },
        });
      });
      return Object.assign({}, scenario, { reservations: events, jobs });
    });
}
