/**
 * Disks that run full: what was acknowledged stays, jobs go on, and all goes on by itself when there is room again. The disks are
 * small ones in memory, mounted by root; anybody else runs this file once more in a namespace where they may.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { startCluster, type TestCluster } from "../support/berth.ts";
import { ended, sbatch, small, waitForState } from "../support/jobs.ts";
import { waitFor, waitForFile } from "../support/waiting.ts";

const given = process.env["BERTH_TEST_DISKS"];
const base = given ?? mkdtempSync(join(tmpdir(), "berth-disks-"));
const disks = [
  { path: join(base, "whole"), size: "16m" },
  { path: join(base, "parts", "nodes"), size: "512k" },
  { path: join(base, "accounting"), size: "512k" },
  { path: join(base, "output"), size: "64k" },
];
if (given === undefined) for (const { path } of disks) mkdirSync(path, { recursive: true, mode: 0o700 });
const mounts = disks.map(({ path, size }) => `mount -t tmpfs -o size=${size},mode=0700 tmpfs ${path}`).join(" && ");
// Lazily: the watchdog of a node that was stopped goes some seconds later.
const unmountAll = (): void => disks.forEach(({ path }) => void spawnSync("umount", ["-l", path], { stdio: "ignore" }));
const mounted = given !== undefined || spawnSync("sh", ["-c", mounts], { stdio: "ignore" }).status === 0;
if (!mounted) unmountAll();
// Rights to mount and nothing else: they are gone before anything of Berth starts.
const dropping = ["setpriv", "--ambient-caps", "-all", "--inh-caps", "-all"];
const inNamespace = (...program: string[]): string[] =>
  ["--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", `${mounts} && exec "$@"`, "sh"].concat(
    dropping,
    program,
  );
const unshared = !mounted && spawnSync("unshare", inNamespace("true"), { stdio: "ignore" }).status === 0;
after(() => {
  if (given !== undefined) return;
  if (mounted) unmountAll();
  rmSync(base, { recursive: true, force: true });
});

const skip = mounted
  ? false
  : unshared
    ? "done in a namespace"
    : "no disk can be mounted here: this is neither root, nor are there user namespaces";

test("not root: these tests in a namespace", { skip: !unshared, timeout: 600_000 }, () => {
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const outcome = spawnSync("unshare", inNamespace(process.execPath, "--test", import.meta.filename), {
    env: { ...environment, BERTH_TEST_DISKS: base },
    encoding: "utf8",
  });
  assert.equal(outcome.status, 0, `${outcome.stdout}${outcome.stderr}`);
});

/** Takes all the room there is, or all but so many bytes; gives it back when called. */
function fill(folder: string, leaveBytes = 0): () => void {
  const path = join(folder, `filler-${leaveBytes}`);
  for (let size = 1 << 20; size >= 1; size >>= 2) {
    for (;;) {
      const { bavail, bsize } = statfsSync(folder);
      if (leaveBytes > 0 && bavail * bsize - leaveBytes < size) break;
      try {
        writeFileSync(path, Buffer.alloc(size), { flag: "a" });
      } catch {
        break;
      }
    }
  }
  return () => rmSync(path);
}

/** A job that says when it has begun, and ends when it is told to. */
async function waitingJob(
  cluster: TestCluster,
  name: string,
  code: number,
): Promise<{ id: number; finish: () => Promise<void> }> {
  const begun = join(cluster.directory, `${name}.begun`);
  const finish = join(cluster.directory, `${name}.finish`);
  const output = join(cluster.directory, `${name}.out`);
  const wrap = `touch ${begun}; until [ -e ${finish} ]; do sleep 0.1; done; echo ended; exit ${code}`;
  const id = await sbatch(cluster, [...small, "-o", output, "--wrap", wrap]);
  await waitForFile(begun);
  await waitForState(cluster, id, "RUNNING");
  return {
    id,
    async finish() {
      writeFileSync(finish, "");
      await waitFor(`the last word of ${name}`, () => (readFileSync(output, "utf8") === "ended\n" ? true : undefined));
    },
  };
}

