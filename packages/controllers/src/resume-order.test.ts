import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestCluster, waitFor, workload } from "./test-cluster.test.ts";
import { workloads } from "@berth/kinds";

test("a new leader knows of what a job depends on, whatever their names", async () => {
  const cluster = await startTestCluster();
  try {
    const first = await cluster.startControllers();
    // Times of creation are whole seconds, and both are to have the same.
    await new Promise((resolve) => setTimeout(resolve, 1000 - (Date.now() % 1000)));
    await cluster.client.create(workloads, workload("z-first"));
    const [target] = await waitFor(cluster.client, ["z-first"], ({ status }) => status?.jobId !== undefined);
    const job = target!.status!.jobId!;
    await cluster.client.create(workloads, workload("a-second", { dependencies: { of: [{ type: "AfterOk", job }] } }));
    await waitFor(cluster.client, ["a-second"], ({ status }) => status?.reason === "Dependency");
    await first.stop();
    await cluster.startControllers();
    await cluster.startNode();
    const done = await waitFor(cluster.client, ["z-first", "a-second"]);
    assert.deepEqual(
      done.map(({ status }) => status?.phase),
      ["Succeeded", "Succeeded"],
    );
  } finally {
    await cluster.close();
  }
});
