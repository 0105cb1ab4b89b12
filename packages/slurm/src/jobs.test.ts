import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Pod, pendingReasons, type Workload, activePhases, finalPhases, pendingPhases } from "@berth/kinds";
import { compressCounts, jobEnvironment } from "./environment.ts";
import { expandFileName, jobFiles } from "./file-names.ts";
import { jobRows, runningElements } from "./job-rows.ts";
import { reasons, reasonsDocument, slurmReason } from "./reasons.ts";
import { commandsDocument, sbatchDocument, sbatchSummaries } from "./sbatch-reference.ts";
import { sbatchOptions } from "./options.ts";
import { formatJobId } from "./job-ids.ts";
import { formatExitCode, jobStateOf, parseJobState, phaseOf } from "./states.ts";
import { readSbatchCommandLine, resolveSbatch } from "./sbatch-options.ts";
import { toSubmission } from "./to-workload.ts";

function workload(words: string[], status: Workload["status"] = {}): Workload {
  const resolved = resolveSbatch(readSbatchCommandLine(words), { environment: {}, nowSeconds: 0 });
  const { workload: made } = toSubmission(resolved, {
    user: "alice",
    workingDirectory: "/home/alice",
    host: "vm",
    environment: {},
    nowSeconds: 0,
    umask: 0o22,
    script: "#!/bin/sh\n",
    arguments: [],
    nameSuffix: "x",
  });
  made.status = {
    jobId: 241,
    queue: "debug",
    account: "accta",
    identity: { user: "alice", uid: 1001, gid: 1001, groups: [] },
    ...status,
  };
  return made;
}

test("the environment of a plain job is Slurm's", () => {
  const environment = jobEnvironment(workload(["--wrap", "env"]), {
    attempt: 1,
    nodes: ["n1"],
    clusterName: "local",
    defaultMemoryPerCpuBytes: 100 * 1024 ** 2,
  });
  // What is not here: the node's configuration, its network, and the process id that only the node knows.
  const observed = `ENVIRONMENT=BATCH
HOSTNAME=n1
SLURMD_NODENAME=n1
SLURM_CLUSTER_NAME=local
SLURM_CPUS_ON_NODE=1
SLURM_GTIDS=0
SLURM_JOBID=241
SLURM_JOB_ACCOUNT=accta
SLURM_JOB_CPUS_PER_NODE=1
SLURM_JOB_GID=1001
SLURM_JOB_ID=241
SLURM_JOB_NAME=wrap
SLURM_JOB_NODELIST=n1
SLURM_JOB_NUM_NODES=1
SLURM_JOB_PARTITION=debug
SLURM_JOB_QOS=normal
SLURM_JOB_UID=1001
SLURM_JOB_USER=alice
SLURM_LOCALID=0
SLURM_MEM_PER_CPU=100
SLURM_NNODES=1
SLURM_NODEID=0
SLURM_NODELIST=n1
SLURM_PRIO_PROCESS=0
SLURM_PROCID=0
SLURM_SUBMIT_HOST=vm
SLURM_TASKS_PER_NODE=1
SLURM_TOPOLOGY_ADDR=n1
SLURM_TOPOLOGY_ADDR_PATTERN=node
TMPDIR=/tmp`;
  assert.deepEqual(
    Object.entries(environment)
      .filter(([name]) => !name.startsWith("BERTH_"))
      .map(([name, value]) => `${name}=${value}`)
      .toSorted(),
    observed.split("\n").toSorted(),
  );
});

function of(words: string[], given: Partial<Parameters<typeof jobEnvironment>[1]> = {}): Record<string, string> {
  return jobEnvironment(workload([...words, "--wrap", "env"]), { attempt: 1, nodes: ["n1"], ...given });
}

