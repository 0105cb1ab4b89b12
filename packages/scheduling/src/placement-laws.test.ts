import assert from "node:assert/strict";
import fc from "fast-check";
import { createClusterState, decide, explain, forecast } from "./index.ts";
import type {
  AdvanceReservationInput,
  ClusterState,
  Decisions,
  JobInput,
  NodeInput,
  PodGrant,
  PodTerm,
  Start,
} from "./index.ts";
import type { ClusterStore } from "./store.ts";
import { law } from "./testing-law.ts";
import { checkPodRules } from "./testing-pod-rules.ts";

const resources = ["cpu", "memory", "pods", "gpu"];
const levels = ["block", "rack"];
/** A pod selector is the letter of the pods that it means. */
const matches = (selector: string, of: string): boolean => selector === of || selector === "any";

interface Case {
  nodes: NodeInput[];
  jobs: { input: JobInput; runShare: number }[];
  licences: number;
  depth: number;
  maintenance?: AdvanceReservationInput;
}

const amount = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const maybe = <T>(value: fc.Arbitrary<T>, freq = 2): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq });

const nodes: fc.Arbitrary<NodeInput[]> = fc
  .array(
    fc.record({ rack: fc.constantFrom(0, 1, 2, undefined), gpus: fc.integer({ min: 0, max: 4 }), numa: fc.boolean() }),
    { minLength: 1, maxLength: 7 },
  )
  .map((all) =>
    all.map(({ rack, gpus, numa }, index): NodeInput => ({
      name: `n${index}`,
      capacity: [8000, 8, 10, gpus * 1000],
      nodeClass: "node",
      state: "Up",
      domains: { host: `n${index}`, ...(rack === undefined ? {} : { block: `b${rack >> 1}`, rack: `r${rack}` }) },
      numa: numa
        ? [0, 1].map((id) => ({
            id,
            cores: [0, 1, 2, 3].map((core) => 4 * id + core),
            capacity: [4000, 4],
            devices: { gpu: [0, 1, 2, 3].filter((device) => device % 2 === id) },
          }))
        : undefined,
    })),
  );

const term: fc.Arbitrary<PodTerm> = fc.record({
  pods: fc.constantFrom("a", "b"),
  key: fc.constantFrom("host", "rack"),
});

type Kind = "Topology" | "Devices" | "Apart" | "Rules" | "All";

function jobsOf(kind: Kind): fc.Arbitrary<Case["jobs"][number]> {
  const only = <T>(wanted: Kind, value: fc.Arbitrary<T>, also?: Kind): fc.Arbitrary<T | undefined> =>
    kind === wanted || kind === "All" || kind === also ? maybe(value) : fc.constant(undefined);
  return fc
    .record({
      count: amount(5),
      cpu: fc.constantFrom(500, 1000, 2000, 3000),
      memory: amount(3),
      gpu: only("Devices", fc.constantFrom(250, 300, 500, 700, 1000, 2000)),
      numa: only("Devices", fc.constant(true)),
      exclusive: maybe(fc.constant(true), 8),
      licence: only("Devices", amount(3)),
      topology: only(
        "Topology",
        fc.record({ level: fc.constantFrom("rack", "block"), mode: fc.constantFrom("Required", "Preferred") }),
      ),
      podClass: only("Rules", fc.constantFrom("a", "b"), "Apart"),
      affinity: only("Rules", term),
      antiAffinity: only("Rules", term, "Apart"),
      spread: only(
        "Rules",
        fc.record({
          pods: fc.constantFrom("a", "b"),
          key: fc.constantFrom("host", "rack"),
          maxSkew: amount(2),
          required: fc.boolean(),
        }),
      ),
      submitTime: fc.integer({ min: 0, max: 30 }),
      wallTimeSeconds: amount(20),
      runShare: fc.constantFrom(1, 0.5, 0.1),
    })
    .map(({ count, cpu, memory, gpu, licence, podClass, affinity, antiAffinity, spread, runShare, ...rest }) => {
      const ruled = affinity !== undefined || antiAffinity !== undefined || spread !== undefined;
      const rules = {
        affinity: affinity && [affinity],
        antiAffinity: antiAffinity && [antiAffinity],
        spread: spread && [spread],
      };
      const podSet = { count, request: [cpu, memory, 1, gpu ?? 0], podClass, rules: ruled ? rules : undefined };
      const licences = licence === undefined ? undefined : { matlab: licence };
      const input = { id: 0, user: "ada", queues: ["a"], podSets: [podSet], licences, ...rest } as JobInput;
      return { runShare, input };
    });
}

