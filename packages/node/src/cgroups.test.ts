/**
 * Control groups: version 2 on a real mount of it where root may make one (with the controllers that version 1 has not taken there,
 * so mostly without memory), and its file protocol, memory among it, on a plain directory. Version 1 is shown by the agent's tests.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { findCgroups, unifiedGroup } from "./cgroups.ts";

const root = mkdtempSync(join(tmpdir(), "berth-cgroups-"));
const mounted = spawnSync("mount", ["-t", "cgroup2", "none", root], { stdio: "ignore" }).status === 0;
after(() => {
  if (mounted) spawnSync("umount", [root]);
  rmSync(root, { recursive: true, force: true });
});

describe("control groups of version 2", { skip: !mounted && "no cgroup2 file system can be mounted here" }, () => {
  const name = `berth-test-${process.pid}`;
  /** Runs a command in a group, as launchers join theirs. */
  const runIn = (join: string[], command: string): string =>
    spawnSync("sh", ["-c", `${join.map((path) => `echo 0 >'${path}'`).join("; ")}; ${command}`], { encoding: "utf8" })
      .stdout;

  test("a process joins, its CPU time is counted for each task, and nothing of it is left", () => {
    const groups = findCgroups(name, [0], root)!;
    assert.equal(groups.version, 2);
    assert.equal(groups.existing("launcher"), undefined);
    const group = groups.group("launcher");
    const burn = "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done";
    const before = group.prepare({ memoryBytes: 256 << 20 });
    const said = runIn(group.join, `${burn}; cat /proc/self/cgroup`);
    assert.match(said, new RegExp(`^0::/${name}/launcher$`, "m"));
    const first = group.usage(before);
    assert.ok(first.cpuMilliseconds! > 0);
    assert.equal(first.outOfMemoryKills, 0);
    if (groups.limitsMemory) assert.ok(first.peakMemoryBytes! > 0);
    else assert.equal(first.peakMemoryBytes, undefined);
    const again = group.prepare({});
    assert.ok(group.usage(again).cpuMilliseconds! < first.cpuMilliseconds!, "counted from the task's beginning");
    assert.notEqual(groups.existing("launcher"), undefined, "as a later agent finds it");
    groups.tidy(new Set(["launcher"]));
    assert.ok(existsSync(join(root, name, "launcher")));
    group.remove();
    groups.leave();
    assert.equal(existsSync(join(root, name)), false);
  });

  test("an out-of-memory kill is seen", (context) => {
    const groups = findCgroups(name, [0], root)!;
    try {
      if (!groups.limitsMemory) return context.skip("another hierarchy has the memory controller");
      const group = groups.group("eater");
      const before = group.prepare({ memoryBytes: 16 << 20 });
      runIn(group.join, "head -c 100000000 /dev/zero | tail >/dev/null");
      assert.ok(group.usage(before).outOfMemoryKills > 0);
      group.remove();
    } finally {
      groups.leave();
    }
  });
});

describe("the files of a group of version 2", () => {
  const directory = mkdtempSync(join(tmpdir(), "berth-group-"));
  after(() => rmSync(directory, { recursive: true, force: true }));
  const tell = (file: string, text: string): void => writeFileSync(join(directory, "g", file), text);
  const told = (file: string): string => readFileSync(join(directory, "g", file), "utf8");
  mkdirSync(join(directory, "g"));
  tell("memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n");
  tell("cpu.stat", "usage_usec 7000\nuser_usec 5000\nsystem_usec 2000\n");
  tell("memory.peak", "4096\n");

  test("limits are written, counters are told from where the task began", () => {
    const group = unifiedGroup(join(directory, "g"), { limitsMemory: true, bindsCores: true });
    assert.equal(group.reusable, true, "memory.peak can be set back");
    const before = group.prepare({ memoryBytes: 1 << 30, cores: [0, 3] });
    assert.deepEqual(before, { outOfMemoryKills: 2, cpuMicroseconds: 7000 });
    assert.deepEqual([told("memory.max"), told("memory.swap.max"), told("cpuset.cpus")], [String(1 << 30), "0", "0,3"]);
    assert.match(told("memory.peak"), /reset/);
    tell("memory.peak", "123456789\n");
    tell("memory.events", "oom 4\noom_kill 3\n");
    tell("cpu.stat", "usage_usec 1507000\n");
    assert.deepEqual(group.usage(before), {
      cpuMilliseconds: 1500,
      peakMemoryBytes: 123_456_789,
      outOfMemoryKills: 1,
    });
    group.prepare({});
    assert.deepEqual([told("memory.max"), told("memory.swap.max"), told("cpuset.cpus")], ["max", "max", "\n"]);
  });

  test("before Linux 6.12 the peak cannot be set back: a group serves one task", () => {
    rmSync(join(directory, "g", "memory.peak"));
    const group = unifiedGroup(join(directory, "g"), { limitsMemory: true, bindsCores: false });
    assert.equal(group.reusable, false);
    assert.equal(group.usage(group.prepare({})).peakMemoryBytes, undefined);
  });

  test("without the memory controller CPU time is counted", () => {
    const group = unifiedGroup(join(directory, "g"), { limitsMemory: false, bindsCores: false });
    assert.equal(group.reusable, true);
    assert.deepEqual(group.usage(group.prepare({ memoryBytes: 1 })), {
      cpuMilliseconds: 0,
      peakMemoryBytes: undefined,
      outOfMemoryKills: 0,
    });
  });
});
