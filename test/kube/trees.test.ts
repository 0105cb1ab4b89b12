/** Trees that a queue gives its jobs, on a real node: claims of their namespace, bound to volumes that are for them alone. */
import assert from "node:assert/strict";
import { chownSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isReason, resources, type AnyObject } from "@berth/client";
import { isFinal, queues, type Workload, workloads } from "@berth/kinds";
import { waitFor } from "../support/waiting.ts";
import { person, startBerth, type BerthOnKube } from "./berth.ts";
import { startRealCluster, withoutRealNodes, type RealCluster } from "./real-nodes.ts";

const claims = { group: "", version: "v1", resource: "persistentvolumeclaims", namespaced: true };
const volumes = { ...claims, resource: "persistentvolumes", namespaced: false };

type Bound = AnyObject & { status?: { phase?: string }; spec: { volumeName?: string } };

describe("shared trees on a real node", { skip: withoutRealNodes(), timeout: 300_000 }, () => {
  let cluster: RealCluster;
  let berth: BerthOnKube;
  before(async () => {
    cluster = await startRealCluster({ nodes: 1 });
    berth = await startBerth(cluster);
  });
  after(async () => {
    await berth?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  const namespace = person.name;
  async function runToEnd(...words: string[]): Promise<Workload> {
    const { code, stdout, stderr } = await berth.berth(["sbatch", "--parsable", ...words]);
    assert.equal(code, 0, stderr);
    return await waitFor(
      `job ${stdout.trim()} to end`,
      async () => {
        const { items } = await cluster.client.listAll<Workload>(workloads, { namespace });
        return items.find(({ status }) => String(status?.jobId) === stdout.trim() && isFinal(status?.phase));
      },
      120,
    );
  }

  test("jobs write them as their user, one after the other; what is read-only is not written", async () => {
    const { client } = cluster;
    const [work, data] = ["work", "data"].map((name) => join(berth.home, name)) as [string, string];
    for (const path of [work, data]) {
      mkdirSync(path);
      chownSync(path, person.uid, person.gid);
    }
    const sharedTrees = [
      { name: "work", mountPath: "/trees/work", hostPath: { path: work } },
      { name: "data", mountPath: "/trees/data", readOnly: true, hostPath: { path: data } },
    ];
    await client.patch(queues, "standard", { spec: { sharedTrees } });
    const first = await runToEnd("--wrap", "id -u >/trees/work/out; ! touch /trees/data/no");
    assert.equal(first.status?.phase, "Succeeded");
    assert.equal(readFileSync(join(work, "out"), "utf8"), `${person.uid}\n`);
    assert.equal(statSync(join(work, "out")).uid, person.uid);
    const second = await runToEnd("--wrap", "cp /trees/work/out /trees/work/again");
    assert.equal(second.status?.phase, "Succeeded");
    assert.equal(readFileSync(join(work, "again"), "utf8"), `${person.uid}\n`);
    const { items } = await client.list<Bound>(claims, { namespace });
    assert.deepEqual(
      items.map(({ metadata, status }) => [metadata.name.replace(/-[0-9a-f]{8}$/, ""), status?.phase]).sort(),
      [
        ["tree-data", "Bound"],
        ["tree-work", "Bound"],
      ],
    );
  });

  test("with their namespace its volumes go; what is in the trees stays", async () => {
    const { client } = cluster;
    const { items } = await client.list<Bound>(volumes);
    assert.equal(items.length, 2);
    await client.delete(resources.namespaces, namespace);
    await waitFor(
      "the volumes to go",
      async () => ((await client.list<Bound>(volumes)).items.length === 0 ? true : undefined),
      120,
    );
    await assert.rejects(client.get(resources.namespaces, namespace), (error) => isReason(error, "NotFound"));
    assert.equal(readFileSync(join(berth.home, "work", "again"), "utf8"), `${person.uid}\n`);
  });
});