function cases(kind: Parameters<typeof jobsOf>[0]): fc.Arbitrary<Case> {
  return fc
    .record({
      nodes,
      jobs: fc.array(jobsOf(kind), { minLength: 1, maxLength: 12 }),
      licences: fc.integer({ min: 0, max: 4 }),
      depth: fc.constantFrom(1, 0, 2, -1),
    })
    .map((all): Case => {
      const sorted = all.jobs.toSorted((a, b) => a.input.submitTime - b.input.submitTime);
      const jobs: Case["jobs"] = [];
      for (const [index, { input, runShare }] of sorted.entries()) {
        jobs.push({ runShare, input: { ...input, id: index + 10 } });
      }
      return { nodes: all.nodes, licences: all.licences, depth: all.depth, jobs };
    });
}

const oneOf = (...kinds: Kind[]): fc.Arbitrary<Case> => fc.oneof(...kinds.map(cases));

function stateOf(all: Case): ClusterState {
  const state = createClusterState({
    resources,
    matches,
    devices: ["gpu"],
    policy: { reservationDepth: all.depth },
  });
  state.putQueue({ name: "a" });
  state.setTopology(levels);
  state.setLicences({ matlab: all.licences });
  for (const node of all.nodes) state.putNode(node);
  if (all.maintenance !== undefined) state.putReservation(all.maintenance);
  return state;
}

interface Running {
  start: Start;
  input: JobInput;
  end: number;
}

/** Plays a case to its end; `look` sees each decision, with what runs after it. */
function play(
  all: Case,
  look: (at: { state: ClusterState; decisions: Decisions; running: Running[]; now: number }) => void,
): ClusterState {
  const state = stateOf(all);
  const arrivals = all.jobs.slice();
  let running: Running[] = [];
  let wake: number | undefined;
  for (let step = 0; ; step += 1) {
    assert.ok(step < 2000, "the case ends");
    const next = [arrivals[0]?.input.submitTime, wake, ...running.map(({ end }) => end)];
    const now = Math.min(...next.map((time) => time ?? Infinity));
    if (now === Infinity) return state;
    for (const { start } of running.filter(({ end }) => end <= now)) state.endJob(start.job, now, { ok: true });
    running = running.filter(({ end }) => end > now);
    while (arrivals[0]?.input.submitTime === now) state.addJob(arrivals.shift()!.input);
    const decisions = decide(state, now);
    for (const start of decisions.starts) {
      const { input, runShare } = all.jobs.find((job) => job.input.id === start.job)!;
      running.push({ start, input, end: now + Math.max(1, Math.floor(input.wallTimeSeconds * runShare)) });
    }
    look({ state, decisions, running, now });
    wake = decisions.nextWake;
  }
}

function domainOf(all: Case, node: string, keys: readonly string[]): string | undefined {
  const { domains } = all.nodes.find(({ name }) => name === node)!;
  const values = keys.map((key) => domains?.[key]);
  return values.includes(undefined) ? undefined : values.join("/");
}

function grantsOf(start: Start): { node: string; grant: PodGrant | null }[] {
  return start.nodes.flatMap((set, index) =>
    set.map((node, pod) => ({ node, grant: start.grants?.[index]?.[pod] ?? null })),
  );
}

