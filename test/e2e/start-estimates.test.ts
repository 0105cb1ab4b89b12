/** `sbatch --test-only`, what can never run, and expected starts. */
import { loadKubeconfig } from "@berth/client";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { get } from "node:https";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { startCluster } from "../support/berth.ts";
import { ended, sbatch, small, squeueField, waitForState, writeScript } from "../support/jobs.ts";
import { waitFor } from "../support/waiting.ts";

const cores = availableParallelism();
const sentence =
  /^sbatch: Job (\d+) to start at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d) using (\d+) processors on nodes (\S+) in partition standard\n/;

test(
  "--test-only tells when, and makes no job; what can never run is refused alike",
  { timeout: 900_000 },
  async () => {
    await using cluster = await startCluster();
    const ask = (words: string[]) => cluster.berth(["sbatch", "--test-only", ...words, "--wrap", "true"]);
    const now = await ask([]);
    assert.equal(now.code, 0, now.stderr);
    const [, next, start, processors] = sentence.exec(now.stderr) ?? assert.fail(now.stderr);
    assert.ok(Math.abs(new Date(start!).getTime() - Date.now()) < 60_000, start);
    assert.equal(processors, "1");
    assert.equal(now.stdout, "");

    const holder = await sbatch(cluster, ["-t", "10", "-c", String(cores), "--mem=50M", "--wrap", "sleep 400"]);
    assert.equal(holder, Number(next), "no job was made, and no id was taken");
    await waitForState(cluster, holder, "RUNNING");
    const later = await ask(small);
    assert.equal(later.code, 0, later.stderr);
    const seconds = (new Date(sentence.exec(later.stderr)?.[2] ?? "").getTime() - Date.now()) / 1000;
    assert.ok(seconds > 300 && seconds < 700, later.stderr);
    assert.match(later.stderr, /reason Resources: \S/);

    const impossible: [string[], RegExp, RegExp][] = [
      [["-N", "5"], /Requested node configuration is not available/, /needs 5 nodes at once; 1 node of queue standard/],
      [["-c", String(cores + 1)], /Requested node configuration is not available/, /on one node; the largest has/],
      [["--mem=900T"], /Requested node configuration is not available/, /of memory on one node; the largest has/],
      [["-w", "n99"], /Invalid node name specified/, /there is no node n99/],
      [["-x", "node-1"], /Requested node configuration is not available/, /excludes all nodes of queue standard/],
      [["-t", "400-0"], /Requested time limit is invalid/, /queue standard allows at most/],
      [["-p", "nope"], /Invalid partition name specified/, /there is no queue nope/],
    ];
    for (const [words, slurm, own] of impossible) {
      for (const mode of [["--test-only"], []]) {
        const { code, stdout, stderr } = await cluster.berth(["sbatch", ...mode, ...words, "--wrap", "true"]);
        assert.equal(code, 1, `${words.join(" ")}: ${stderr}`);
        assert.match(stderr, slurm);
        assert.match(stderr, own);
        assert.equal(stdout, "");
      }
    }
    await cluster.berth(["scancel", String(holder)]);
  },
);

test("squeue --start and berth explain tell the same start, soon after submission", { timeout: 900_000 }, async () => {
  await using cluster = await startCluster();
  const submit = (): Promise<number> =>
    sbatch(cluster, ["-t", "10", "-c", String(cores), "--mem=50M", "-o", "/dev/null", "--wrap", "sleep 400"]);
  const first = await submit();
  await waitForState(cluster, first, "RUNNING");
  const second = await submit();
  const behind = await submit();
  const start = await waitFor("the start to be told", async () => {
    const told = await squeueField(cluster, behind, "%S");
    return told === undefined || told === "N/A" ? undefined : told;
  });
  assert.equal(await squeueField(cluster, behind, "%r"), "Priority");
  const { stdout } = await cluster.berth(["explain", String(behind)]);
  assert.ok(stdout.includes(start.split("T")[1]!), `${start}: ${stdout}`);
  await cluster.berth(["scancel", ...[first, second, behind].map(String)]);
});

