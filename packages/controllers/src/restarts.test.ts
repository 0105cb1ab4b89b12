import assert from "node:assert/strict";
import { test } from "node:test";
import { resources } from "@berth/client";
import type { Pod, Workload } from "@berth/kinds";
import { isFinal, workloads } from "@berth/kinds";
import { startTestCluster, waitFor, workload } from "./test-cluster.test.ts";

for (const leases of [false, true]) {
  const how = leases ? ", with several tasks of an array in one pod" : "";
  test(`controllers that stop and begin again at any moment lose nothing, start nothing twice, account everything once${how}`, () =>
    restarts(leases));
}

async function restarts(leases: boolean): Promise<void> {
  const cluster = await startTestCluster();
  try {
    const node = await cluster.startNode({
      leases,
      cpus: leases ? 4 : 16,
      runMs: (pod) => (pod.metadata.name.length * 7) % 40,
      exitCode: (pod) => (/-t\d*3-/.test(pod.metadata.name) ? 1 : 0),
    });
    const template = { spec: { containers: [{ name: "main", resources: { requests: { cpu: "1" } } }] } };
    const singles = Array.from({ length: 40 }, (_, at) => workload(`single-${at}`));
    const gangs = Array.from({ length: 6 }, (_, at) =>
      workload(`gang-${at}`, {
        podSets: [
          { name: "main", role: "Driver", count: 1, template },
          { name: "worker", role: "Worker", count: 3, template },
        ],
      }),
    );
    const arrays = [
      workload("array-0", { array: { indices: "0-99" } }),
      workload("array-1", { array: { indices: "0-59" } }),
      ...(leases ? [workload("array-2", { array: { indices: "0-399" } })] : []),
    ];
    const all: Workload[] = [...singles, ...gangs, ...arrays];
    const names = all.map(({ metadata }) => metadata.name);
    let isDone = false;
    const restarting = (async () => {
      let pause = 17;
      // Each lives a tenth longer, so that on a machine however busy one of them soon lives long enough to get somewhere.
      for (let life = 20; !isDone; life *= 1.1) {
        const controllers = await cluster.startControllers();
        pause = (pause * 31) % 211;
        await new Promise((resolve) => setTimeout(resolve, life + pause));
        await controllers.stop();
      }
    })();
    for (const object of all) await cluster.client.create(workloads, object);
    const done = await waitFor(cluster.client, names);
    isDone = true;
    await restarting;
    const controllers = await cluster.startControllers();
    for (let tries = 0; tries < 2400; tries++) {
      const { items } = await cluster.client.list<Pod>(resources.pods, { namespace: "ada" });
      if (items.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await controllers.stop();

    for (const { metadata, status } of done) {
      assert.ok(isFinal(status?.phase));
      if (!metadata.name.startsWith("array")) assert.equal(status?.phase, "Succeeded", metadata.name);
    }
    const ids = new Set(done.map(({ status }) => status!.jobId!));
    assert.equal(ids.size, all.length, "every job has an id of its own");
    for (const [name, count] of node.begun) assert.equal(count, 1, `${name} was begun ${count} times`);

    const rows = await cluster.accounting.query({ limit: 10_000 });
    const tasks = new Map<string, string[]>();
    for (const row of rows) {
      const key = `${row.workload}/${row.task}`;
      tasks.set(key, [...(tasks.get(key) ?? []), `${row.attempt} ${row.state}`]);
    }
    assert.equal(tasks.size, 40 + 6 + 100 + 60 + (leases ? 400 : 0));
    for (const [key, attempts] of tasks) {
      const expected = /^array-\d\/\d*3$/.test(key) ? "1 Failed" : "1 Succeeded";
      // A gang that was being put together when its leader died is put together anew, under another number.
      if (key.startsWith("gang")) assert.match(attempts.join(), /^\d+ Succeeded$/, key);
      else assert.deepEqual(attempts, [expected], key);
    }
    const left = await cluster.client.list<Pod>(resources.pods, { namespace: "ada" });
    assert.deepEqual(
      left.items.map(({ metadata }) => metadata.name),
      [],
    );
    assert.deepEqual(
      cluster.logs.filter((line) => line.startsWith("error")),
      [],
    );
  } finally {
    await cluster.close();
  }
}
