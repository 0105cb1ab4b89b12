/** For the tests: random clusters and loads. */
import fc from "fast-check";
import type {
  AccountInput,
  AdvanceReservationInput,
  DependencyInput,
  JobInput,
  MembershipInput,
  NodeInput,
  Policy,
  QualityOfServiceInput,
  QueueInput,
  Time,
} from "./index.ts";

/** A job and how long each attempt of it (each task) really runs, as a share of its wall time. */
interface ScriptedJob {
  input: JobInput;
  runShare: number;
  ok: boolean;
}

export interface Scenario {
  nodes: NodeInput[];
  queues: QueueInput[];
  jobs: ScriptedJob[];
  policy: Policy;
  /** Operator's acts: at a time, on a job or node by index. */
  acts: { time: Time; act: Act; index: number }[];
  /** Advance reservations that are put (again), or removed, at a time; those that are refused are left out. */
  reservations?: { time: Time; put?: AdvanceReservationInput; remove?: string }[];
  accounts?: AccountInput[];
  memberships?: MembershipInput[];
  qualities?: QualityOfServiceInput[];
  /** After which part of their grace preempted jobs are gone. */
  leaveShare?: number;
}
type Act = "Drain" | "Down" | "Up" | "Hold" | "Release" | "Remove" | "Raise" | "Lengthen";

const amount = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
/** Absent in one of so many. */
const maybe = <T>(value: fc.Arbitrary<T>, freq = 4): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq });
/** Present in one of so many. */
const seldom = <T>(value: fc.Arbitrary<T>, of = 4): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: of - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

const policies: fc.Arbitrary<Policy> = fc.record({
  reservationDepth: fc.constantFrom(1, 0, 2, 3, -1),
  backfill: fc.constantFrom("Arrival" as const, "Shortest" as const, "Priority" as const, "None" as const),
  overdue: fc.constant("Extend" as const),
});

function jobs({ plain = false, leases = false, varied = false, arrays: hasArrays = false, able }: ScenarioOptions) {
  const perhaps = able === true ? seldom : maybe;
  const arrays = fc.record({
    tasks: amount(leases ? 12 : 6),
    maxRunning: perhaps(amount(2)),
    // Where reservations are watched, all tasks of a lease end in its time: what is given back comes before others again.
    lease: hasArrays
      ? fc.constant(undefined)
      : perhaps(
          fc.record({
            tasks: amount(4),
            seconds: leases ? fc.constant(200) : amount(40),
            places: amount(3),
            atMost: perhaps(amount(3)),
          }),
          leases ? 4 : 2,
        ),
  });
  const rare = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
    plain ? fc.constant(undefined) : perhaps(value);
  /** What cannot take a reservation back. */
  const safe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => (varied ? perhaps(value) : rare(value));
  return fc
    .record({
      podSets: fc.array(
        fc.record({
          count: amount(3),
          request: fc.tuple(amount(4), fc.integer({ min: 0, max: 3 }), fc.constant(1)),
          selector: safe(fc.constantFrom("any", "gpu")),
          elastic: safe(fc.constant(true)),
          nodes: safe(fc.constantFrom(["n0"], ["n0", "n2", "n9"])),
        }),
        { minLength: 1, maxLength: plain && !varied ? 1 : 2 },
      ),
      submitTime: fc.integer({ min: 0, max: 60 }),
      wallTimeSeconds: amount(40),
      overheadSeconds: perhaps(fc.constant(5)),
      queues: plain ? fc.constant(["a"]) : fc.constantFrom(["a"], ["b"], ["a", "b"]),
      priority: rare(fc.integer({ min: 0, max: 2 })),
      podsPerNode: safe(fc.constant(1)),
      exclusive: safe(fc.constant(true)),
      shrinkable: safe(fc.constant(true)),
      beginDelay: rare(amount(30)),
      array: leases || hasArrays ? perhaps(arrays, 2) : rare(arrays),
      dependsOn: rare(
        fc.record({
          type: fc.constantFrom<DependencyInput["type"]>(
            "After",
            "AfterAny",
            "AfterOk",
            "AfterNotOk",
            "AfterCorr",
            "Singleton",
          ),
          back: amount(3),
          delaySeconds: perhaps(amount(20)),
        }),
      ),
      excluded: safe(fc.constant(["n0"])),
      deadlineDelay: rare(fc.integer({ min: 40, max: 200 })),
      runShare: plain ? fc.constantFrom(1, 0.5, 0.1) : fc.constantFrom(1, 0.5, 0.1, 2),
      ok: fc.boolean(),
    })
    .map((job): ScriptedJob => ({
      runShare: job.runShare,
      ok: job.ok,
      input: {
        id: 0,
        user: "ada",
        name: "x",
        queues: job.queues,
        submitTime: job.submitTime,
        priority: job.priority,
        podSets: job.podSets.map(({ count, request, selector, elastic, nodes }) => ({
          count,
          request,
          selector,
          nodes,
          minCount: elastic === true ? 1 : undefined,
        })),
        podsPerNode: job.podsPerNode,
        exclusive: job.exclusive,
        excludedNodes: job.excluded,
        wallTimeSeconds: job.wallTimeSeconds,
        minWallTimeSeconds: job.shrinkable === true ? Math.ceil(job.wallTimeSeconds / 4) : undefined,
        overheadSeconds: job.overheadSeconds,
        beginTime: job.beginDelay === undefined ? undefined : job.submitTime + job.beginDelay,
        deadline: job.deadlineDelay === undefined ? undefined : job.submitTime + job.deadlineDelay,
        array:
          job.array === undefined
            ? undefined
            : { pending: [[0, job.array.tasks - 1] as const], maxRunning: job.array.maxRunning },
        lease: job.array?.lease,
        dependencies:
          job.dependsOn === undefined
            ? undefined
            : {
                of: [
                  {
                    type: job.dependsOn.type,
                    job: job.dependsOn.type === "Singleton" ? undefined : -job.dependsOn.back,
                    delaySeconds: job.dependsOn.type === "After" ? job.dependsOn.delaySeconds : undefined,
                  },
                ],
              },
      },
    }));
}