function checkDevices(all: Case, running: Running[]): void {
  const used = new Map<string, number>();
  const cores = new Set<string>();
  const licences = running.reduce((sum, { input }) => sum + (input.licences?.["matlab"] ?? 0), 0);
  assert.ok(licences <= all.licences, "no more licences than there are");
  const ofDomain = new Map<string, number[]>();
  for (const { start, input } of running) {
    const { request } = input.podSets[0]!;
    const gpu = request[3]!;
    for (const { node, grant } of grantsOf(start)) {
      assert.equal(grant !== null, gpu > 0 || input.numa === true);
      const [device] = grant?.devices ?? [];
      assert.equal(device?.ids.length ?? 0, gpu === 0 ? 0 : Math.max(1, gpu / 1000));
      for (const id of device?.ids ?? []) {
        const key = `${node}/${id}`;
        used.set(key, (used.get(key) ?? 0) + Math.min(gpu, 1000));
        assert.ok(used.get(key)! <= 1000, `device ${key} holds ${used.get(key)}`);
        assert.ok(id < all.nodes.find(({ name }) => name === node)!.capacity[3]! / 1000);
        if (input.numa === true) assert.equal(grant!.numa, id % 2);
      }
      if (input.numa !== true) continue;
      assert.equal(grant?.cores?.length, Math.ceil(request[0]! / 1000));
      for (const core of grant!.cores!) {
        assert.equal(Math.floor(core / 4), grant!.numa);
        assert.ok(!cores.has(`${node}/${core}`), "a core is one pod's");
        cores.add(`${node}/${core}`);
      }
      const key = `${node}/${grant!.numa}`;
      const sum = ofDomain.get(key) ?? [0];
      sum[0]! += request[1]!;
      ofDomain.set(key, sum);
      assert.ok(sum[0]! <= 4, "the memory of a domain");
    }
  }
}

function checkAmounts(all: Case, running: Running[]): void {
  for (const { name, capacity } of all.nodes) {
    const sums = capacity.map(() => 0);
    for (const { start, input } of running) {
      const pods = start.nodes.flat().filter((node) => node === name).length;
      for (const [index, each] of input.podSets[0]!.request.entries()) sums[index]! += pods * each;
    }
    for (const [index, sum] of sums.entries()) assert.ok(sum <= capacity[index]!, `${resources[index]} of ${name}`);
  }
}

function checkTopology(all: Case, starts: readonly Start[]): void {
  for (const { job, nodes: placed } of starts) {
    const { topology } = all.jobs.find(({ input }) => input.id === job)!.input;
    if (topology?.mode !== "Required") continue;
    const keys = levels.slice(0, levels.indexOf(topology.level) + 1);
    const found = new Set(placed.flat().map((node) => domainOf(all, node, keys)));
    assert.ok(found.size === 1 && !found.has(undefined), `job ${job} in ${[...found].join()}`);
  }
}

/** Starts of one decision come one after the other. */
function checkRules(all: Case, running: Running[], starts: readonly Start[]): void {
  const pods = running.flatMap(({ start, input }) =>
    start.nodes.flat().map((node) => ({ job: String(input.id), node, set: input.podSets[0]! })),
  );
  const order = starts.map(({ job }) => String(job));
  const nodes = all.nodes.map(({ name }) => name);
  checkPodRules({ pods, order, nodes, matches, domainOf: (node, key) => domainOf(all, node, [key]) });
}

/** Also what is looked at of each decision must hold. */
function neverDelayed(all: Case, look: Parameters<typeof play>[1] = () => {}): void {
  const promised = new Map<number, number>();
  play(all, (at) => {
    const { decisions } = at;
    for (const { job, startTime } of decisions.reservations) {
      assert.ok(startTime <= (promised.get(job) ?? Infinity), `job ${job}: ${startTime} after ${promised.get(job)}`);
      promised.set(job, startTime);
    }
    assert.deepEqual(decisions.unreserved, []);
    for (const { job, startTime } of decisions.starts) assert.ok(startTime <= (promised.get(job) ?? Infinity));
    look(at);
  });
}

law(
  "where devices, domains, licences or pods matter, a reservation once given is never delayed",
  fc.property(oneOf("Topology", "Devices", "Apart"), (all) => neverDelayed(all)),
);

/** As foretold after the first decision, if all come at once and none ends early. */
function startAsExpected(any: Case): void {
  const jobs = any.jobs.map(({ input }) => ({ runShare: 1, input: { ...input, submitTime: 0 } }));
  let expected: Map<number, number> | undefined;
  const started = new Map<number, number>();
  play({ ...any, jobs }, ({ state, decisions, now }) => {
    for (const { job } of decisions.starts) started.set(job, now);
    if (expected !== undefined) return;
    const { starts, complete } = forecast(state, now);
    assert.ok(complete);
    expected = new Map(starts.map(({ job, time }) => [job, time]));
  });
  for (const [job, time] of expected!) assert.equal(started.get(job), time, `job ${job}`);
}

law(
  "where devices, domains, licences or pods matter, an expected start is exact",
  fc.property(oneOf("Topology", "Devices", "Apart"), startAsExpected),
);

