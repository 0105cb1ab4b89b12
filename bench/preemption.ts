/**
 * What preemption and advance reservations cost the core, at four sizes: CPU milliseconds of one thread.
 * `node bench/preemption.ts`
 */
import { createClusterState, decide } from "@berth/scheduling";
import type { ClusterState, JobInput, Preemption } from "@berth/scheduling";

const cpuMilliseconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

function measured(work: () => void): number {
  const before = cpuMilliseconds();
  work();
  return Math.round((cpuMilliseconds() - before) * 10) / 10;
}

function cluster(nodes: number): ClusterState {
  const state = createClusterState({ resources: ["cpu", "memory", "pods"], policy: { reservationDepth: 100 } });
  state.putQueue({ name: "research", tier: 2 });
  state.putQueue({ name: "students", tier: 1, preemptMode: "Requeue", graceSeconds: 30 });
  for (let index = 0; index < nodes; index += 1) {
    state.putNode({ name: `n${index}`, capacity: [10_000, 1000, 110], nodeClass: "", state: "Up" });
  }
  return state;
}

const job = (id: number, queue: string, cpus: number, pods: number, more: Partial<JobInput> = {}): JobInput => ({
  id,
  user: `u${id}`,
  queues: [queue],
  submitTime: 0,
  podSets: [{ count: pods, request: [cpus * 1000, 10, 1] }],
  wallTimeSeconds: 3600,
  ...more,
});

/** All nodes full of single-cpu tasks of 500 classes; then others need nodes. */
function preemption(nodes: number): Record<string, number> {
  const state = cluster(nodes);
  const tasks = Math.floor((nodes * 10) / 500);
  for (let id = 1; id <= 500; id += 1) {
    const more = { wallTimeSeconds: 3600 + id, array: { pending: [[0, tasks - 1]] as const } };
    state.addJob(job(id, "students", 1, 1, more));
  }
  const fill = measured(() => decide(state, 0));
  const preempted: Preemption[] = [];
  const preempt = (now: number): number => measured(() => preempted.push(...decide(state, now).preemptions));
  state.addJob(job(1001, "research", 4, 1));
  const one = preempt(100);
  state.addJob(job(1002, "research", 10, 1, { array: { pending: [[0, 99]] } }));
  const hundred = preempt(101);
  state.addJob(job(1003, "research", 10, 64));
  const gang = preempt(102);
  const victims = preempted.length;
  for (const { job: id, task } of preempted) state.endJob(id, 102, { task, ok: false, requeue: true });
  const claimed = preempt(102);
  state.addJob(job(1004, "research", 10, nodes));
  const vain = preempt(103);
  const after = measured(() => decide(state, 104));
  return {
    fill,
    "one job": one,
    "100 whole nodes": hundred,
    "gang of 64": gang,
    claimed,
    "in vain": vain,
    after,
    victims,
  };
}

/** 50,000 jobs in 500 classes before a maintenance of all nodes and a daily reservation of some; then one arrival at a time. */
function reservations(nodes: number): Record<string, number> {
  const state = cluster(nodes);
  state.putReservation({ name: "service", startTime: 86_400, durationSeconds: 3600, maintenance: true });
  const daily = { startTime: 40_000, durationSeconds: 3600, everySeconds: 86_400 };
  state.putReservation({ name: "course", ...daily, nodeCount: Math.ceil(nodes / 50), users: ["ada"] });
  let id = 0;
  for (let index = 0; index < 50_000; index += 1) {
    const kind = index % 500;
    id += 1;
    state.addJob(job(id, "research", 1 + (kind % 5), 1, { wallTimeSeconds: 3600 + 360 * kind, user: "ada" }));
  }
  const first = measured(() => decide(state, 0));
  const costs: number[] = [];
  for (let index = 1; index <= 41; index += 1) {
    id += 1;
    state.addJob(job(id, "research", 1, 1, { submitTime: 10 * index, user: "ada" }));
    costs.push(measured(() => decide(state, 10 * index)));
  }
  costs.sort((a, b) => a - b);
  return { first, "after an arrival, median": costs[20]!, most: costs[40]! };
}

for (const measure of [preemption, reservations]) {
  process.stdout.write(`${measure.name}\n`);
  console.table(Object.fromEntries([1250, 2500, 5000, 10_000].map((nodes) => [`${nodes} nodes`, measure(nodes)])));
}