test("variables that say what was asked are there only when it was", () => {
  const two = of(["-N2", "-n6", "--ntasks-per-node=3", "-c1", "-t5", "-J", "nm"], { nodes: ["n1", "n2"] });
  assert.equal(two.SLURM_JOB_CPUS_PER_NODE, "3(x2)");
  assert.equal(two.SLURM_TASKS_PER_NODE, "3(x2)");
  assert.equal(two.SLURM_CPUS_PER_TASK, "1");
  assert.equal(two.SLURM_NTASKS, "6");
  assert.equal(two.SLURM_NPROCS, "6");
  assert.equal(two.SLURM_NTASKS_PER_NODE, "3");
  assert.equal(two.SLURM_JOB_NODELIST, "n[1-2]");
  const memory = of(["-n2", "-c2", "--mem=512M", "-N1"]);
  assert.equal(memory.SLURM_MEM_PER_NODE, "512");
  assert.equal(memory.SLURM_MEM_PER_CPU, undefined);
  assert.equal(memory.SLURM_CPUS_ON_NODE, "4");
  const uneven = of(["-N2", "-n3"], { nodes: ["n1", "n2"], nodeIndex: 1 });
  assert.equal(uneven.SLURM_TASKS_PER_NODE, "2,1");
  assert.equal(uneven.SLURM_GTIDS, "2");
  assert.equal(uneven.SLURM_CPUS_ON_NODE, "1");
  const perNode = of(["-N1", "--ntasks-per-node=2"]);
  assert.equal(perNode.SLURM_NTASKS, "2");
  assert.equal(perNode.SLURM_NPROCS, perNode.SLURM_NTASKS);
  const whole = of(["--exclusive"], { cpusPerNode: [4] });
  assert.equal(whole.SLURM_JOB_CPUS_PER_NODE, "4");
  assert.equal(whole.SLURM_TASKS_PER_NODE, "4");
  assert.equal(of(["--gres=gpu:2"]).SLURM_GPUS_ON_NODE, "2");
  assert.equal(of([]).SLURM_NTASKS, undefined);
  assert.equal(of([]).SLURM_RESTART_COUNT, undefined);
  assert.equal(of([], { attempt: 2 }).SLURM_RESTART_COUNT, "1");
  const timed = of(["-t5"], { startTimeSeconds: 1000 });
  assert.equal(timed.SLURM_JOB_START_TIME, "1000");
  assert.equal(timed.SLURM_JOB_END_TIME, "1300");
  assert.equal(compressCounts([3, 3, 1]), "3(x2),1");
});

test("variables of arrays", () => {
  const environment = jobEnvironment(workload(["-a", "3-7:2%1", "--wrap", "x"], { jobId: 251 }), {
    task: 5,
    attempt: 1,
    nodes: ["n1"],
  });
  const variables = Object.fromEntries(Object.entries(environment).filter(([name]) => name.startsWith("SLURM_ARRAY")));
  assert.deepEqual(variables, {
    SLURM_ARRAY_JOB_ID: "251",
    SLURM_ARRAY_TASK_ID: "5",
    SLURM_ARRAY_TASK_COUNT: "3",
    SLURM_ARRAY_TASK_MIN: "3",
    SLURM_ARRAY_TASK_MAX: "7",
    SLURM_ARRAY_TASK_STEP: "2",
  });
  assert.equal(environment.SLURM_JOB_ID, "256");
});

test("file names", () => {
  const values = { jobId: 258, arrayJobId: 258, jobName: "jn", user: "alice", node: "vm.example.org" };
  assert.equal(
    expandFileName("o.%j.%A.%a.%x.%u.%N.%n.%t.%s.%J.%%.%8j", values),
    "o.258.258.4294967294.jn.alice.vm.0.0.batch.258.%.00000258",
  );
  assert.equal(
    expandFileName("a.%A.%a.%j.%4a", { ...values, jobId: 260, arrayJobId: 259, task: 1 }),
    "a.259.1.260.0001",
  );
  assert.equal(expandFileName("\\\\%j", values), "\\%j");
  assert.equal(expandFileName("%q%", values), "%q%");
  const files = jobFiles(
    workload(["-a0-3", "-e", "/abs/%a", "-i", "in", "-D", "sub", "--wrap", "x"], { jobId: 10 }),
    2,
    "n1",
  );
  assert.deepEqual(files, {
    workingDirectory: "/home/alice/sub",
    standardOutput: "/home/alice/sub/slurm-10_2.out",
    standardError: "/abs/2",
    standardInput: "/home/alice/sub/in",
    openMode: "Truncate",
  });
});

