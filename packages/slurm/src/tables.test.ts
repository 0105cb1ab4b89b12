import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { AccountingRow, JobRow, NodeRow, PartitionRow } from "./rows.ts";
import { formatSacct } from "./sacct-format.ts";
import { selectJobs, sortJobs } from "./select-jobs.ts";
import { formatSinfo } from "./sinfo-format.ts";
import { formatSqueue } from "./squeue-format.ts";

// The transcripts were written in this zone.
before(() => {
  process.env["TZ"] = "UTC";
});

const at = (time: string, day = "2026-11-21") => Date.parse(`${day}T${time}Z`) / 1000;
const nowSeconds = at("23:21:20");

function job(given: Partial<JobRow> & Pick<JobRow, "jobId" | "name">): JobRow {
  return {
    user: "alice",
    account: "accta",
    partition: "debug",
    qos: "normal",
    state: "PENDING",
    reason: "Priority",
    elapsedSeconds: 0,
    timeLimitSeconds: 600,
    nodes: [],
    nodeCount: 1,
    cpus: 1,
    memoryBytes: 100 * 1024 ** 2,
    memoryPerCpu: true,
    nice: 0,
    restarts: 0,
    requeue: true,
    submitTime: at("23:21:13"),
    workingDirectory: "/home/alice",
    namespace: "alice",
    workload: given.name,
    ...given,
  };
}

const unavailable = "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions";
const jobs: JobRow[] = [
  job({
    jobId: 357,
    name: "train",
    partition: "gpu",
    cpus: 2,
    timeLimitSeconds: 1800,
    reason: unavailable,
    priority: 4352,
    comment: "exp 1",
    tresPerNode: "gres/gpu:1",
    startTime: at("23:36:00"),
    endTime: at("00:06:00", "2026-11-22"),
  }),
  job({
    jobId: 359,
    name: "tst",
    user: "bob",
    account: "acctb",
    state: "RUNNING",
    reason: "None",
    nodes: ["n3", "n4"],
    nodeCount: 2,
    cpus: 6,
    elapsedSeconds: 7,
    priority: 7697,
    startTime: at("23:21:13"),
    endTime: at("23:31:13"),
    workingDirectory: "/home/bob",
  }),
  job({
    jobId: 361,
    arrayJobId: 361,
    arrayTasks: "1-20",
    arrayMaxRunning: 3,
    name: "ar",
    priority: 4348,
    startTime: at("00:36:00", "2026-11-22"),
    endTime: at("00:46:00", "2026-11-22"),
  }),
  job({
    jobId: 358,
    name: "mpi",
    nodeCount: 2,
    cpus: 4,
    timeLimitSeconds: 1200,
    memoryBytes: 200 * 1024 ** 2,
    priority: 4370,
    command: "/home/alice/multi.sh",
    startTime: at("23:36:00"),
    endTime: at("23:56:00"),
  }),
  job({
    jobId: 360,
    name: "wait",
    nodeCount: 4,
    cpus: 4,
    timeLimitSeconds: 300,
    reason: "Resources",
    priority: 4395,
    exclusive: true,
    startTime: at("23:31:13"),
    endTime: at("23:36:13"),
  }),
];

const sorted = sortJobs(jobs, undefined);

