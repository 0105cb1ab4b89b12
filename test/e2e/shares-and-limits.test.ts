/** Accounts with shares, limits and reservations on the whole embedded cluster, with simulated nodes. */
import assert from "node:assert/strict";
import { userInfo } from "node:os";
import { test } from "node:test";
import { nodeProcesses, startCluster, type TestCluster } from "../support/berth.ts";
import { ended, sbatch, squeueField, waitForState } from "../support/jobs.ts";
import { waitFor } from "../support/waiting.ts";

const user = userInfo().username;

/** On simulated nodes a queue says how long its jobs seem to run. */
const queue = (name: string, runSeconds: number, more = ""): string => `
kind: Queue
metadata: {name: ${name}}
spec:
  nodeSelector: {berth.dev/driver: simulated}
  podDefaults: {metadata: {annotations: {berth.dev/simulated-run-seconds: "${runSeconds}"}}}
  ${more}`;
const account = (name: string, spec = "{}"): string => `{kind: Account, metadata: {name: ${name}}, spec: ${spec}}`;
const member = (name: string): string =>
  `{kind: Membership, metadata: {name: us-${name}}, spec: {user: ${user}, account: ${name}}}`;

async function apply(cluster: TestCluster, documents: string[]): Promise<void> {
  const outcome = await cluster.berth(["apply", "-"], { input: documents.join("\n---\n") });
  assert.equal(outcome.code, 0, outcome.stderr);
}

/** A job with a node of its own, in a queue and an account. */
const whole = (partition: string, ...words: string[]): string[] => [
  "-t",
  "5",
  "--exclusive",
  "-p",
  partition,
  "-o",
  "/dev/null",
  ...words,
  "--wrap",
  "true",
];

/** Waits until the cluster has heard of what was applied: by a question that makes no job. */
async function isKnown(cluster: TestCluster, words: string[]): Promise<void> {
  await waitFor("the cluster to know what was applied", async () => {
    const { code } = await cluster.berth(["sbatch", "--test-only", ...words]);
    return code === 0 ? true : undefined;
  });
}

async function rawUsage(cluster: TestCluster, name: string): Promise<number> {
  const { stdout, stderr } = await cluster.berth([
    "sshare",
    "-n",
    "-P",
    "-a",
    "-A",
    name,
    "-o",
    "Account,User,RawUsage",
  ]);
  const line = stdout.split("\n").find((text) => text.trim().startsWith(`${name}|${user}|`));
  assert.ok(line !== undefined, `sshare: ${stdout}${stderr}`);
  return Number(line.split("|")[2]);
}

test(
  "limits hold with Slurm's reason and the numbers; a submit limit refuses; a raised limit lets go",
  { timeout: 900_000 },
  async () => {
    await using cluster = await startCluster({ flags: ["--simulated-nodes", "2"] });
    await apply(cluster, [
      queue("busy", 3600),
      account(
        "bio",
        "{limits: {runningJobs: 1, submittedJobs: 2, perJob: {wallTimeSeconds: 600}, resourceMinutes: {cpu: 90000}}}",
      ),
      member("bio"),
    ]);
    const words = whole("busy", "-A", "bio");
    await isKnown(cluster, words);
    const first = await sbatch(cluster, words);
    await waitForState(cluster, first, "RUNNING");
    const second = await sbatch(cluster, words);
    await waitFor(
      "the reason",
      async () => (await squeueField(cluster, second, "%r")) === "AssocGrpJobsLimit" || undefined,
    );
    const explained = await cluster.berth(["explain", String(second)]);
    assert.match(explained.stdout.replaceAll(/\s+/g, " "), /account bio may run 1 job at once; 1 run/);
    const shares = await cluster.berth(["sshare", "-n", "-P", "-o", "Account,User,GrpTRESMins,TRESRunMins"]);
    // One node for what is left of five minutes.
    assert.match(shares.stdout, /^ bio\|\|cpu=90000\|cpu=[1-9]\d*,mem=[1-9]\d*,energy=0,node=[2-5],billing=[1-9]\d*,/m);
    assert.match(shares.stdout, /^ default\|\|\|cpu=0,mem=0,energy=0,node=0,billing=0,fs\/disk=0,vmem=0,pages=0/m);
    const third = await cluster.berth(["sbatch", ...words]);
    assert.equal(third.code, 1);
    assert.match(third.stderr, /Job violates accounting\/QOS policy/);
    assert.match(third.stderr, /account bio may have 2 jobs pending or running; there are 2/);
    const long = await cluster.berth(["sbatch", ...whole("busy", "-A", "bio", "-t", "20")]);
    assert.equal(long.code, 1);
    assert.match(long.stderr, /Job violates accounting\/QOS policy/);
    const foreign = await cluster.berth(["sbatch", ...whole("busy", "-A", "chem")]);
    assert.match(foreign.stderr, /Invalid account or account\/partition combination specified/);
    await apply(cluster, [account("bio", "{limits: {runningJobs: 2}}")]);
    await waitForState(cluster, second, "RUNNING");
  },
);

