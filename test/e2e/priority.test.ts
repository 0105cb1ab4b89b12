/** Priorities as sprio, squeue and berth explain tell them. */
import assert from "node:assert/strict";
import { userInfo } from "node:os";
import { test } from "node:test";
import { startCluster } from "../support/berth.ts";
import { sbatch, squeueField, waitForState } from "../support/jobs.ts";
import { waitFor } from "../support/waiting.ts";

test(
  "sprio, squeue and explain tell one priority, by its factors; the queue stands in that order",
  { timeout: 900_000 },
  async () => {
    await using cluster = await startCluster({ flags: ["--nodes", "2"] });
    const unweighed = await cluster.berth(["sprio"]);
    assert.equal(unweighed.code, 0);
    assert.match(unweighed.stderr, /the site weighs no factor/);
    const { username } = userInfo();
    const documents = [
      "{kind: Site, metadata: {name: site}, spec: {priority: {weights: {fairShare: 1000, jobSize: 500, age: 10}}}}",
      "{kind: Account, metadata: {name: bio}, spec: {shares: 3}}",
      `{kind: Membership, metadata: {name: us}, spec: {user: ${username}, account: bio, default: true}}`,
    ];
    const applied = await cluster.berth(["apply", "-"], { input: documents.join("\n---\n") });
    assert.equal(applied.code, 0, applied.stderr);
    const words = (...more: string[]): string[] => [
      "-t",
      "10",
      "--mem=50M",
      "-o",
      "/dev/null",
      ...more,
      "--wrap",
      "sleep 300",
    ];
    const blocker = await sbatch(cluster, words("-N", "2", "--exclusive"));
    await waitForState(cluster, blocker, "RUNNING");
    const small = await sbatch(cluster, words("-c", "1"));
    const nice = await sbatch(cluster, words("-c", "1", "--nice=100"));
    const large = await sbatch(cluster, words("-N", "2", "--exclusive"));
    const held = await sbatch(cluster, words("-H"));
    await waitFor("all to be considered", async () =>
      (await squeueField(cluster, held, "%r")) === "JobHeldUser" && (await squeueField(cluster, large, "%r")) !== "None"
        ? true
        : undefined,
    );
    const { stdout } = await cluster.berth(["sprio", "-h", "-S", "-Y", "-o", "%i %Y %A %F %J %N"]);
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => line.split(" ").map(Number));
    assert.deepEqual(
      rows.map(([id]) => id),
      [large, small, nice],
      "the larger first, then the one that is not nice; what is held has none",
    );
    for (const [id, priority, age, fairShare, size, niceness] of rows) {
      const sum = age! + fairShare! + size! - niceness!;
      assert.ok(Math.abs(priority! - sum) <= 2, `job ${id}: ${priority} is not ${sum}`);
    }
    assert.equal(rows[2]![5], 100);
    const queue = await cluster.berth(["squeue", "-h", "-t", "PD", "-o", "%i"]);
    assert.deepEqual(queue.stdout.trim().split("\n").map(Number), [large, small, nice, held]);
    const explained = JSON.parse((await cluster.berth(["explain", String(small), "-o", "json"])).stdout) as {
      explanation: { position: { queue: number; of: number }; priority: { value: number } };
    };
    assert.deepEqual(explained.explanation.position, { queue: 2, of: 4 });
    assert.ok(Math.abs(explained.explanation.priority.value - rows[1]![1]!) <= 2);
    assert.match((await cluster.berth(["sprio", "-w"])).stdout, /Weights +1 +10 +1000 +500\n$/);
    assert.match(
      (await cluster.berth(["sshare", "-n", "-P", "-o", "Account,User,RawShares"])).stdout,
      /\n bio\|\|3\n {2}bio\|/,
    );
    const none = await cluster.berth(["sprio", "-j", "999"]);
    assert.match(none.stderr, /Unable to find jobs/);
    await cluster.berth(["scancel", ...[held, large, small, nice, blocker].map(String)]);
  },
);