const window: fc.Arbitrary<AdvanceReservationInput> = fc.record({
  name: fc.constant("service"),
  startTime: fc.integer({ min: 0, max: 40 }),
  durationSeconds: amount(20),
  nodes: fc.subarray(["n0", "n1", "n2", "n3", "n4"], { minLength: 1 }),
  maintenance: fc.constant(true),
});

law(
  "placement: nothing runs in a maintenance, beside which nothing is over-committed and no reservation delayed",
  fc.property(oneOf("Topology", "Devices", "Apart"), window, (some, maintenance) => {
    const all = { ...some, maintenance };
    neverDelayed(all, ({ running, decisions }) => {
      checkAmounts(all, running);
      checkDevices(all, running);
      checkTopology(all, decisions.starts);
      for (const { start } of running) {
        if (!start.nodes.flat().some((node) => maintenance.nodes!.includes(node))) continue;
        const isOutside =
          start.endTime <= maintenance.startTime ||
          start.startTime >= maintenance.startTime + maintenance.durationSeconds;
        assert.ok(isOutside, `job ${start.job} from ${start.startTime} to ${start.endTime}`);
      }
    });
  }),
);

law(
  "placement: expected starts know a maintenance",
  fc.property(oneOf("Topology", "Devices", "Apart"), window, (some, maintenance) =>
    startAsExpected({ ...some, maintenance }),
  ),
);