interface ScenarioOptions {
  /** Only what cannot take a reservation back: no acts, priorities, overruns; one pod set that may use all nodes. */
  plain?: boolean;
  /** Plain, but with all that cannot take a reservation back either: gangs of several kinds or sizes, whole nodes, shorter slots. */
  varied?: boolean;
  /** Plain, but with arrays in which each start is of one task; or with leases. */
  arrays?: boolean;
  leases?: boolean;
  /** Few jobs have any of what keeps them from running: most start. */
  able?: boolean;
  policy?: fc.Arbitrary<Policy>;
}

/** Random clusters and loads. */
export function scenarios(options: ScenarioOptions = {}): fc.Arbitrary<Scenario> {
  const { plain = false, policy = policies } = options;
  const acts = fc.array(
    fc.record({
      time: fc.integer({ min: 0, max: 120 }),
      act: fc.constantFrom<Act>("Drain", "Down", "Up", "Hold", "Release", "Remove", "Raise", "Lengthen"),
      index: fc.nat(20),
    }),
    { maxLength: 6 },
  );
  return fc
    .record({
      nodes: fc.array(
        fc.record({
          capacity: fc.tuple(amount(8), amount(8), fc.constant(10)),
          nodeClass: fc.constantFrom("cpu", "gpu"),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      queues: fc.record({
        placement: fc.constantFrom("Pack" as const, "Spread" as const),
        tier: fc.constantFrom(1, 2),
        selector: maybe(fc.constant("gpu")),
        maxNodesPerJob: maybe(amount(3)),
      }),
      jobs: fc.array(jobs(options), { minLength: 1, maxLength: 14 }),
      policy,
      acts: plain ? fc.constant<Scenario["acts"]>([]) : acts,
    })
    .map(({ nodes, queues, jobs, policy, acts }): Scenario => ({
      nodes: nodes.map((node, index) => ({ ...node, name: `n${index}`, state: "Up" })),
      queues: [
        { name: "a", placement: queues.placement },
        { name: "b", ...queues },
      ],
      jobs: jobs
        .toSorted((a, b) => a.input.submitTime - b.input.submitTime)
        .map((job, index) => {
          const id = index + 10;
          const of = job.input.dependencies?.of.map(({ type, job, delaySeconds }) => {
            return { type, delaySeconds, job: job === undefined ? undefined : id + job };
          });
          const input: JobInput = { ...job.input, id, dependencies: of === undefined ? undefined : { of } };
          return { runShare: job.runShare, ok: job.ok, input };
        }),
      policy,
      acts,
    }));
}
