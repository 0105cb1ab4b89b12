import type { FairShare } from "@berth/kinds";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobRow } from "./rows.ts";
import { formatSprio, hasPriority, readSprioCommandLine } from "./sprio.ts";
import { formatSshare, readSshareCommandLine } from "./sshare.ts";

const weights = { age: 1000, fairShare: 10_000, jobSize: 100, queue: 1000, qos: 5000 };

function job(jobId: number, partition: string, size: number, more: Partial<JobRow> = {}): JobRow {
  const factors = { age: 0, fairShare: 1 / 3, jobSize: size, queue: 1, qos: 0 };
  const priorityFactors = Object.entries(factors).map(([name, factor]) => {
    const weight = weights[name as keyof typeof weights];
    return { name, factor, weight, points: factor * weight };
  });
  const priority = priorityFactors.reduce((sum, { points }) => sum + points, 0) - (more.nice ?? 0);
  const row = { jobId, partition, state: "PENDING", reason: "Priority", user: "alice", account: "accta", nice: 0 };
  return { ...row, priority, priorityFactors, nodes: [], ...more } as unknown as JobRow;
}

// The jobs, and what Slurm 22.05 printed of them.
const jobs = [
  job(360, "debug", 0.625),
  job(357, "gpu", 0.1875),
  job(358, "debug", 0.375),
  job(361, "debug", 0.15625, { arrayJobId: 361, arrayTasks: "1-20" }),
];
const sprio = (...words: string[]): string => formatSprio(jobs, readSprioCommandLine(words), weights);

test("sprio prints what Slurm's prints, number by number", () => {
  assert.equal(
    sprio(),
    `          JOBID PARTITION   PRIORITY       SITE        AGE  FAIRSHARE    JOBSIZE  PARTITION        QOS
            357 gpu             4352          0          0       3333         19       1000          0
            358 debug           4370          0          0       3333         38       1000          0
            360 debug           4395          0          0       3333         62       1000          0
            361 debug           4348          0          0       3333         16       1000          0
`,
  );
  assert.equal(
    formatSprio([jobs[2]!], readSprioCommandLine(["-l"]), weights),
    `          JOBID PARTITION     USER   PRIORITY       SITE        AGE      ASSOC  FAIRSHARE    JOBSIZE  PARTITION        QOS        NICE                 TRES
            358 debug        alice       4370          0          0          0       3333         38       1000          0           0                     
`,
  );
  assert.equal(
    sprio("-w"),
    `          JOBID PARTITION   PRIORITY       SITE        AGE  FAIRSHARE    JOBSIZE  PARTITION        QOS
        Weights                               1       1000      10000        100       1000       5000
`,
  );
});

test("sprio: factors, chosen columns, order, columns of what is weighed only", () => {
  assert.match(sprio("-n", "-h", "-o", "%i %f %.10y"), /^357 0\.3333333 0\.00000101\n358 /);
  assert.equal(sprio("-h", "-S", "-Y", "-o", "%i"), "360\n358\n357\n361\n");
  assert.equal(
    formatSprio(jobs, readSprioCommandLine(["-u", "alice"]), { age: 5 }).split("\n")[0],
    "          JOBID PARTITION     USER   PRIORITY       SITE        AGE",
  );
  assert.throws(() => sprio("-o", "%G"), /Invalid job format specification: G/);
  const of = (reason: string): boolean => hasPriority({ ...jobs[0]!, reason });
  assert.deepEqual(["Resources", "Dependency", "JobHeldUser", "BeginTime"].map(of), [true, false, false, false]);
});

const tree: FairShare[] = (
  [
    ["root", undefined, 0, "1", 0, 2021, 1],
    ["accta", undefined, 1, "1", 1 / 3, 1981.9, 0.995901],
    ["accta", "alice", 2, "1", 1, 1981, 1, 1 / 3],
    ["acctb", undefined, 1, "1", 1 / 3, 39, 0.004099],
    ["acctb", "bob", 2, "1", 1, 39, 1, 2 / 3],
  ] as const
).map(([account, user, depth, shares, normalizedShares, billingSeconds, effectiveUsage, fairShare]) => ({
  apiVersion: "berth.dev/v1alpha1",
  kind: "FairShare",
  metadata: { name: user === undefined ? account : `${account}.${user}` },
  spec: {
    account,
    depth,
    shares,
    ...(user === undefined ? {} : { user }),
    ...(account === "acctb" && user === undefined
      ? { resourceMinutes: { cpu: 1000, memory: 2, "nvidia.com/gpu": 60 } }
      : {}),
  },
  status: {
    normalizedShares,
    billingSeconds,
    effectiveUsage,
    normalizedUsage: billingSeconds / 2021,
    levelFairShare: normalizedShares / effectiveUsage,
    ...(fairShare === undefined ? {} : { fairShare }),
    runningResourceMinutes: { cpu: user === "bob" ? 0 : 119.9, memory: 2.5, "nvidia.com/gpu": 1 },
    runningNodeMinutes: 30,
    runningBillingMinutes: 119.9,
  },
}));
const sshare = (...words: string[]): string => formatSshare(tree, readSshareCommandLine(words), "alice");

test("sshare prints what Slurm's prints: own lines unasked, all by -a", () => {
  assert.equal(
    sshare(),
    `Account                    User  RawShares  NormShares    RawUsage  EffectvUsage  FairShare 
-------------------- ---------- ---------- ----------- ----------- ------------- ---------- 
root                                          0.000000        2021      1.000000            
 accta                                   1    0.333333        1981      0.995901            
  accta                   alice          1    1.000000        1981      1.000000   0.333333 
 acctb                                   1    0.333333          39      0.004099            
`,
  );
  assert.match(
    sshare("-P", "-o", "Account,GrpTRESMins"),
    /\n accta\|\n {2}accta\|\n acctb\|cpu=1000,mem=2048,gres\/gpu=60\n$/,
  );
  assert.match(
    sshare("-P", "-a", "-o", "User,TRESRunMins"),
    /\nbob\|cpu=0,mem=2560,energy=0,node=30,billing=119,fs\/disk=0,vmem=0,pages=0,gres\/gpu=1\n$/,
  );
  assert.match(sshare("-a", "-l"), /\n {2}accta .* cpu=119,mem=2560,energy=0,nod\+ \n/);
  assert.match(sshare("-a"), / {2}acctb +bob {10}1 {4}1\.000000 {10}39 {6}1\.000000 {3}0\.666667 \n$/);
  assert.equal(
    sshare("-n", "-P", "-U", "-a", "-o", "Account,User,FairShare"),
    "  accta|alice|0.333333\n  acctb|bob|0.666667\n",
  );
  assert.equal(sshare("-n", "-p", "-A", "acctb", "-u", "bob", "-o", "user%4,rawu"), "|39|\nbob|39|\n");
  assert.match(sshare("-l").split("\n")[0]!, /EffectvUsage {2}FairShare {4}LevelFS +GrpTRESMins +TRESRunMins $/);
  assert.throws(() => sshare("-o", "foo"), /Invalid field requested: "foo"/);
});