test("shares make the order, and what was used is known after kill -9", { timeout: 900_000 }, async () => {
  await using cluster = await startCluster({ flags: ["--simulated-nodes", "1"] });
  await apply(cluster, [
    "{kind: Site, metadata: {name: site}, spec: {priority: {weights: {fairShare: 1000}, halfLifeSeconds: 86400}}}",
    queue("short", 1),
    queue("work", 8),
    queue("busy", 3600),
    account("greedy"),
    account("modest"),
    member("greedy"),
    member("modest"),
  ]);
  await isKnown(cluster, whole("work", "-A", "modest"));
  const used = await sbatch(cluster, whole("work", "-A", "greedy"));
  await ended(cluster, [used], ["State"]);
  const before = await rawUsage(cluster, "greedy");
  assert.ok(before > 0);
  // Not asked to stop: what is not written is lost.
  for (const pid of nodeProcesses(cluster.data)) process.kill(pid, "SIGKILL");
  await cluster.up();
  const after = await waitFor("usage to be known again", async () => {
    const now = await rawUsage(cluster, "greedy").catch(() => 0);
    return now > 0 ? now : undefined;
  });
  // Whole seconds of a short job, told by different clocks; lost it would be 0, counted twice the double.
  assert.ok(after > before * 0.5 && after < before * 1.5, `${after} after ${before}: it counts once`);
  const blocker = await sbatch(cluster, whole("busy", "-A", "default"));
  await waitForState(cluster, blocker, "RUNNING");
  const greedy = await sbatch(cluster, whole("short", "-A", "greedy"));
  const modest = await sbatch(cluster, whole("short", "-A", "modest"));
  // Only when both wait.
  assert.equal((await cluster.berth(["scancel", String(blocker)])).code, 0);
  const rows = await ended(cluster, [greedy, modest], ["JobID", "Start"]);
  assert.ok(rows[1]!.Start < rows[0]!.Start, JSON.stringify(rows));
});

test(
  "jobs that would run into a maintenance window wait, with that reason; shorter ones run",
  { timeout: 900_000 },
  async () => {
    await using cluster = await startCluster({ flags: ["--simulated-nodes", "2"] });
    const begin = new Date(Date.now() + 10 * 60_000).toISOString();
    await apply(cluster, [
      queue("short", 1),
      `{kind: Reservation, metadata: {name: service}, spec: {startTime: "${begin}", durationSeconds: 3600, maintenance: true, nodeSelector: {berth.dev/driver: simulated}}}`,
    ]);
    await isKnown(cluster, whole("short"));
    const long = await sbatch(cluster, whole("short", "-t", "30"));
    const short = await sbatch(cluster, whole("short"));
    const [row] = await ended(cluster, [short], ["State"]);
    assert.equal(row!.State, "COMPLETED");
    await waitFor(
      "the reason",
      async () =>
        (await squeueField(cluster, long, "%r"))?.startsWith("ReqNodeNotAvail, Reserved for maintenance") || undefined,
    );
    const refused = await cluster.berth(["sbatch", "--reservation=service", "--wrap", "true"]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Access denied to requested reservation/);
    const unknown = await cluster.berth(["sbatch", "--reservation=nope", "--wrap", "true"]);
    assert.match(unknown.stderr, /Requested reservation is invalid/);
  },
);