test("of the data folder: refused in words, nothing lost, all goes on", { skip, timeout: 240_000 }, async () => {
  await using cluster = await startCluster({ data: join(base, "whole", "data") });
  const first = await waitingJob(cluster, "first", 3);
  const second = await waitingJob(cluster, "second", 0);
  const acknowledged = [first.id, second.id];
  // The room shrinks to nothing under submissions: each is acknowledged, and then holds, or is refused in words; or it is stored
  // and nothing more can be, which is told too, and of which nothing was acknowledged.
  const makeRoom = fill(join(base, "whole"), 64 << 10);
  let refusal = "";
  for (let count = 0; refusal === ""; count++) {
    assert.ok(count < 200, "the disk does not run full");
    const words = ["sbatch", "--parsable", ...small, "-H", "-J", "held", "-o", "/dev/null", "--wrap", "true"];
    const outcome = await cluster.berth(words, { timeoutSeconds: 60 });
    if (outcome.code === 0) acknowledged.push(Number(outcome.stdout));
    else if (outcome.code === 1) refusal = outcome.stderr;
    else assert.match(outcome.stderr, /has no id yet: no space is left for .*store\.db; waiting for it/);
  }
  const words =
    /^sbatch: error: [^\n]*no space is left for .*store\.db: nothing was changed; make room there and try again\n$/;
  assert.match(refusal, words);
  const makeMoreRoom = fill(join(base, "whole"));

  const status = await cluster.berth(["status"]);
  assert.equal(status.code, 1);
  assert.match(status.stdout, /nothing can be written: no space is left/);
  const listed = async (): Promise<number[]> => {
    const { stdout } = await cluster.berth(["squeue", "-h", "-S", "i", "-o", "%A"]);
    return stdout.split("\n").slice(0, -1).map(Number);
  };
  for (const id of acknowledged) assert.ok((await listed()).includes(id), "what is there can be read");
  await first.finish();

  makeMoreRoom();
  makeRoom();
  const rows = await ended(cluster, [first.id], ["State", "ExitCode"]);
  assert.deepEqual(rows, [{ State: "FAILED", ExitCode: "3:0" }]);
  const afterwards = await listed();
  for (const id of acknowledged.slice(1)) assert.ok(afterwards.includes(id), `job ${id} was acknowledged, and is gone`);
  await second.finish();
  const next = await sbatch(cluster, [...small, "-o", "next.out", "--wrap", "echo next"]);
  const states = await ended(cluster, [second.id, next], ["State"]);
  assert.deepEqual(states, [{ State: "COMPLETED" }, { State: "COMPLETED" }]);
  await waitFor("all to be well", async () => ((await cluster.berth(["status"])).code === 0 ? true : undefined));
});

test("of the node, of accounting, of an output file", { skip, timeout: 240_000 }, async () => {
  const data = join(base, "parts");
  writeFileSync(join(data, "format"), "1\n");
  symlinkSync(join(base, "accounting", "accounting.db"), join(data, "accounting.db"));
  await using cluster = await startCluster({ data });
  const running = await waitingJob(cluster, "running", 0);

  // Its own output is a job's own matter.
  fill(join(base, "output"));
  const output = join(base, "output", "job.out");
  writeFileSync(output, "");
  const writer = await sbatch(cluster, [...small, "-o", output, "--wrap", "echo 1 || exit 7"]);
  assert.deepEqual(await ended(cluster, [writer], ["State", "ExitCode"]), [{ State: "FAILED", ExitCode: "7:0" }]);

  const makeRoomForJobs = fill(join(data, "nodes"));
  const waits = await sbatch(cluster, [...small, "-o", "waits.out", "--wrap", "echo at last"]);
  await waitFor("the job to be told to wait", () =>
    readFileSync(join(data, "logs", "node.log"), "utf8").includes("it starts when there is room") ? true : undefined,
  );
  const makeRoomForRows = fill(join(base, "accounting"));
  await running.finish();
  await waitFor("its row to be refused", () =>
    /no space is left for .*accounting\.db/.test(readFileSync(join(data, "logs", "controllers.log"), "utf8"))
      ? true
      : undefined,
  );
  makeRoomForJobs();
  await waitForFile(join(cluster.directory, "waits.out"));
  makeRoomForRows();
  const rows = await ended(cluster, [running.id, waits], ["State", "ExitCode"]);
  assert.deepEqual(rows, [
    { State: "COMPLETED", ExitCode: "0:0" },
    { State: "COMPLETED", ExitCode: "0:0" },
  ]);
  assert.equal(readFileSync(join(cluster.directory, "waits.out"), "utf8"), "at last\n");
});