test("rows of squeue from Workloads", () => {
  const now = Date.UTC(2026, 10, 21, 23, 20, 20) / 1000;
  const pending = workload(["-N2", "-c2", "--mem=1G", "-d", "afterok:7", "--wrap", "x"], {
    phase: "Pending",
    reason: "Dependency",
    message: "needs 4 cpus",
    estimatedStart: "2026-11-21T23:30:00Z",
    wallTimeSeconds: 600,
  });
  const [row] = jobRows(pending, now);
  assert.deepEqual(
    [row!.state, row!.reason, row!.nodeCount, row!.cpus, row!.memoryBytes, row!.dependency, row!.elapsedSeconds],
    ["PENDING", "Dependency", 2, 4, 1024 ** 3, "afterok:7(unfulfilled)", 0],
  );
  assert.equal(row!.endTime! - row!.startTime!, 600);

  // What has come true is no longer waited for.
  pending.status!.reason = "Resources";
  assert.equal(jobRows(pending, now)[0]!.dependency, undefined);

  const running = workload(["--wrap", "x"], {
    phase: "Running",
    reason: "Resources",
    startTime: "2026-11-21T23:20:00Z",
    nodes: ["n1"],
  });
  const [live] = jobRows(running, now);
  assert.deepEqual([live!.state, live!.reason, live!.elapsedSeconds, live!.nodes], ["RUNNING", "None", 20, ["n1"]]);

  const array = workload(["-a", "0-9%2", "--wrap", "x"], {
    jobId: 348,
    phase: "Running",
    reason: "ArrayTaskLimit",
    array: { pending: "2-9", running: "0-1", succeeded: "", failed: "" },
  });
  const rows = jobRows(array, now, [
    { task: 0, nodes: ["n3"], startSeconds: now - 2 },
    { task: 2, nodes: ["n4"] },
  ]);
  assert.deepEqual(
    rows.map((entry) => [formatJobId(entry), entry.jobId, entry.state, entry.reason, entry.nodes.join()]),
    [
      ["348_[3-9%2]", 348, "PENDING", "JobArrayTaskLimit", ""],
      ["348_0", 348, "RUNNING", "None", "n3"],
      ["348_2", 350, "RUNNING", "None", "n4"],
    ],
  );
  assert.deepEqual(jobRows(array, now).map(formatJobId), ["348_[2-9%2]", "348_0", "348_1"]);
  const fresh = jobRows(workload(["-a", "1-3", "--wrap", "x"], { jobId: 354, phase: "Pending" }), now);
  assert.deepEqual(fresh.map(formatJobId), ["354_[1-3]"]);
  const ended = workload(["-a", "1-3", "--wrap", "x"], {
    phase: "Succeeded",
    array: { pending: "", running: "", succeeded: "1,3", failed: "2" },
  });
  assert.deepEqual(
    jobRows(ended, now).map((entry) => [formatJobId(entry), entry.state]),
    [
      ["241_[1,3]", "COMPLETED"],
      ["241_[2]", "FAILED"],
    ],
  );
});

test("running elements from pods: the last attempt, nodes in order", () => {
  const pod = (name: string, task: number, attempt: number, node: string, phase: "Pending" | "Running" | "Failed") =>
    ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, annotations: { task: String(task), attempt: String(attempt) } },
      spec: { nodeName: node, containers: [] },
      status: { phase, startTime: "2026-11-21T23:20:00Z" },
    }) satisfies Pod;
  const elements = runningElements(
    [
      pod("w-t1-main-0-a1", 1, 1, "n1", "Failed"),
      pod("w-t1-main-0-a2", 1, 2, "n2", "Running"),
      pod("w-t1-worker-0-a2", 1, 2, "n3", "Running"),
      pod("w-t0-main-0-a1", 0, 1, "n4", "Pending"),
    ],
    ({ metadata }) => ({ task: Number(metadata.annotations!.task), attempt: Number(metadata.annotations!.attempt) }),
  );
  assert.deepEqual(
    elements.map(({ task, attempt, nodes, state }) => [task, attempt, nodes, state]),
    [
      [0, 1, ["n4"], "CONFIGURING"],
      [1, 2, ["n2", "n3"], undefined],
    ],
  );
});

test("every phase is a state, and every state reads back from both forms", () => {
  for (const phase of [...pendingPhases, ...activePhases, ...finalPhases]) {
    assert.equal(phaseOf(jobStateOf(phase)), phase);
  }
  assert.equal(parseJobState("pd"), "PENDING");
  assert.equal(parseJobState("OutOf"), undefined);
  assert.equal(parseJobState("out_of_memory"), "OUT_OF_MEMORY");
  assert.equal(formatExitCode({ state: "FAILED", exitCode: 255 }), "255:0");
  assert.equal(formatExitCode({ state: "TIMEOUT" }), "0:15");
});

test("every reason has Slurm's word and a sentence, and the reference page is current", () => {
  assert.deepEqual(Object.keys(reasons), [...pendingReasons]);
  assert.equal(slurmReason("NodeUnavailable", "n4"), "ReqNodeNotAvail, UnavailableNodes:n4");
  assert.equal(slurmReason(undefined), "None");
  assert.equal(
    page("reasons"),
    reasonsDocument(),
    "write the output of reasonsDocument() to docs/reference/reasons.md",
  );
});

test("every honoured option says what it does, and the reference page is current", () => {
  const honoured = sbatchOptions.filter(({ status }) => status === "honoured").map(({ name }) => name);
  assert.deepEqual(Object.keys(sbatchSummaries).toSorted(), honoured.toSorted());
  assert.equal(page("sbatch"), sbatchDocument(), "write the output of sbatchDocument() to docs/reference/sbatch.md");
  assert.equal(
    page("slurm-commands"),
    commandsDocument(),
    "write commandsDocument() to docs/reference/slurm-commands.md",
  );
});

function page(name: string): string {
  return readFileSync(new URL(`../../../docs/reference/${name}.md`, import.meta.url), "utf8");
}
