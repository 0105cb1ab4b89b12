/**
 * The wrapper as a kubelet starts it: process 1 of a container whose image holds busybox and nothing else. The image is a folder, the
 * container is made of namespaces.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { argumentsFile, environmentFile, openFailureExitCode, wrapperScript } from "./wrapper.ts";

const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));
const isStatic =
  busybox !== undefined && !readFileSync(busybox).subarray(0, 8192).toString("latin1").includes("ld-linux");
const applets =
  busybox === undefined
    ? []
    : spawnSync(busybox, ["--list"], { encoding: "utf8" })
        .stdout.split("\n")
        .filter((name) => name !== "" && name !== "busybox");
const root = mkdtempSync(join(tmpdir(), "berth-image-"));
after(() => rmSync(root, { recursive: true, force: true }));
const namespaces = [...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"]), "--mount", "--pid", "--fork"];

function image(name: string): string {
  const folder = join(root, name);
  for (const path of ["bin", "tmp", "dev", "proc", "berth", "data"]) mkdirSync(join(folder, path), { recursive: true });
  cpSync(busybox!, join(folder, "bin", "busybox"));
  for (const applet of applets) symlinkSync("busybox", join(folder, "bin", applet));
  writeFileSync(join(folder, "dev", "null"), "");
  writeFileSync(join(folder, "dev", "termination-log"), "");
  return folder;
}

const probe = spawnSync("unshare", [...namespaces, "true"]).status === 0;
const skip =
  busybox === undefined
    ? "busybox is not installed"
    : !isStatic
      ? "this busybox is not linked statically (package busybox-static is)"
      : !probe
        ? "no namespaces can be made here"
        : false;

interface Run {
  folder: string;
  stdout: () => string;
  ended: Promise<number | null>;
  /** To process 1 of the container. */
  signal: (name: NodeJS.Signals) => void;
}

let count = 0;
function start(
  script: string,
  env: Record<string, string> = {},
  submitted: { environment?: Record<string, string>; words?: string[]; gate?: string } = {},
): Run {
  const folder = image(`i${count++}`);
  const write = (name: string, text: string): void => writeFileSync(join(folder, "berth", name), text);
  write("run", wrapperScript);
  write("slurm_script", script);
  chmodSync(join(folder, "berth", "slurm_script"), 0o555);
  write("environment", environmentFile(submitted.environment ?? {}));
  if (submitted.gate !== undefined) writeFileSync(join(folder, "gate"), submitted.gate);
  write("arguments", argumentsFile(submitted.words ?? []));
  const setup = `mount --bind /dev/null ${folder}/dev/null && mount -t proc proc ${folder}/proc && exec chroot ${folder} /bin/sh /berth/run`;
  const child = spawn("unshare", [...namespaces, "sh", "-c", setup], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", BERTH_LOG_COPY: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  return {
    folder,
    stdout: () => stdout,
    ended: new Promise((resolve) => child.on("close", resolve)),
    signal(name) {
      const first = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
      process.kill(Number(first), name);
    },
  };
}

async function until(what: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !what(); await pause(20)) assert.ok(Date.now() < end, "it does not happen");
}

const output = (run: Run): string => {
  const path = join(run.folder, "data/deep/out");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
};
const toFile = { BERTH_OUTPUT: "/data/deep/out", BERTH_CHDIR: "/data" };

describe("the wrapper as process 1 of a busybox image", { skip, concurrency: true }, () => {
  test("environment, arguments, directory, output, its copy in the log, and the exit code", async () => {
    const script = `#!/bin/sh\necho "$0|$1|$2|$GREETING|$SLURM_JOB_ID|$(pwd)|$(env | grep -c BERTH_)|$(cat)"\ntr '\\0' '\\n' </proc/$$/environ | grep odd\nexit 7\n`;
    const environment = { GREETING: "it's\nme", SLURM_JOB_ID: "1", "odd%%": "as it is" };
    const run = start(script, { ...toFile, SLURM_JOB_ID: "42" }, { environment, words: ["a b", ""] });
    assert.equal(await run.ended, 7, run.stdout());
    assert.equal(output(run), "/berth/slurm_script|a b||it's\nme|42|/data|2|\nodd%%=as it is\n");
    assert.equal(run.stdout(), output(run));
  });

  test("USR1 to process 1 reaches the script, TERM every process, and what they say is kept", async () => {
    const script = `#!/bin/sh
(trap 'echo child; exit' TERM; while :; do sleep 0.1; done) & child=$!
trap 'echo got' USR1
trap 'wait $child; echo end; exit 9' TERM
echo up
while :; do sleep 0.1; done
`;
    const run = start(script, toFile);
    await until(() => output(run).includes("up"));
    run.signal("SIGUSR1");
    await until(() => output(run).includes("got"));
    run.signal("SIGTERM");
    assert.equal(await run.ended, 9);
    // busybox says of each sleep that it was terminated.
    const said = output(run)
      .split("\n")
      .filter((line) => line !== "Terminated");
    assert.deepEqual(said, ["up", "got", "child", "end", ""]);
    assert.equal(run.stdout(), output(run));
  });

  test("a gang's gate is waited for", async () => {
    const run = start("#!/bin/sh\necho begun\n", { ...toFile, BERTH_GATE: "/gate" }, { gate: "closed" });
    await pause(300);
    assert.equal(output(run), "");
    writeFileSync(join(run.folder, "gate"), "open");
    assert.equal(await run.ended, 0);
    assert.equal(output(run), "begun\n");
  });

  test("whoever outlives the script and holds its output does not hold the job", async () => {
    const began = Date.now();
    const run = start("#!/bin/sh\nsleep 300 &\necho done\n", toFile);
    assert.equal(await run.ended, 0);
    assert.equal(output(run), "done\n");
    assert.ok(Date.now() - began < 60_000);
  });

  test("what cannot be opened or begun is said where a kubelet reads it", async () => {
    const unopened = start("#!/bin/sh\n", { BERTH_OUTPUT: "/proc/nothing/out" });
    assert.equal(await unopened.ended, openFailureExitCode);
    const report = JSON.parse(readFileSync(join(unopened.folder, "dev/termination-log"), "utf8")) as {
      failure: string;
      message: string;
    };
    assert.equal(report.failure, "output");
    assert.match(report.message, /could not open the output file \/proc\/nothing\/out: /);
    const bash = start("#!/bin/bash\necho no\n", toFile);
    assert.equal(await bash.ended, 2);
    assert.match(output(bash), /execve\(\): bad interpreter\(\/bin\/bash\): No such file or directory/);
    const killed = start("#!/bin/sh\nkill -9 $$\n", toFile);
    assert.equal(await killed.ended, 137);
  });
});