law(
  "no whole device is broken where what is left of shared ones would do",
  fc.property(
    fc.array(
      fc.record({
        cpu: amount(4),
        devices: fc.array(fc.constantFrom(0, 250, 300, 500, 700, 1000), { minLength: 1, maxLength: 3 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    fc.record({ count: amount(3), gpu: fc.constantFrom(250, 300, 400, 500, 600) }),
    fc.constantFrom("Pack" as const, "Spread" as const),
    (clusters, { count, gpu }, placement) => {
      const state = createClusterState({ resources, devices: ["gpu"] });
      state.putQueue({ name: "a", placement });
      const job = { user: "ada", queues: ["a"], submitTime: 0, wallTimeSeconds: 10 };
      let id = 0;
      for (const [index, { cpu, devices }] of clusters.entries()) {
        const name = `n${index}`;
        state.putNode({ name, capacity: [cpu, 8, 20, devices.length * 1000], nodeClass: "node", state: "Up" });
        for (const [device, free] of devices.entries()) {
          if (free === 1000) continue;
          state.addJob({ ...job, id, podSets: [{ count: 1, request: [0, 0, 1, 1000 - free] }] });
          const grants = [[{ devices: [{ resource: "gpu", ids: [device], amount: 1000 - free }] }]];
          state.startJob(id, { nodes: [[name]], grants, startTime: 0, endTime: 20 });
          id += 1;
        }
      }
      state.addJob({ ...job, id, podSets: [{ count, request: [1, 1, 1, gpu] }] });
      const [start] = decide(state, 0).starts;
      const best = mostWhole(
        clusters.map(({ cpu, devices }) => ({ cpu, devices: devices.slice() })),
        gpu,
        count,
      );
      assert.equal(start === undefined, best === undefined);
      if (start === undefined) return;
      for (const { node, grant } of grantsOf(start)) {
        const { devices } = clusters[Number(node.slice(1))]!;
        devices[grant!.devices![0]!.ids[0]!]! -= gpu;
      }
      const whole = clusters.flatMap(({ devices }) => devices).filter((free) => free === 1000).length;
      assert.equal(whole, best);
    },
  ),
);

/** By trying every device for every pod. */
function mostWhole(clusters: { cpu: number; devices: number[] }[], gpu: number, count: number): number | undefined {
  if (count === 0) return clusters.flatMap(({ devices }) => devices).filter((free) => free === 1000).length;
  let best: number | undefined;
  for (const cluster of clusters) {
    if (cluster.cpu < 1) continue;
    for (const [device, free] of cluster.devices.entries()) {
      if (free < gpu) continue;
      cluster.cpu -= 1;
      cluster.devices[device]! -= gpu;
      const found = mostWhole(clusters, gpu, count - 1);
      if (found !== undefined && found > (best ?? -1)) best = found;
      cluster.cpu += 1;
      cluster.devices[device]! += gpu;
    }
  }
  return best;
}

law(
  "placement: no device, domain, node or licence is over-committed, required domains and rules hold",
  fc.property(oneOf("Topology", "Devices", "Rules", "All"), (all) => {
    const state = play(all, ({ running, decisions, state: at, now }) => {
      checkAmounts(all, running);
      checkDevices(all, running);
      checkTopology(all, decisions.starts);
      checkRules(all, running, decisions.starts);
      for (const { input } of all.jobs) explain(at, input.id, now);
    });
    for (const { input } of all.jobs) {
      const reason = state.reason(input.id);
      const known = [undefined, "NodesUnavailable", "Licenses", "PodAffinity"];
      // Without reservations nobody asks when there might be room beside the pods that it wants.
      const wants = all.jobs.some((job) => job.input.podSets[0]!.rules?.affinity !== undefined);
      if (all.depth === 0 && wants) known.push("Resources", "Priority");
      assert.ok(known.includes(reason), `at rest job ${input.id} waits for ${reason}`);
    }
    for (const node of (state as ClusterStore).table.nodes) {
      assert.deepEqual(node.timeline.free.slice(-node.timeline.width), node.capacity, "all is given back");
    }
  }),
);

law(
  "placement: the same input gives the same output, and a copy decides as its original",
  fc.property(oneOf("Topology", "Devices", "Rules", "All"), (all) => {
    const log: Decisions[] = [];
    play(all, ({ decisions, state, now }) => {
      log.push(decisions);
      const copy = (state as ClusterStore).copy();
      const before = decide((state as ClusterStore).copy(), now + 1);
      assert.deepEqual(decide(copy, now + 1), before);
    });
    let index = 0;
    play(all, ({ decisions }) => {
      assert.deepEqual(decisions, log[index]);
      index += 1;
    });
  }),
);

law(
  "placement: a state kept by change decides as one built anew",
  fc.property(oneOf("Topology", "Devices", "Rules", "All"), fc.integer({ min: 0, max: 40 }), (all, stopAt) => {
    let step = 0;
    play(all, ({ state, running, now }) => {
      step += 1;
      if (step !== stopAt) return;
      const anew = stateOf(all) as ClusterStore;
      anew.tick(now);
      for (const { input } of all.jobs) if (state.has(input.id)) anew.addJob(input);
      for (const { start } of running) anew.startJob(start.job, start);
      const kept = (state as ClusterStore).copy();
      for (const one of [anew, kept]) one.setPolicy({});
      assert.deepEqual(decide(anew, now).starts, decide(kept, now).starts);
      assert.deepEqual(anew.reservations(), kept.reservations());
      for (const { input } of all.jobs) assert.equal(anew.reason(input.id), kept.reason(input.id));
    });
  }),
);

law(
  "placement: the first that waits could not start",
  fc.property(oneOf("Topology", "Devices", "Rules", "All"), (any) => {
    const all = { ...any, depth: 1 };
    play(all, ({ state, decisions, running, now }) => {
      // A pod that came with this decision may be what affinity asks for: it is looked at a second later.
      if (decisions.starts.length > 0) return;
      const first = all.jobs.find(({ input }) => {
        const reason = state.reason(input.id);
        return reason === "Resources" || reason === "Licenses" || reason === "Priority";
      });
      if (first === undefined) return;
      const { input } = first;
      assert.notEqual(state.reason(input.id), "Priority");
      assert.ok(!couldStart(all, running, input), `job ${input.id} could start at ${now}`);
    });
  }),
);

interface Free {
  amounts: number[];
  devices: number[];
  domains: { cpu: number; memory: number }[];
  empty: boolean;
}

function freeOn(running: Running[], { name, capacity, numa }: NodeInput): Free {
  const free: Free = {
    amounts: capacity.slice(),
    devices: Array.from({ length: capacity[3]! / 1000 }, () => 1000),
    domains: (numa ?? []).map(() => ({ cpu: 4000, memory: 4 })),
    empty: true,
  };
  for (const { start, input } of running) {
    const { request } = input.podSets[0]!;
    for (const { node, grant } of grantsOf(start)) {
      if (node !== name) continue;
      free.empty = false;
      if (input.exclusive === true) free.amounts = capacity.map(() => -1);
      const cpu = input.numa === true ? Math.ceil(request[0]! / 1000) * 1000 : request[0]!;
      for (const [index, each] of [cpu, ...request.slice(1)].entries()) free.amounts[index]! -= each;
      for (const id of grant?.devices?.[0]?.ids ?? []) free.devices[id]! -= Math.min(request[3]!, 1000);
      if (grant?.numa === undefined) continue;
      free.domains[grant.numa]!.cpu -= cpu;
      free.domains[grant.numa]!.memory -= request[1]!;
    }
  }
  return free;
}

/** Pods that a node holds, each put where it first fits: exact, for all are equal. */
function podsOnNode(free: Free, input: JobInput): number {
  const [cpu, memory, , gpu] = input.podSets[0]!.request as [number, number, number, number];
  const asked = [input.numa === true ? Math.ceil(cpu / 1000) * 1000 : cpu, memory, 1, gpu];
  if (input.exclusive === true && !free.empty) return 0;
  for (let pods = 0; ; pods += 1) {
    if (pods === input.podSets[0]!.count || asked.some((amount, index) => free.amounts[index]! < amount)) return pods;
    const domains = input.numa === true ? free.domains.map((_, index) => index) : [undefined];
    const needed = gpu === 0 ? 0 : Math.max(1, gpu / 1000);
    const found = domains.some((domain) => {
      const own = domain === undefined ? undefined : free.domains[domain]!;
      if (own !== undefined && (own.cpu < asked[0]! || own.memory < memory)) return false;
      const fits = free.devices.flatMap((left, id) =>
        left >= Math.min(gpu, 1000) && (domain === undefined || id % 2 === domain) ? [id] : [],
      );
      if (fits.length < needed) return false;
      for (const id of fits.slice(0, needed)) free.devices[id]! -= Math.min(gpu, 1000);
      if (own !== undefined) {
        own.cpu -= asked[0]!;
        own.memory -= memory;
      }
      return true;
    });
    if (!found) return pods;
    for (const [index, amount] of asked.entries()) free.amounts[index]! -= amount;
  }
}

/** By trying everything: of gangs with rules only those of few pods and one rule, which is what is promised. */
function couldStart(all: Case, running: Running[], input: JobInput): boolean {
  const used = running.reduce((sum, one) => sum + (one.input.licences?.["matlab"] ?? 0), 0);
  if (used + (input.licences?.["matlab"] ?? 0) > all.licences) return false;
  const { count, podClass, rules } = input.podSets[0]!;
  const { topology } = input;
  const keys = topology?.mode === "Required" ? levels.slice(0, levels.indexOf(topology.level) + 1) : [];
  const room = all.nodes.flatMap((node) => {
    const pods = podsOnNode(freeOn(running, node), input);
    const domain = keys.length === 0 ? "" : domainOf(all, node.name, keys);
    return pods > 0 && domain !== undefined ? [{ name: node.name, pods, domain }] : [];
  });
  const isRuled = podClass !== undefined || rules !== undefined;
  const ofOthers = running.some((one) => one.input.podSets[0]!.rules?.antiAffinity !== undefined);
  const number = [rules?.affinity, rules?.antiAffinity, rules?.spread].filter((one) => one !== undefined).length;
  if (isRuled && count > 1 && (count > 3 || number + (ofOthers ? 1 : 0) > 1)) return false;
  for (const domain of new Set(room.map((one) => one.domain))) {
    const mine = room.filter((one) => one.domain === domain);
    if (mine.reduce((sum, { pods }) => sum + pods, 0) < count) continue;
    if (!isRuled) return true;
    for (const placed of choices(mine, count)) {
      const start: Start = { job: input.id, queue: "a", nodes: [placed], startTime: 0, endTime: 1, wallTimeSeconds: 1 };
      try {
        checkRules(all, [...running, { start, input, end: 1 }], [start]);
        return true;
      } catch {
        continue;
      }
    }
  }
  return false;
}

function* choices(room: { name: string; pods: number }[], count: number): IterableIterator<string[]> {
  const [first, ...rest] = room;
  if (count === 0) yield [];
  if (count === 0 || first === undefined) return;
  for (let pods = 0; pods <= Math.min(first.pods, count); pods += 1) {
    for (const others of choices(rest, count - pods))
      yield [...Array.from({ length: pods }, () => first.name), ...others];
  }
}
