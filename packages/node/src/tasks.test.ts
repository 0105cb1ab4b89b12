import assert from "node:assert/strict";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Pod, TaskVariables } from "@berth/kinds";
import { chooseDriver, type Driver } from "./driver.ts";
import { bootId, hostTools, uptimeSeconds } from "./host.ts";
import { Tasks, type TaskEnd, type TaskRequest } from "./tasks.ts";
import { LeaseRun } from "./lease-run.ts";
import { groupWords } from "./task.ts";
import { Watchdog } from "./watchdog.ts";

const asRoot = process.getuid!() === 0;
// Launchers do not keep a process alive, and nothing else does here.
const alive = setInterval(() => {}, 1000);
after(() => clearInterval(alive));

const drivers: [string, ReturnType<typeof chooseDriver>][] = [
  ["bubblewrap", chooseDriver(undefined)],
  ["unshare alone", chooseDriver(undefined, { ...hostTools(), bwrap: undefined })],
  ["no namespaces", chooseDriver("process")],
];

for (const [name, { driver, whyNotSandbox }] of drivers) {
  const skip = name !== "no namespaces" && driver.name === "process" && `this machine has no sandbox: ${whyNotSandbox}`;
  describe(`tasks with ${name}`, { skip }, () => suite(driver));
}

function suite(driver: Driver): void {
  const directory = mkdtempSync(join(tmpdir(), "berth-tasks-"));
  const outside = mkdtempSync(join(tmpdir(), "berth-outside-"));
  chmodSync(outside, 0o777);
  mkdirSync(join(directory, "volume"));
  writeFileSync(join(directory, "volume", "run"), `echo "sourced $#"; exit 4\n`);
  const watchdog = new Watchdog(directory);
  const tasks = new Tasks({ directory, cgroups: undefined, watchdog, log: () => {} });
  after(async () => {
    await tasks.close();
    rmSync(directory, { recursive: true, force: true });
    rmSync(outside, { recursive: true, force: true });
  });
  const sandboxed = driver.name === "sandbox";
  const identity = { uid: 65534, gid: 65534, groups: [] };
  let count = 0;

  function run(
    command: string[],
    more: Partial<TaskRequest> = {},
    pod = `pod-${count++}`,
    by = tasks,
  ): Promise<TaskEnd & { log: string }> {
    const source = join(directory, "volume");
    const volumes = ["/berth", "/etc/of/berth"].map((target) => ({ source, target, readOnly: true }));
    const launcher = driver.launcher("n1", { writable: [], volumes: sandboxed ? volumes : [], hidden: [directory] });
    if (asRoot) launcher.wrapping = [...groupWords(identity, hostTools()), "--", ...launcher.wrapping];
    const request: TaskRequest = {
      run: `${pod}/main.0`,
      launcher,
      plan: {
        command,
        environment: { PATH: "/usr/bin:/bin", BERTH_INIT: "1", BERTH_POD_UID: pod },
        workingDirectory: "/",
        identity: asRoot ? identity : undefined,
        namespaces: driver.namespaces,
      },
      graceSeconds: 1,
      ...more,
    };
    return by.run(request).then((end) => ({
      ...end,
      log: readFileSync(join(directory, "pods", pod, "main.0", "log"), "utf8"),
    }));
  }
  const sh = (script: string, more?: Partial<TaskRequest>) => run(["sh", "-c", script], more);

  test("exit codes and signals are told apart", async () => {
    for (const [script, exitCode, signal] of [
      ["exit 0", 0, undefined],
      ["exit 143", 143, undefined],
      ["kill -TERM $$", 143, 15],
      ["kill -USR1 $$", 138, 10],
    ] as const) {
      const end = await sh(script);
      assert.deepEqual([end.exitCode, end.signal], [exitCode, signal], script);
    }
    assert.equal((await run(["/no/such/program"])).exitCode, 127);
  });

  test("SIGINT is not ignored", async () => {
    assert.equal((await sh("kill -INT $$; exit 0")).exitCode, 130);
  });

  test("killing the own process group ends nothing but the job", async () => {
    const end = await sh("trap 'kill 0' EXIT; exit 5");
    assert.deepEqual([end.exitCode, end.signal], [143, 15]);
    assert.equal((await sh("exit 6")).exitCode, 6);
  });

  test("nothing of the data folder and the machine is to be had", { skip: !sandboxed && "no sandbox" }, async () => {
    const end = await sh(
      `hostname; echo $$; ls ${directory}; ls /berth /etc/of/berth; test -e /etc/passwd && echo kept`,
    );
    assert.equal(end.log, "n1\n2\n/berth:\nrun\n\n/etc/of/berth:\nrun\nkept\n");
    const escape = await sh(
      `umount ${directory}; mount -o remount,rw /; touch /usr/made /etc/made /etc/of/made /made; ls ${directory}; true`,
    );
    assert.ok(!existsSync("/usr/made") && !existsSync("/etc/made") && !existsSync("/made"));
    assert.ok(!escape.log.includes("volume"));
    assert.match((await run(["/bin/sh", "/berth/run"])).log, /^sourced 0\n$/);
  });

  test("ends with all that it left behind", { skip: !sandboxed && "the agent's work without a sandbox" }, async () => {
    await sh(`setsid sleep 4244.${process.pid} >/dev/null 2>&1 & exit 0`);
    assert.ok(!commandLines().includes(`sleep\u00004244.${process.pid}\u0000`));
  });

  test("its time ends it, TERM ignored and processes gone astray", async () => {
    const deadline = { uptimeSeconds: uptimeSeconds() + 1, stage: "timelimit" };
    const end = await sh(`trap '' TERM; (setsid sleep 4245.${process.pid} &); while :; do sleep 0.2; done`, {
      deadline,
    });
    assert.deepEqual([end.ending, end.signal], ["timelimit", 9]);
    // Who was killed may take a moment to die.
    await until(() => !commandLines().includes(`sleep\u00004245.${process.pid}\u0000`));
  });

  test("TERM ends what does not ignore it, with its own exit code", async () => {
    const deadline = { uptimeSeconds: uptimeSeconds(), stage: "timelimit" };
    const end = await sh("trap 'exit 9' TERM; while :; do sleep 0.1; done", { deadline, graceSeconds: 20 });
    assert.deepEqual([end.ending, end.exitCode, end.signal], ["timelimit", 9, undefined]);
  });

  async function lease(
    tasksOf: number[],
    script: string,
    {
      seconds = 5,
      deadline,
      pod = `lease-${count++}`,
    }: { seconds?: number; deadline?: `+${number}`; pod?: string } = {},
    meanwhile?: (run: LeaseRun) => Promise<void>,
  ) {
    const leaseRun = new LeaseRun(tasks, `${pod}/main.0`, { tasks: tasksOf, seconds }, tasksOf);
    const variables: TaskVariables = {
      SLURM_ARRAY_TASK_ID: [{ of: "task" }],
      OUT: [`${outside}/it's `, { of: "job", width: 6 }, "-", { of: "digit" }, "-", { of: "task", width: 3 }],
    };
    const done = run(
      ["sh", "-c", script],
      {
        lease: { tasks: tasksOf, seconds },
        ...(deadline === undefined ? {} : { deadline: { uptimeSeconds: deadline, stage: "timelimit" } }),
        plan: {
          command: ["sh", "-c", script],
          environment: { PATH: "/usr/bin:/bin", BERTH_INIT: "1", BERTH_POD_UID: pod },
          workingDirectory: "/",
          identity: asRoot ? identity : undefined,
          namespaces: driver.namespaces,
          each: { variables, firstJobId: 4000 },
        },
      },
      pod,
    );
    leaseRun.begun();
    await meanwhile?.(leaseRun);
    const end = await done;
    leaseRun.close();
    return { end, ...leaseRun.report() };
  }
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  test("a lease: each task in its turn, with its own environment, exit code, signal and time", async () => {
    const { ended, left } = await lease(
      [7, 8, 19],
      `echo "$SLURM_ARRAY_TASK_ID $$" >"$OUT"; case $SLURM_ARRAY_TASK_ID in 8) exit 3 ;; 19) kill -TERM $$ ;; esac`,
    );
    assert.deepEqual(
      ended.map(({ task, exitCode, signal, ending }) => [task, exitCode, signal, ending]),
      [
        [7, 0, undefined, undefined],
        [8, 3, undefined, undefined],
        [19, 143, 15, undefined],
      ],
    );
    assert.deepEqual(left, []);
    for (const [file, task] of [
      ["004007-7-007", 7],
      ["004008-8-008", 8],
      ["004019-9-019", 19],
    ] as const) {
      const [index, pid] = readFileSync(join(outside, `it's ${file}`), "utf8")
        .trim()
        .split(" ");
      assert.equal(Number(index), task);
      if (sandboxed) assert.equal(pid, "2", "in a pid namespace of its own");
    }
    for (let at = 1; at < ended.length; at++) {
      assert.ok(ended[at]!.startedAt >= ended[at - 1]!.startedAt + ended[at - 1]!.milliseconds - 1);
    }
  });

  test("a lease begins nothing more when its time is over; what was not begun is left", async () => {
    const { ended, left } = await lease([1, 2, 3, 4, 5, 6], "sleep 0.6", { seconds: 1 });
    assert.ok(ended.length >= 1 && left.length >= 3, JSON.stringify({ ended, left }));
    assert.deepEqual([...ended.map(({ task }) => task), ...left], [1, 2, 3, 4, 5, 6]);
  });

  test("one task of a lease is cancelled before it begins, one while it runs, the others go on", async () => {
    const script = `[ $SLURM_ARRAY_TASK_ID != 2 ] || { echo >${outside}/two; sleep 30; }; [ $SLURM_ARRAY_TASK_ID != 3 ] || echo ran >${outside}/three; exit 0`;
    const { ended, left } = await lease([1, 2, 3, 4], script, { seconds: 60 }, async (leaseRun) => {
      await until(() => {
        leaseRun.look();
        return leaseRun.state?.running === 2 && existsSync(join(outside, "two"));
      });
      const pod = { metadata: { annotations: { "berth.dev/cancel-tasks": "2-3" } } } as unknown as Pod;
      leaseRun.update(pod, 5);
    });
    assert.deepEqual(
      ended.map(({ task, exitCode, signal, ending }) => [task, exitCode, signal, ending]),
      [
        [1, 0, undefined, undefined],
        [2, 143, 15, "cancelled"],
        [4, 0, undefined, undefined],
      ],
    );
    assert.deepEqual(left, [3]);
    assert.ok(!existsSync(join(outside, "three")));
  });

  test("what is only just beginning hears TERM too, and is not left to KILL", async () => {
    const words = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        const pod = `beginning-${index + 10}`;
        const ending = run(["sleep", "100"], { graceSeconds: 40 }, pod);
        await until(() => tasks.state(`${pod}/main.0`) !== undefined);
        tasks.end(`${pod}/main.0`, 40, "deleted");
        const end = await ending;
        return `${end.exitCode} ${end.signal} ${end.ending}`;
      }),
    );
    assert.deepEqual([...new Set(words)], ["143 15 deleted"]);
  });

  test("the wall time of a lease is that of each task", async () => {
    const { ended } = await lease([1, 2, 3], "[ $SLURM_ARRAY_TASK_ID != 2 ] || sleep 30", {
      seconds: 60,
      deadline: "+1",
    });
    assert.deepEqual(
      ended.map(({ task, exitCode, ending }) => [task, exitCode, ending]),
      [
        [1, 0, undefined],
        [2, 143, "timelimit"],
        [3, 0, undefined],
      ],
    );
  });

  test("a lease whose pod is deleted ends what runs and leaves the rest", async () => {
    const { ended, left } = await lease([1, 2, 3], "sleep 30", { seconds: 60 }, async (leaseRun) => {
      await until(() => {
        leaseRun.look();
        return leaseRun.state?.running === 1;
      });
      leaseRun.end("deleted", 5);
    });
    assert.deepEqual([ended.map(({ task, ending }) => [task, ending]), left], [[[1, "deleted"]], [2, 3]]);
  });

  test("a run is never begun twice, by whichever agent", async () => {
    const other = new Tasks({ directory, cgroups: undefined, watchdog, log: () => {} });
    const command = ["sh", "-c", `echo x >> ${outside}/once; sleep 0.2; exit 3`];
    const ends = await Promise.all([run(command, {}, "once"), run(command, {}, "once", other)]);
    assert.deepEqual(
      ends.map(({ exitCode }) => exitCode),
      [3, 3],
    );
    assert.equal((await run(command, {}, "once", other)).exitCode, 3);
    assert.equal(readFileSync(join(outside, "once"), "utf8"), "x\n");
    await other.close();
  });

  test("a run whose launcher has not said yet who it is has not ended", async () => {
    const folder = join(directory, "pods", "decided", "main.0");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "task"), `#${JSON.stringify({ bootId: bootId() })}\n`);
    for (const name of ["log", "state"]) writeFileSync(join(folder, name), "");
    let ended: TaskEnd | undefined;
    const end = run(["true"], {}, "decided").then((found) => (ended = found));
    await pause(300);
    assert.equal(ended, undefined);
    const stat = readFileSync("/proc/self/stat", "utf8").trim();
    appendFileSync(join(folder, "state"), `stat ${stat}\nuptime 1\n`);
    await pause(300);
    assert.equal(ended, undefined);
    appendFileSync(join(folder, "state"), "code 3\nended 3 2\n");
    assert.equal((await end).exitCode, 3);
  });
}

function commandLines(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, "utf8");
      } catch {
        return "";
      }
    });
}
