import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, describe, test } from "node:test";
import { findCgroups, type Cgroups } from "./cgroups.ts";
import { chooseDriver, type Driver } from "./driver.ts";
import { hostTools, uptimeSeconds, usableCores } from "./host.ts";
import { LeaseRun } from "./lease-run.ts";
import { type Suspension, Suspensions } from "./suspensions.ts";
import { groupWords } from "./task.ts";
import { Tasks, type TaskEnd, type TaskRequest } from "./tasks.ts";
import { Watchdog } from "./watchdog.ts";

const asRoot = process.getuid!() === 0;
// Launchers do not keep a process alive, and nothing else does here.
const alive = setInterval(() => {}, 1000);
after(() => clearInterval(alive));

/** Of one suite alone. */
function ownGroups(name: string): Cgroups | undefined {
  const groups = findCgroups(`berth-test-${process.pid}-${name}`, usableCores());
  if (groups?.group("probe").freezer === undefined) return undefined;
  after(() => {
    groups.tidy(new Set());
    groups.leave();
  });
  return groups;
}
const [ofSandbox, ofProcess] = [ownGroups("sandbox"), ownGroups("process")];

const sandbox = chooseDriver(undefined);
const noSandbox = sandbox.driver.name === "process" && "this machine has no sandbox";
const noFreezer = ofProcess === undefined && "no control group can be frozen here";
const ways: [string, Driver, Cgroups | undefined, string | false][] = [
  ["STOP, in a sandbox", sandbox.driver, undefined, noSandbox],
  ["STOP, without namespaces", chooseDriver("process").driver, undefined, false],
  ["a control group, in a sandbox", sandbox.driver, ofSandbox, noSandbox || noFreezer],
  ["a control group, without namespaces", chooseDriver("process").driver, ofProcess, noFreezer],
];

describe("suspension", { concurrency: ways.length }, () => {
  for (const [name, driver, cgroups, skip] of ways)
    describe(`by ${name}`, { skip, concurrency: 1 }, () => suite(driver, cgroups));
});

