import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Pod } from "@berth/kinds";
import fc from "fast-check";
import { CoreBinding } from "./cores.ts";
import { ConfigurationError, containerEnvironment, expandReferences, podField } from "./environment.ts";
import { mayBeWritable } from "./mounts.ts";
import { phaseOf, podStatus, type PodFacts } from "./pod-status.ts";
import { parseState } from "./state-file.ts";

describe("state files", () => {
  const stat = "stat 77 (sh) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9";

  test("say who, when and how", () => {
    const state = parseState(
      `${stat}\nuptime 10.5\nKilled\ncode 137\n0m0.01s 0m0.00s\n0m1.50s 0m0.25s\nended 137 12.5\n`,
    );
    assert.deepEqual(state.launcher, { pid: 77, startTime: "123456" });
    assert.deepEqual([state.startedAt, state.endedAt, state.exitCode, state.signal], [10.5, 12.5, 137, 9]);
    assert.equal(state.launcherCpuMilliseconds, 1750);
    assert.deepEqual(state.words, []);
  });

  test("an exit code above 128 without the shell's word is an exit code", () => {
    assert.equal(parseState(`${stat}\ncode 137\nended 137 1\n`).signal, undefined);
  });

  test("the end of the first process by KILL is seen through unshare's stumbling", () => {
    const state = parseState(`${stat}\nunshare: sigprocmask unblock failed: Invalid argument\nended 1 2\n`);
    assert.deepEqual([state.exitCode, state.signal], [137, 9]);
  });

  test("law: cut anywhere, a file says nothing false", () => {
    const whole = `${stat}\nuptime 10.5\nending timelimit\nTerminated\ncode 143\nended 143 12.5\n`;
    const complete = parseState(whole);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length }), (length) => {
        const part = parseState(whole.slice(0, length));
        if (part.exitCode !== undefined) assert.deepEqual(part, complete);
        if (part.launcher !== undefined) assert.deepEqual(part.launcher, complete.launcher);
        assert.ok(part.ending === undefined || part.ending === "timelimit");
      }),
    );
  });
});

test("law: no core is held by two pods, and all come back", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 16 }),
      fc.array(
        fc.record({
          pod: fc.integer({ min: 0, max: 9 }),
          milli: fc.integer({ min: 0, max: 5000 }),
          take: fc.boolean(),
        }),
      ),
      (count, steps) => {
        const binding = new CoreBinding(Array.from({ length: count }, (_, core) => core));
        const held = new Map<string, number[]>();
        for (const { pod, milli, take } of steps) {
          const uid = String(pod);
          if (!take) {
            binding.release(uid);
            held.delete(uid);
            continue;
          }
          const cores = binding.take(uid, held.has(uid) ? milli : Math.round(milli / 1000) * 1000);
          if (cores !== undefined) held.set(uid, cores);
          const all = [...held.values()].flat();
          assert.equal(new Set(all).size, all.length);
        }
        for (const uid of held.keys()) binding.release(uid);
        assert.equal(binding.take("last", count * 1000)?.length, count);
      },
    ),
  );
});

describe("a container's environment", () => {
  const pod = {
    metadata: { name: "p", namespace: "n", uid: "u", labels: { a: "1" } },
    spec: { containers: [] },
  } as unknown as Pod;
  const nothing = { secret: async () => undefined, configMap: async () => undefined };

  test("references: known ones are replaced, unknown ones stay, $$ is $", () => {
    assert.equal(expandReferences("$(A) $(B) $$(A) $A", { A: "x" }), "x $(B) $(A) $A");
  });

  test("fields of the pod", () => {
    assert.equal(podField(pod, "metadata.labels['a']", "n1"), "1");
    assert.equal(podField(pod, "spec.nodeName", "n1"), "n1");
    assert.equal(podField(pod, "spec.containers", "n1"), undefined);
  });

  test("a missing key is said, unless it is optional", async () => {
    const one = (optional: boolean) =>
      containerEnvironment(
        pod,
        { name: "c", env: [{ name: "A", valueFrom: { secretKeyRef: { name: "s", key: "k", optional } } }] },
        "n1",
        nothing,
      );
    await assert.rejects(
      one(false),
      (error) => error instanceof ConfigurationError && error.message === 'secret "s" not found',
    );
    assert.deepEqual(await one(true), {});
  });
});

test("the system's directories never become writable, a user's may", () => {
  for (const path of ["/", "/etc", "/etc/x", "/usr/local", "/proc", "/run/x", "/var", "/lib64"])
    assert.ok(!mayBeWritable(path), path);
  for (const path of ["/home/ada", "/scratch", "/var/tmp", "/var/work", "/tmp", "/dev/shm", "/etcetera"])
    assert.ok(mayBeWritable(path), path);
});

describe("the phase of a pod", () => {
  const facts = (restartPolicy: "Never" | "OnFailure" | "Always", ...codes: (number | undefined)[]): PodFacts => ({
    pod: { apiVersion: "v1", kind: "Pod", metadata: { name: "p", uid: "u" }, spec: { restartPolicy, containers: [] } },
    startedAt: 0,
    init: [],
    main: codes.map((exitCode, index) => ({
      container: { name: `c${index}` },
      restartCount: 0,
      running: exitCode === undefined ? { startedAt: 0 } : undefined,
      terminated: exitCode === undefined ? undefined : { exitCode },
    })),
  });

  test("follows Kubernetes' rules", () => {
    assert.equal(phaseOf(facts("Never", 0, undefined)), "Running");
    assert.equal(phaseOf(facts("Never", 0, 0)), "Succeeded");
    assert.equal(phaseOf(facts("Never", 0, 1)), "Failed");
    assert.equal(phaseOf(facts("OnFailure", 1)), "Running");
    assert.equal(phaseOf(facts("Always", 0)), "Running");
  });

  test("a pod that ended as a whole says why only once nothing runs", () => {
    const running = { ...facts("Never", undefined), ended: { reason: "DeadlineExceeded", message: "m" } };
    assert.deepEqual([podStatus(running).phase, podStatus(running).reason], ["Running", undefined]);
    const over = { ...facts("Never", 0), ended: { reason: "DeadlineExceeded", message: "m" } };
    assert.deepEqual([podStatus(over).phase, podStatus(over).reason], ["Failed", "DeadlineExceeded"]);
  });
});
