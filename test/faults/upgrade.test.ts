/**
 * A data folder that an earlier Berth wrote, with jobs running, is taken up by this one: all objects are there, running jobs go on,
 * waiting ones start, the records stay.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createClient, loadKubeconfig, resources, type AnyObject } from "@berth/client";
import { accounts, queues, sites, workloads } from "@berth/kinds";
import { nodeProcesses, repository, startCluster, type TestCluster } from "../support/berth.ts";
import { hasCommit, lastCommit, unpackBerth } from "../support/former-berth.ts";
import { ended, sbatch, small, squeueField, waitForState } from "../support/jobs.ts";
import { waitFor, waitForFile } from "../support/waiting.ts";

/** The first data folders of format 1 that others may have. */
const first = "87c0806b0b7103fb92682b413c636630a82759f7";
const folder = mkdtempSync(join(tmpdir(), "berth-upgrade-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** All objects of some kinds, by kind and uid. */
async function objectsOf(cluster: TestCluster): Promise<Map<string, AnyObject>> {
  const client = createClient(loadKubeconfig({ path: join(cluster.data, "admin.kubeconfig") }).connection);
  const found = new Map<string, AnyObject>();
  for (const resource of [
    workloads,
    queues,
    accounts,
    sites,
    resources.secrets,
    resources.configMaps,
    resources.pods,
  ]) {
    const { items } = await client.listAll<AnyObject>(resource);
    for (const item of items) found.set(`${resource.resource} ${item.metadata.uid}`, item);
  }
  client.close();
  return found;
}

function partOf(object: AnyObject, part: string): unknown {
  return (object as unknown as Record<string, unknown>)[part];
}

/** Whether everything of an earlier value is in the later one: fields may have come, of items none. */
function holds(later: unknown, earlier: unknown): boolean {
  if (typeof earlier !== "object" || earlier === null) return later === earlier;
  if (typeof later !== "object" || later === null) return false;
  if (Array.isArray(earlier) && earlier.length !== (later as unknown[]).length) return false;
  return Object.entries(earlier).every(([key, value]) => holds((later as Record<string, unknown>)[key], value));
}

for (const [name, commit, how] of [
  ["the commit before", lastCommit(), "killed"],
  ["the first of format 1", hasCommit(first) ? first : undefined, "stopped"],
] as const) {
  const skip = commit === undefined && "the repository's history is not here";
  test(`from ${name}, ${how}`, { skip, timeout: 240_000 }, async (context) => {
    context.diagnostic(commit!);
    let program = unpackBerth(commit!, join(folder, commit!));
    await using cluster = await startCluster({ program: () => program, flags: ["--nodes", "2"] });
    const path = (file: string): string => join(cluster.directory, file);
    const waits = (file: string): string =>
      `touch ${path(file)}.begun; until [ -e ${path(file)} ]; do sleep 0.1; done; echo done`;

    const over = await sbatch(cluster, [...small, "-o", "over.out", "--wrap", "exit 7"]);
    const [rowBefore] = await ended(cluster, [over], ["JobID", "State", "ExitCode", "Start", "End", "NodeList"]);
    const running = await sbatch(cluster, [...small, "-o", "running.out", "--wrap", waits("finish")]);
    const array = await sbatch(cluster, [
      ...small,
      "--array=0-3%1",
      "-o",
      "array-%a.out",
      "--wrap",
      `[ "$SLURM_ARRAY_TASK_ID" = 0 ] && exit 0; ${waits("array")}`,
    ]);
    const dependent = await sbatch(cluster, [
      ...small,
      "-d",
      `afterok:${running}`,
      "-o",
      "dependent.out",
      "--wrap",
      "echo after",
    ]);
    const held = await sbatch(cluster, [...small, "-H", "-o", "/dev/null", "--wrap", "true"]);
    await waitForFile(`${path("finish")}.begun`);
    await waitForFile(`${path("array")}.begun`);
    await waitForState(cluster, running, "RUNNING");
    const before = await objectsOf(cluster);

    if (how === "stopped") assert.equal((await cluster.berth(["down", "--data", cluster.data])).code, 0);
    else for (const pid of nodeProcesses(cluster.data)) process.kill(pid, "SIGKILL");
    program = join(repository, "berth");
    await cluster.up();

    const now = await objectsOf(cluster);
    for (const [key, object] of before) {
      const later = now.get(key);
      // Pods of what has just ended may be gone.
      if (key.startsWith("pods ") && later === undefined) continue;
      assert.ok(later !== undefined, `${key} (${object.metadata.name}) is gone`);
      // The counter gives back what it had taken ahead.
      if (object.metadata.name === "job-ids") continue;
      for (const part of ["spec", "data"])
        assert.ok(holds(partOf(later, part), partOf(object, part)), `${part} of ${object.metadata.name}`);
    }
    await waitForState(cluster, running, "RUNNING");
    assert.equal(await squeueField(cluster, held, "%T"), "PENDING");
    const [rowAfter] = await ended(cluster, [over], ["JobID", "State", "ExitCode", "Start", "End", "NodeList"]);
    assert.deepEqual(rowAfter, rowBefore);

    writeFileSync(path("finish"), "");
    writeFileSync(path("array"), "");
    const states = await ended(cluster, [running, dependent, array], ["State"]);
    assert.deepEqual(new Set(states.map(({ State }) => State)), new Set(["COMPLETED"]));
    assert.equal(states.length, 6, "each job and element has one row");
    assert.equal(readFileSync(path("running.out"), "utf8"), "done\n");
    for (const task of [1, 2, 3]) assert.equal(readFileSync(path(`array-${task}.out`), "utf8"), "done\n");
    const next = await sbatch(cluster, [...small, "-o", "next.out", "--wrap", "true"]);
    assert.ok(next > held, "ids go on");
    await ended(cluster, [next], ["State"]);
    await cluster.berth(["scancel", String(held)]);
    await waitFor("all to be well", async () => ((await cluster.berth(["status"])).code === 0 ? true : undefined));
  });
}