function suite(driver: Driver, cgroups: Cgroups | undefined): void {
  const directory = mkdtempSync(join(tmpdir(), "berth-suspend-"));
  const outside = mkdtempSync(join(tmpdir(), "berth-counted-"));
  chmodSync(outside, 0o777);
  let watchdog = new Watchdog(directory);
  const tasks = new Tasks({ directory, cgroups, watchdog, log: () => {} });
  let suspensions = new Suspensions(directory, watchdog);
  after(async () => {
    await tasks.close();
    rmSync(directory, { recursive: true, force: true });
    rmSync(outside, { recursive: true, force: true });
  });
  const identity = { uid: 65534, gid: 65534, groups: [] };
  let count = 0;

  interface Job {
    pod: string;
    run: string;
    file: string;
    end: Promise<TaskEnd>;
    suspension: Suspension;
    suspend(): Promise<void>;
    resume(): Promise<void>;
  }

  /** Counts on in a file, ten times a second and a second time by a process in a session of its own, until `BYTES` are there. */
  const counting = (file: string, bytes: number): string =>
    `(setsid sh -c 'while sleep 0.1; do [ -s ${file} ] || exit; printf y >> ${file}; done' &)
     while [ $(wc -c < ${file}) -lt ${bytes} ]; do printf x >> ${file}; sleep 0.1; done; exit 6`;

  function start(script: (file: string) => string, more: Partial<TaskRequest> = {}): Job {
    // Those of other suites are not to be taken for it by the mark in their environment.
    const pod = `${basename(directory)}-${count++}`;
    const file = join(outside, pod);
    writeFileSync(file, "x");
    chmodSync(file, 0o666);
    const launcher = driver.launcher("n1", { writable: [outside], volumes: [], hidden: [directory] });
    if (asRoot) launcher.wrapping = [...groupWords(identity, hostTools()), "--", ...launcher.wrapping];
    const run = `${pod}/main.0`;
    const end = tasks.run({
      run,
      launcher,
      plan: {
        command: ["sh", "-c", script(file)],
        environment: { PATH: "/usr/bin:/bin", BERTH_INIT: "1", BERTH_POD_UID: pod },
        workingDirectory: "/",
        identity: asRoot ? identity : undefined,
        namespaces: driver.namespaces,
      },
      graceSeconds: 1,
      ...more,
    });
    return { pod, run, file, end, ...handles(pod, run) };
  }

  function handles(pod: string, run: string): Pick<Job, "suspension" | "suspend" | "resume"> {
    let changed = Promise.withResolvers<void>();
    const suspension = suspensions.of(pod, () => changed.resolve());
    const set = async (isStopped: boolean): Promise<void> => {
      changed = Promise.withResolvers<void>();
      suspension.set(isStopped, [{ run, ...tasks.record(run)! }]);
      await changed.promise;
      assert.equal(suspension.report?.isSuspended, isStopped);
    };
    return { suspension, suspend: () => set(true), resume: () => set(false) };
  }

  const sizeOf = ({ file }: Job): number => statSync(file).size;
  async function begun(job: Job): Promise<void> {
    while (sizeOf(job) < 4) await pause(20);
  }
  async function standsFor(job: Job, milliseconds: number): Promise<void> {
    const before = sizeOf(job);
    await pause(milliseconds);
    assert.equal(sizeOf(job), before);
  }

  test("all of it stands still, and goes on", async () => {
    const job = start((file) => counting(file, 60));
    await begun(job);
    assert.equal(job.suspension.report, undefined);
    await job.suspend();
    await standsFor(job, 1200);
    await job.resume();
    assert.ok(job.suspension.report!.seconds >= 1);
    assert.equal((await job.end).exitCode, 6);
    rmSync(job.file);
  });

  test("the wall time stands still too, and is then as long as it was", async () => {
    const job = start((file) => counting(file, 10_000), {
      deadline: { uptimeSeconds: Math.floor(uptimeSeconds()) + 3, stage: "timelimit" },
    });
    await begun(job);
    await job.suspend();
    await standsFor(job, 3500);
    await job.resume();
    const resumed = uptimeSeconds();
    const end = await job.end;
    assert.equal(end.ending, "timelimit");
    assert.ok(uptimeSeconds() - resumed > 1, "it had time left");
    rmSync(job.file);
  });

  test("what is ended while it stands still hears TERM, and what ignores that is killed", async () => {
    const polite = start((file) => `trap 'exit 9' TERM; printf xxxx >> ${file}; while :; do sleep 0.1; done`);
    const stubborn = start((file) => `trap '' TERM; printf xxxx >> ${file}; while :; do sleep 0.1; done`);
    for (const job of [polite, stubborn]) {
      await begun(job);
      await job.suspend();
      tasks.end(job.run, 2, "deleted");
      job.suspension.set(false);
    }
    assert.equal((await polite.end).exitCode, 9);
    assert.equal((await stubborn.end).signal, 9);
  });

  test("an agent that dies after it asked for the end, and before it let go", async () => {
    const job = start((file) => `trap '' TERM; printf xxxx >> ${file}; while :; do sleep 0.1; done`);
    await begun(job);
    await job.suspend();
    tasks.end(job.run, 1, "deleted");
    assert.equal((await job.end).signal, 9);
  });

  test("another agent finds it standing, with the time that it stood, and its deadline holds", async () => {
    const job = start((file) => counting(file, 10_000), {
      deadline: { uptimeSeconds: Math.floor(uptimeSeconds()) + 3, stage: "timelimit" },
    });
    await begun(job);
    await job.suspend();
    const { since } = job.suspension.report!;
    // The new watchdog kills the old one.
    watchdog = new Watchdog(directory);
    suspensions = new Suspensions(directory, watchdog);
    const later = handles(job.pod, job.run);
    assert.equal(later.suspension.report?.isSuspended, true);
    assert.ok(Math.abs(Date.parse(later.suspension.report.since) - Date.parse(since)) <= 1000);
    await standsFor(job, 3500);
    // Asked before, and not followed when the agent died: the next watchdog does it.
    await later.resume();
    assert.equal((await job.end).ending, "timelimit");
    assert.ok(later.suspension.report.seconds >= 3);
    rmSync(job.file);
  });

  test("a lease: its tasks have their own wall time, and are told how long they stood", async () => {
    const job = start((file) => `printf xxxx >> ${file}; sleep 2.5`, {
      lease: { tasks: [3, 4], seconds: 100 },
      deadline: { uptimeSeconds: "+4", stage: "timelimit" },
    });
    const lease = new LeaseRun(tasks, job.run, { tasks: [3, 4], seconds: 100 }, [3, 4], (from, to) =>
      job.suspension.between(from, to),
    );
    lease.begun();
    await begun(job);
    await job.suspend();
    await pause(5000);
    await job.resume();
    await job.end;
    lease.look();
    assert.deepEqual(
      lease
        .report()
        .ended.map(({ task, exitCode, ending, suspendedSeconds = 0 }) => [
          task,
          exitCode,
          ending,
          suspendedSeconds > 3,
        ]),
      [
        [3, 0, undefined, true],
        [4, 0, undefined, false],
      ],
    );
    lease.close();
  });

  test("what runs next in the same place does not stand", async () => {
    const first = start((file) => counting(file, 8));
    await begun(first);
    await first.suspend();
    await first.resume();
    await first.end;
    rmSync(first.file);
    assert.equal((await start(() => "exit 4").end).exitCode, 4);
    assert.ok(existsSync(join(directory, "suspended")) && readdirSync(join(directory, "suspended")).length > 0);
    assert.match(readFileSync(join(directory, "suspended", first.pod), "utf8"), /^go /);
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