test("squeue prints as Slurm does", () => {
  assert.equal(
    formatSqueue(sorted, { nowSeconds }),
    `             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)
               360     debug     wait    alice PD       0:00      4 (Resources)
               358     debug      mpi    alice PD       0:00      2 (Priority)
      361_[1-20%3]     debug       ar    alice PD       0:00      1 (Priority)
               359     debug      tst      bob  R       0:07      2 n[3-4]
               357       gpu    train    alice PD       0:00      1 (${unavailable})
`,
  );
  assert.equal(
    formatSqueue(selectJobs(sorted, { users: ["bob"] }), { nowSeconds, long: true }),
    `Sat Nov 21 23:21:20 2026
             JOBID PARTITION     NAME     USER    STATE       TIME TIME_LIMI  NODES NODELIST(REASON)
               359     debug      tst      bob  RUNNING       0:07     10:00      2 n[3-4]
`,
  );
  assert.equal(
    formatSqueue(sorted.slice(2, 4), { nowSeconds, format: "%.18i %.9P %.20j %.8u %.2t %.10M %.10l %.6D %.4C %R" }),
    `             JOBID PARTITION                 NAME     USER ST       TIME TIME_LIMIT  NODES CPUS NODELIST(REASON)
      361_[1-20%3]     debug                   ar    alice PD       0:00      10:00      1    1 (Priority)
               359     debug                  tst      bob  R       0:07      10:00      2    6 n[3-4]
`,
  );
  assert.equal(
    formatSqueue(sorted, { nowSeconds, steps: true }),
    `         STEPID     NAME PARTITION     USER      TIME NODELIST
      359.batch    batch     debug      bob      0:07 n3
`,
  );
  assert.equal(
    formatSqueue(sorted, {
      nowSeconds,
      noHeader: true,
      format: "%i|%j|%u|%T|%M|%l|%L|%D|%C|%m|%R|%V|%S|%e|%Q|%b|%k|%a|%q|%Z|%o|%N|%B|%E|%f|%h|%v|%y",
    }).split("\n")[1],
    "358|mpi|alice|PENDING|0:00|20:00|20:00|2|4|200M|(Priority)|2026-11-21T23:21:13|2026-11-21T23:36:00|2026-11-21T23:56:00|4370|N/A|(null)|accta|normal|/home/alice|/home/alice/multi.sh||n/a|(null)|(null)|OK|(null)|0",
  );
  assert.equal(
    formatSqueue(sorted.slice(3), {
      nowSeconds,
      names: "jobid,name:20,state,reason,tres-alloc:40,timeleft,minmemory,tres-per-node",
    }),
    `JOBID               NAME                STATE               REASON              TRES_ALLOC                              TIME_LEFT           MIN_MEMORY          TRES_PER_NODE       
359                 tst                 RUNNING             None                cpu=6,mem=600M,node=2,billing=6         9:53                100M                N/A                 
357                 train               PENDING             Nodes required for jcpu=2,mem=200M,node=1,billing=2,gres/gpu30:00               100M                gres/gpu:1          
`,
  );
  assert.equal(
    formatSqueue(sortJobs(selectJobs(jobs, { states: ["PENDING"] }), undefined, true), { nowSeconds, start: true }),
    `             JOBID PARTITION     NAME     USER ST          START_TIME  NODES SCHEDNODES           NODELIST(REASON)
               360     debug     wait    alice PD 2026-11-21T23:31:13      4 (null)               (Resources)
               357       gpu    train    alice PD 2026-11-21T23:36:00      1 (null)               (${unavailable})
               358     debug      mpi    alice PD 2026-11-21T23:36:00      2 (null)               (Priority)
      361_[1-20%3]     debug       ar    alice PD 2026-11-22T00:36:00      1 (null)               (Priority)
`,
  );
  const relative = { nowSeconds, noHeader: true, format: "%i %S %V" };
  assert.equal(
    formatSqueue(sorted.slice(1, 3), { ...relative, timeFormat: "relative" }),
    "358 23:36:00 23:21:13\n361_[1-20%3] Tomorr 00:36 23:21:13\n",
  );
  assert.equal(formatSqueue(sorted.slice(0, 1), { ...relative, timeFormat: "%s" }), "360 1795303873 1795303273\n");
  assert.equal(
    formatSqueue(sorted.slice(2, 3), { nowSeconds, format: "%.8i %.10P" }),
    "   JOBID  PARTITION\n361_[1-2      debug\n",
  );
  assert.throws(() => formatSqueue([], { nowSeconds, names: "foo" }), /Invalid job format specification: foo/);
});

