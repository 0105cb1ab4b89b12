/** The embedded API server beside the real one: the same requests, and answers that differ only where it is known and said why. */
import { startApiServer } from "@berth/apiserver";
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { startControlPlane, withoutControlPlane } from "../kube/control-plane.ts";
import { differences, judge, normalise, type Known } from "./compare.ts";
import { play, type Answer } from "./play.ts";
import { changeScripts } from "./requests/changes.ts";
import { clusterScripts } from "./requests/cluster.ts";
import { definitionScripts } from "./requests/definitions.ts";
import { objectScripts } from "./requests/objects.ts";
import { rightScripts } from "./requests/rights.ts";
import { workloadScripts } from "./requests/workloads.ts";

const scripts = [
  ...objectScripts,
  ...changeScripts,
  ...clusterScripts,
  ...workloadScripts,
  ...rightScripts,
  ...definitionScripts,
];

/** What the embedded server does by itself; Jobs and nodes are others' there too. */
const controllers = ["namespace-controller", "garbage-collector-controller", "serviceaccount-controller"];

async function askEmbedded(): Promise<Map<string, Answer[]>> {
  const folder = mkdtempSync(join(tmpdir(), "berth-conformance-"));
  const server = await startApiServer({ dataDirectory: folder });
  try {
    return await play(server.adminKubeconfig, scripts);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function askReal(): Promise<Map<string, Answer[]>> {
  await using controlPlane = await startControlPlane({
    scheduler: false,
    controllerManagerFlags: [`--controllers=${controllers.join(",")}`],
  });
  return await play(controlPlane.kubeconfig, scripts);
}

function compare(embedded: Map<string, Answer[]>, real: Map<string, Answer[]>): string[] {
  return [...real].flatMap(([script, answers]) =>
    answers.flatMap(({ step, given }, at) =>
      differences(normalise(embedded.get(script)![at]!.given), normalise(given)).map(
        (line) => `${script}: ${step}: ${line}`,
      ),
    ),
  );
}

const without = withoutControlPlane();

describe("the embedded API server and the real one", { skip: without, timeout: 300_000 }, () => {
  it("answer alike but for what is listed", async (context) => {
    const known = JSON.parse(readFileSync(join(import.meta.dirname, "differences.json"), "utf8")) as Known[];
    const [embedded, real] = await Promise.all([askEmbedded(), askReal()]);
    const found = compare(embedded, real);
    // For whoever is to bring the list up to date.
    const file = process.env["BERTH_CONFORMANCE_LINES"];
    if (file !== undefined) writeFileSync(file, `${found.join("\n")}\n`);
    const asked = scripts.reduce((sum, { steps }) => sum + steps.length, 0);
    context.diagnostic(`${asked} steps, ${found.length} lines that differ, ${known.length} reasons`);
    assert.deepEqual(judge(found, known), []);
  });
});
