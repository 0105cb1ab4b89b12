/** For the tests: scenarios in which jobs may be preempted. */
import fc from "fast-check";
import type { QueueInput } from "./index.ts";
import type { Scenario } from "./testing-scenarios.ts";

/** Gives queues tiers and modes, and jobs queues, QOS and accounts that may preempt each other. */
export function withPreemption(
  scenarios: fc.Arbitrary<Scenario>,
  options: { tiersOnly?: boolean; suspends?: boolean; nodes?: number } = {},
): fc.Arbitrary<Scenario> {
  const { tiersOnly = false, nodes: most = 2 } = options;
  const queue = (name: string, tier: number): fc.Arbitrary<QueueInput> =>
    fc.record({
      name: fc.constant(name),
      tier: fc.constant(tier),
      preemptMode:
        options.suspends === true
          ? fc.constantFrom("Suspend", "Suspend", "Suspend", "Requeue", "Off")
          : fc.constantFrom("Requeue", "Requeue", "Checkpoint", "Cancel", "Off", undefined),
      graceSeconds: fc.constantFrom(undefined, 0, 5, 10),
      preemptExemptSeconds: fc.constantFrom(undefined, undefined, 0, 8),
    });
  const names = ["gold", "silver", "bronze"] as const;
  const qualities = names.map((name) =>
    fc.record({
      name: fc.constant(name),
      preempts: fc.subarray(names.filter((other) => other !== name)),
      preemptMode: fc.constantFrom(undefined, "Requeue" as const, "Off" as const),
      graceSeconds: fc.constantFrom(undefined, 0, 7),
    }),
  );
  const accounts = ["bio", "chem"].map((name) =>
    fc.record({ name: fc.constant(name), guaranteed: fc.tuple(fc.integer({ min: 1, max: 8 })) }),
  );
  const none = fc.constant(undefined);
  const ofJob = fc.record({
    queue: fc.constantFrom("a", "b", "c"),
    qos: tiersOnly ? none : fc.constantFrom(undefined, ...names),
    account: tiersOnly ? none : fc.constantFrom(undefined, "bio", "chem", "math"),
    requeue: fc.constantFrom(undefined, undefined, undefined, false),
  });
  return fc
    .record({
      scenario: scenarios,
      queues: fc.tuple(queue("a", 1), queue("b", 2), queue("c", 3)),
      qualities: tiersOnly ? fc.constant([]) : fc.tuple(...qualities),
      accounts: tiersOnly ? fc.constant([]) : fc.tuple(...accounts),
      ofJobs: fc.array(ofJob, { minLength: 14, maxLength: 14 }),
      leaveShare: fc.constantFrom(1, 1, 0.5, 0),
    })
    .map(({ scenario, ofJobs, ...rest }) => {
      const jobs = scenario.jobs.map(({ input, ...job }, index) => {
        const { queue: name, ...more } = ofJobs[index]!;
        return Object.assign(job, { input: Object.assign({}, input, { queues: [name] }, more) });
      });
      // Few nodes, lest all find room.
      const nodes = scenario.nodes.slice(0, most);
      const all = Object.assign({}, scenario, rest, { jobs, nodes });
      return options.suspends === true ? crowded(all) : all;
    });
}

const delays: Record<string, number> = { a: 0, b: 10, c: 20 };

/** The higher tiers come later, when others run already, and memory is what is short beside cores. */
function crowded(scenario: Scenario): Scenario {
  const jobs = scenario.jobs.map(({ input, ...job }) => {
    const delay = delays[input.queues[0]!] ?? 0;
    const later = (time: number | undefined): number | undefined => (time === undefined ? undefined : time + delay);
    const podSets = input.podSets.map((set) => {
      const [cpus = 0, memory = 0, pods = 0] = set.request;
      return { ...set, request: [cpus, 2 * memory, pods] };
    });
    const wallTimeSeconds = input.wallTimeSeconds * (delay === 0 ? 3 : 1);
    const times = {
      submitTime: Math.floor(input.submitTime / 4) + delay,
      beginTime: later(input.beginTime),
      deadline: later(input.deadline),
    };
    return { ...job, input: { ...input, ...times, podSets, wallTimeSeconds } };
  });
  const nodes = scenario.nodes.map((node) => ({
    ...node,
    capacity: [Math.max(4, node.capacity[0]!), 8, node.capacity[2]!],
  }));
  return { ...scenario, jobs, nodes };
}