test("a packed array is taken apart where elements are named", () => {
  const [element] = selectJobs(jobs, { jobs: [{ job: 361, tasks: "3" }] });
  assert.equal(
    formatSqueue([element!], { nowSeconds, noHeader: true, format: "%i %A %F %K %t" }),
    "361_3 364 361 3 PD\n",
  );
  assert.equal(selectJobs(jobs, { jobs: [{ job: 361 }] }).length, 1);
  // An element's own id names it too.
  assert.equal(selectJobs(jobs, { jobs: [{ job: 364 }] })[0]?.arrayTaskId, 3);
  assert.equal(selectJobs(jobs, { jobs: [{ job: 999 }] }).length, 0);
});

function node(name: string, state: NodeRow["state"], cpusAllocated: number, gpus = false): NodeRow {
  return {
    name,
    hostName: "vm",
    state,
    responding: true,
    cpus: 4,
    cpusAllocated,
    memoryBytes: 4000 * 1024 ** 2,
    memoryAllocatedBytes: cpusAllocated * 100 * 1024 ** 2,
    weight: gpus ? 10 : 1,
    features: gpus ? ["cpu", "gpu"] : ["cpu"],
    ...(gpus && { gres: "gpu:2" }),
  };
}
const nodes = [
  node("n1", "planned", 0, true),
  node("n2", "planned", 0, true),
  node("n3", "allocated", 4),
  node("n4", "mixed", 2),
];
const partitions: PartitionRow[] = [
  { name: "debug", default: true, available: "up", timeLimitSeconds: 3600, nodes: ["n1", "n2", "n3", "n4"] },
  { name: "gpu", default: false, available: "up", timeLimitSeconds: 3600, nodes: ["n1", "n2"] },
  { name: "drained", default: false, available: "down", nodes: ["n1", "n2", "n3", "n4"] },
];
const debug = partitions.slice(0, 1);

test("sinfo prints as Slurm does", () => {
  const when = { nowSeconds: at("23:21:22") };
  assert.equal(
    formatSinfo(partitions, nodes, when),
    `PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST
debug*       up    1:00:00      2   plnd n[1-2]
debug*       up    1:00:00      1    mix n4
debug*       up    1:00:00      1  alloc n3
gpu          up    1:00:00      2   plnd n[1-2]
drained    down   infinite      2   plnd n[1-2]
drained    down   infinite      1    mix n4
drained    down   infinite      1  alloc n3
`,
  );
  assert.equal(
    formatSinfo(debug, nodes, { ...when, byNode: true, long: true }),
    `Sat Nov 21 23:21:22 2026
NODELIST   NODES PARTITION       STATE CPUS    S:C:T MEMORY TMP_DISK WEIGHT AVAIL_FE REASON              
n1             1    debug*     planned 4       1:4:1   4000        0     10  cpu,gpu none                
n2             1    debug*     planned 4       1:4:1   4000        0     10  cpu,gpu none                
n3             1    debug*   allocated 4       1:4:1   4000        0      1      cpu none                
n4             1    debug*       mixed 4       1:4:1   4000        0      1      cpu none                
`,
  );
  assert.equal(
    formatSinfo(debug, nodes, { ...when, byNode: true }),
    `NODELIST   NODES PARTITION STATE 
n1             1    debug* plnd  
n2             1    debug* plnd  
n3             1    debug* alloc 
n4             1    debug* mix   
`,
  );
  assert.equal(
    formatSinfo(debug, nodes, { ...when, long: true }),
    `Sat Nov 21 23:21:22 2026
PARTITION AVAIL  TIMELIMIT   JOB_SIZE ROOT OVERSUBS     GROUPS  NODES       STATE NODELIST
debug*       up    1:00:00 1-infinite   no       NO        all      2     planned n[1-2]
debug*       up    1:00:00 1-infinite   no       NO        all      1       mixed n4
debug*       up    1:00:00 1-infinite   no       NO        all      1   allocated n3
`,
  );
  assert.equal(
    formatSinfo(debug, nodes, { ...when, summarize: true }),
    `PARTITION AVAIL  TIMELIMIT   NODES(A/I/O/T) NODELIST
debug*       up    1:00:00          2/2/0/4 n[1-4]
`,
  );
  assert.equal(
    formatSinfo(debug, nodes, { ...when, noHeader: true, format: "%P|%a|%l|%D|%t|%N|%C|%G|%m|%c|%z|%f|%E" }),
    `debug*|up|1:00:00|2|plnd|n[1-2]|0/8/0/8|gpu:2|4000|4|1:4:1|cpu,gpu|none
debug*|up|1:00:00|1|mix|n4|2/2/0/4|(null)|4000|4|1:4:1|cpu|none
debug*|up|1:00:00|1|alloc|n3|4/0/0/4|(null)|4000|4|1:4:1|cpu|none
`,
  );
  assert.equal(formatSinfo(debug, nodes, { ...when, format: "%D" }), "NODES\n4\n");
  assert.equal(formatSinfo(partitions.slice(1, 2), nodes, { ...when, format: "%D %N" }), "NODES NODELIST\n2 n[1-2]\n");
  assert.equal(
    formatSinfo(partitions.slice(1, 2), [], when),
    "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST\ngpu          up    1:00:00      0    n/a \n",
  );
  assert.equal(formatSinfo([], nodes, when), "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST\n");
  const draining: NodeRow = {
    ...node("n4", "draining", 4),
    reason: "maint: disk",
    reasonUser: "root",
    reasonTime: at("22:55:22"),
  };
  assert.equal(
    formatSinfo(debug, [...nodes.slice(0, 3), draining], { ...when, listReasons: true }),
    `REASON               USER      TIMESTAMP           NODELIST
maint: disk          root      2026-11-21T22:55:22 n4
`,
  );
  assert.equal(
    formatSinfo(debug, [draining], { ...when, noHeader: true, format: "%n %t %T %C %m %G %f" }),
    "vm drng draining 4/0/0/4 4000 (null) cpu\n",
  );
});

