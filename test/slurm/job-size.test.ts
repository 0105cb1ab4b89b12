/** The job size factor of priority beside real Slurm's: the same nodes and jobs. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createClusterState, explainPriority } from "@berth/scheduling";
import { missing, SlurmLab } from "./lab.ts";

const skip = missing() ?? false;
/** Beside n1 of 64 CPUs nodes that never come up, which count all the same. */
const lab = new SlurmLab(`PriorityWeightJobSize=1000000
NodeName=x[1-3] NodeAddr=127.0.0.1 Port=1 CPUs=16 RealMemory=1000
PartitionName=all Nodes=ALL Default=YES MaxTime=10 State=UP OverSubscribe=NO
PartitionName=off Nodes=ALL MaxTime=10 State=DOWN`);

before(async () => {
  if (skip === false) await lab.start();
});
after(() => lab[Symbol.asyncDispose]());

/** Tasks of so many CPUs, on so many nodes. */
const jobs = [
  { options: ["-n1"], tasks: 1, cpus: 1 },
  { options: ["-n1", "-c16"], tasks: 1, cpus: 16 },
  { options: ["-n8"], tasks: 8, cpus: 1 },
  { options: ["-N2", "-n2"], tasks: 2, cpus: 1, nodes: 2 },
  { options: ["-N4", "--ntasks-per-node=4"], tasks: 16, cpus: 1, nodes: 4 },
  { options: ["-N3", "-n3", "-c16"], tasks: 3, cpus: 16, nodes: 3 },
];

test("job sizes are those that sprio prints", { skip }, async () => {
  const ids = jobs.map(({ options }) => lab.run("sbatch", ["--parsable", "-poff", ...options, "--wrap=true"]).trim());
  await lab.ready();
  const rows = lab.run("sprio", ["-h", "-n", "-o", "%i %j"]).trim().split("\n");
  const printed = new Map(rows.map((row) => row.trim().split(/\s+/) as [string, string]));
  const state = createClusterState({ resources: ["cpu"], policy: { priority: { weights: { jobSize: 1_000_000 } } } });
  state.putQueue({ name: "off", state: "Down" });
  for (const [name, cpus] of Object.entries({ n1: 64, x1: 16, x2: 16, x3: 16 })) {
    state.putNode({ name, capacity: [cpus * 1000], nodeClass: "", state: "Up" });
  }
  for (const [index, { options, tasks, cpus, nodes }] of jobs.entries()) {
    state.addJob({
      id: index,
      user: "root",
      queues: ["off"],
      submitTime: 0,
      podSets: [{ count: tasks, request: [cpus * 1000] }],
      podsPerNode: nodes === undefined ? undefined : Math.ceil(tasks / nodes),
      wallTimeSeconds: 600,
    });
    const own = explainPriority(state, index, 0)!.factors.jobSize;
    const theirs = Number(printed.get(ids[index]!));
    assert.ok(Math.abs(own - theirs) < 1e-6, `${options.join(" ")}: ${own}, sprio prints ${theirs}`);
  }
});
