/** Placement on simulated nodes like those of a file. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createClient, loadKubeconfig, resources } from "@berth/client";
import { annotations, apiVersion, labels, type Pod, type Workload, workloads } from "@berth/kinds";
import { startCluster } from "../support/berth.ts";
import { ended, sbatch } from "../support/jobs.ts";
import { waitFor } from "../support/waiting.ts";

const rackLabel = "example.com/rack";

function nodesFile(folder: string): string {
  const nodes = ["a", "b"].flatMap((rack) =>
    [1, 2, 3].map((index) => ({
      metadata: { name: `${rack}${index}`, labels: { [rackLabel]: rack } },
      status: { allocatable: { cpu: "8", memory: "32Gi", "nvidia.com/gpu": "2" } },
    })),
  );
  const path = join(folder, "nodes.json");
  writeFileSync(path, JSON.stringify(nodes));
  return path;
}

function workload(
  name: string,
  namespace: string,
  count: number,
  requests: Record<string, string>,
  spec: object = {},
): Workload {
  const template = {
    metadata: { annotations: { [annotations.simulatedRunSeconds]: "600" } },
    spec: {
      nodeSelector: { "berth.dev/driver": "simulated" },
      containers: [{ name: "main", resources: { requests } }],
    },
  };
  return {
    apiVersion,
    kind: "Workload",
    metadata: { name, namespace },
    spec: {
      type: "Batch",
      wallTimeSeconds: 600,
      podSets: [{ name: "main", role: "Driver", count, template }],
      ...spec,
    },
  };
}

test("licences, racks and parts of GPUs", { timeout: 900_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-nodes-"));
  try {
    await using cluster = await startCluster({ flags: ["--simulated-nodes", nodesFile(folder)] });
    const refused = await cluster.berth(["sbatch", "-L", "matlab", "--wrap", "true"]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Invalid license specification\n.*there is no licence matlab/);
    const site = {
      apiVersion,
      kind: "Site",
      metadata: { name: "site" },
      spec: { topology: { levels: [rackLabel] }, licences: { matlab: 1 } },
    };
    const applied = await cluster.berth(["apply", "-"], { input: JSON.stringify(site) });
    assert.equal(applied.code, 0, applied.stderr);
    const words = ["-L", "matlab", "-t", "1", "-o", "/dev/null", "--wrap", "true"];
    const [row] = await ended(cluster, [await sbatch(cluster, words)], ["State"]);
    assert.equal(row!.State, "COMPLETED");
    const client = createClient(loadKubeconfig({ path: join(cluster.data, "admin.kubeconfig") }).connection);
    try {
      const [own] = (await client.list<Workload>(workloads)).items;
      const namespace = own!.metadata.namespace!;
      const asked = [
        workload("gang", namespace, 6, { cpu: "4" }, { placement: { requiredTopology: rackLabel } }),
        workload("part", namespace, 1, { cpu: "1", "berth.dev/gpu-milli": "250" }),
        workload("next", namespace, 1, { cpu: "1", "berth.dev/gpu-milli": "750" }),
      ];
      for (const object of asked) await client.create(workloads, object);
      const pods = await waitFor("all pods to have a node", async () => {
        const { items } = await client.list<Pod>(resources.pods, { namespace });
        const running = items.filter(({ status }) => status?.phase === "Running");
        return running.length === 8 ? running : undefined;
      });
      const of = (name: string): Pod[] => pods.filter(({ metadata }) => metadata.labels?.[labels.workload] === name);
      assert.equal(new Set(of("gang").map(({ spec }) => spec.nodeName![0])).size, 1);
      const [part] = of("part");
      const [next] = of("next");
      assert.equal(part!.spec.nodeName, next!.spec.nodeName);
      assert.deepEqual(JSON.parse(part!.metadata.annotations![annotations.grant]!), {
        devices: [{ resource: "nvidia.com/gpu", ids: [0], amount: 250 }],
      });
      const visible = part!.spec.containers[0]!.env?.find(({ name }) => name === "CUDA_VISIBLE_DEVICES");
      assert.equal(visible?.value, "0");
    } finally {
      client.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