function accounted(given: Partial<AccountingRow> & Pick<AccountingRow, "jobId" | "state">): AccountingRow {
  return {
    attempt: 1,
    jobName: "arr",
    user: "alice",
    account: "accta",
    partition: "debug",
    qos: "normal",
    elapsedSeconds: 6,
    allocatedCpus: 2,
    requestedCpus: 2,
    requestedNodes: 1,
    nodes: ["n3"],
    startTime: at("23:20:11"),
    ...given,
  };
}

test("sacct prints as Slurm does", () => {
  const rows = [
    accounted({ jobId: 349, arrayJobId: 348, arrayTaskId: 0, state: "COMPLETED" }),
    accounted({ jobId: 350, arrayJobId: 348, arrayTaskId: 1, state: "FAILED", exitCode: 1 }),
    accounted({ jobId: 353, arrayJobId: 348, arrayTaskId: 2, state: "CANCELLED", cancelledBy: 1001 }),
    accounted({
      jobId: 348,
      arrayJobId: 348,
      arrayTasks: "2-3,6,9",
      arrayMaxRunning: 2,
      state: "CANCELLED",
      cancelledBy: 1001,
      startTime: undefined,
      nodes: [],
    }),
  ];
  assert.equal(
    formatSacct(rows.slice(0, 3), { nowSeconds, allocationsOnly: true }),
    `JobID           JobName  Partition    Account  AllocCPUS      State ExitCode 
------------ ---------- ---------- ---------- ---------- ---------- -------- 
348_0               arr      debug      accta          2  COMPLETED      0:0 
348_1               arr      debug      accta          2     FAILED      1:0 
348_2               arr      debug      accta          2 CANCELLED+      0:0 
`,
  );
  assert.equal(
    formatSacct(rows.slice(2), { nowSeconds, format: "jobid,jobidraw,state,exitcode" }),
    `JobID        JobIDRaw          State ExitCode 
------------ ------------ ---------- -------- 
348_2        353          CANCELLED+      0:0 
348_2.batch  353.batch     CANCELLED     0:15 
348_[2-3,6,+ 348          CANCELLED+      0:0 
`,
  );
  assert.equal(
    formatSacct(rows, { nowSeconds, allocationsOnly: true, format: "jobid%20,state%20,exitcode" }),
    `               JobID                State ExitCode 
-------------------- -------------------- -------- 
               348_0            COMPLETED      0:0 
               348_1               FAILED      1:0 
               348_2    CANCELLED by 1001      0:0 
     348_[2-3,6,9%2]    CANCELLED by 1001      0:0 
`,
  );
  assert.equal(
    formatSacct(rows.slice(3), {
      nowSeconds,
      array: true,
      noHeader: true,
      parsable: "between",
      format: "jobid,jobidraw",
    }),
    "348_2|350\n348_3|351\n348_6|354\n348_9|357\n",
  );
  assert.equal(
    formatSacct(rows.slice(0, 1), { nowSeconds, parsable: "between", format: "JobID,MaxRSS,Elapsed,Start" }),
    "JobID|MaxRSS|Elapsed|Start\n348_0||00:00:06|2026-11-21T23:20:11\n348_0.batch||00:00:06|2026-11-21T23:20:11\n",
  );
  assert.equal(
    formatSacct(rows.slice(0, 1), {
      nowSeconds,
      parsable: "ended",
      noHeader: true,
      allocationsOnly: true,
      brief: true,
    }),
    "348_0|COMPLETED|0:0|\n",
  );
  const used = accounted({
    jobId: 7,
    state: "COMPLETED",
    peakMemoryBytes: 7_360_512 + 5,
    requestedMemoryBytes: 800 * 1024 ** 2,
  });
  assert.equal(
    formatSacct([used], { nowSeconds, noHeader: true, format: "JobID,ReqMem,MaxRSS" }),
    "7                  800M            \n7.batch                      7188K \n",
  );
  assert.throws(() => formatSacct([], { nowSeconds, format: "foo" }), /Invalid field requested: "foo"/);
});

