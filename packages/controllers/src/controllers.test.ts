import assert from "node:assert/strict";
import { test } from "node:test";
import { workloads } from "@berth/kinds";
import { startTestCluster, waitFor, workload } from "./test-cluster.test.ts";

test("a job runs, is accounted once, and its pod goes", async () => {
  const cluster = await startTestCluster();
  try {
    await cluster.startNode();
    await cluster.startControllers();
    await cluster.client.create(workloads, workload("one"));
    const [done] = await waitFor(cluster.client, ["one"]);
    assert.equal(done?.status?.phase, "Succeeded");
    const rows = await cluster.accounting.query({});
    assert.deepEqual(
      rows.map(({ jobId, attempt, state, user, nodes }) => ({ jobId, attempt, state, user, nodes })),
      [{ jobId: done.status.jobId, attempt: 1, state: "Succeeded", user: "ada", nodes: ["n1"] }],
    );
  } finally {
    await cluster.close();
  }
});