test(
  "the error of expected starts is recorded and told, in words, figures and metrics",
  { timeout: 900_000 },
  async () => {
    await using cluster = await startCluster();
    const go = join(cluster.directory, "go");
    const words = (command: string): string[] => [
      "-t",
      "10",
      "-c",
      String(cores),
      "--mem=50M",
      "-o",
      "/dev/null",
      "--wrap",
      command,
    ];
    await waitForState(cluster, await sbatch(cluster, words(`while [ ! -e ${go} ]; do sleep 0.1; done`)), "RUNNING");
    const waiter = await sbatch(cluster, words("true"));
    const told = await waitFor("the start to be told", async () => {
      const start = await squeueField(cluster, waiter, "%S");
      return start === undefined || start === "N/A" ? undefined : start;
    });
    const scheduled = await cluster.berth(["squeue", "--start", "-h", "-j", String(waiter), "-o", "%S %Y %r"]);
    assert.match(scheduled.stdout, /^\S+ node-1 Resources\n$/);
    writeFileSync(go, "");
    const [row] = await ended(cluster, [waiter], ["Start"]);
    const error = (Date.parse(row!.Start!) - Date.parse(told)) / 1000;
    assert.ok(error < -500, "it was told the holder's whole wall time, and began when that ended");
    const { stdout } = await cluster.berth(["history", "--estimates", "-o", "json"]);
    const { items } = JSON.parse(stdout) as {
      items: {
        jobs: number;
        late: number;
        leadFromSeconds?: number;
        first: { medianSeconds: number; p90Seconds: number };
      }[];
    };
    assert.deepEqual(
      items.map(({ jobs, late, leadFromSeconds }) => [jobs, late, leadFromSeconds]),
      [
        [1, 0, undefined],
        [1, 0, 600],
      ],
    );
    assert.ok(Math.abs(items[0]!.first.medianSeconds - error) <= 2, `${items[0]!.first.medianSeconds} ${error}`);
    assert.equal(items[0]!.first.p90Seconds, -items[0]!.first.medianSeconds);
    assert.match(
      (await cluster.berth(["status"])).stdout,
      /expected starts of the last day: .* earlier than first told/,
    );
    assert.match((await cluster.berth(["history", "--estimates"])).stdout, /TOLD AHEAD +JOBS +MEDIAN/);
    const { connection } = loadKubeconfig({ path: join(cluster.data, "admin.kubeconfig") });
    const headers = { authorization: `Bearer ${connection.token as string}` };
    const answer = get(`${connection.server}/metrics`, { ca: connection.ca, headers });
    const [response] = (await once(answer, "response")) as [IncomingMessage];
    const metrics = await text(response);
    assert.match(metrics, /^berth_start_estimate_jobs\{lead="600-3600"\} 1$/m);
  },
);

test(
  "files are the submitter's by mask and name; one that cannot be opened is 0:53",
  { timeout: 900_000 },
  async () => {
    await using cluster = await startCluster();
    const script = writeScript(cluster, "naïve-日本.sh", "#!/bin/sh\n#SBATCH --comment=größer\numask\nprintf 'é\\n'\n");
    const command = `umask 027; exec "$0" sbatch --parsable -o out.txt '${script}'`;
    const program = join(import.meta.dirname, "..", "..", "berth");
    const { run } = await import("../support/berth.ts");
    const outcome = await run("/bin/sh", ["-c", command, program], {
      cwd: cluster.directory,
      env: { BERTH_CONTEXT: cluster.data },
    });
    assert.equal(outcome.code, 0, outcome.stderr);
    const job = Number(outcome.stdout);
    const closed = await sbatch(cluster, ["-o", "/proc/none/out", "--wrap", "true"]);
    const [row, failed] = await ended(cluster, [job, closed], ["JobName", "State", "ExitCode"]);
    assert.equal(row!.State, "COMPLETED");
    assert.equal(row!.JobName, "naïve-日本.sh");
    assert.equal(readFileSync(join(cluster.directory, "out.txt"), "utf8"), "0027\né\n");
    assert.equal(statSync(join(cluster.directory, "out.txt")).mode & 0o777, 0o640);
    assert.deepEqual([failed!.State, failed!.ExitCode], ["FAILED", "0:53"]);
  },
);