test("exit codes and states of ended jobs as sacct prints them", () => {
  const state = (given: Partial<AccountingRow> & Pick<AccountingRow, "state">) =>
    formatSacct([accounted({ jobId: 1, ...given })], {
      nowSeconds,
      noHeader: true,
      parsable: "between",
      format: "state,exitcode",
    });
  assert.equal(state({ state: "COMPLETED" }), "COMPLETED|0:0\nCOMPLETED|0:0\n");
  assert.equal(state({ state: "FAILED", exitCode: 255 }), "FAILED|127:0\nFAILED|127:0\n");
  assert.equal(state({ state: "FAILED", exitCode: 137 }), "FAILED|9:0\nFAILED|9:0\n");
  assert.equal(state({ state: "FAILED", exitCode: 127 }), "FAILED|127:0\nFAILED|127:0\n");
  assert.equal(state({ state: "FAILED", signal: 9 }), "FAILED|0:9\nCANCELLED|0:9\n");
  assert.equal(state({ state: "FAILED", signal: 53 }), "FAILED|0:53\nCANCELLED|0:53\n");
  assert.equal(state({ state: "OUT_OF_MEMORY" }), "OUT_OF_MEMORY|0:125\nOUT_OF_MEMORY|0:125\n");
  assert.equal(state({ state: "TIMEOUT", signal: 15 }), "TIMEOUT|0:0\nCANCELLED|0:15\n");
  assert.equal(state({ state: "CANCELLED", cancelledBy: 0, signal: 15 }), "CANCELLED by 0|0:0\nCANCELLED|0:15\n");
  assert.equal(state({ state: "NODE_FAIL" }), "NODE_FAIL|0:0\nCANCELLED|\n");
  assert.equal(state({ state: "PREEMPTED" }), "PREEMPTED|0:0\nCANCELLED|0:9\n");
});
