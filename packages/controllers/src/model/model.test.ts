import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, PodSpec } from "@berth/kinds";
import { annotations, effectiveRequests, parseIndexList } from "@berth/kinds";
import fc from "fast-check";
import { ArrayBook, runsOf } from "./array-book.ts";
import { endOfPod, rejectionOf, worseEnd } from "./ends.ts";

type Step = { kind: "start" | "created" | "takeBack" | "requeue" | "end" | "cancel"; task: number };
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("start", "created", "takeBack", "requeue", "end", "cancel"),
  task: fc.nat(40),
});

function apply(book: ArrayBook, { kind, task }: Step): void {
  const isLive = book.creating.has(task) || book.running.has(task);
  if (kind === "start" && book.pending.has(task)) book.start(task);
  else if (kind === "created") book.created(task);
  else if (kind === "takeBack" && isLive) book.takeBack(task);
  else if (kind === "requeue" && isLive) book.requeue(task, task % 2 === 0);
  else if (kind === "end" && isLive) book.end(task, task % 3 === 0 ? "Failed" : "Succeeded");
  else if (kind === "cancel" && book.pending.has(task)) {
    book.endPending(parseIndexList(String(task)), "Cancelled");
  }
}

test("whatever happens, each task of an array is in exactly one list of its status", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const book = new ArrayBook("0-9,12-40:2");
      for (const each of steps) apply(book, each);
      const { tasks, attempts: _, nodeFailures: _failures, ...lists } = book.toStatus();
      const counts = new Map<number, number>();
      for (const list of Object.values(lists)) {
        for (const task of parseIndexList(String(list ?? ""))) counts.set(task, (counts.get(task) ?? 0) + 1);
      }
      assert.equal(counts.size, tasks);
      assert.ok([...counts.values()].every((count) => count === 1));
    }),
  );
});

test("a book made of the status knows all but what was under way, which waits, with the same attempt numbers", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const book = new ArrayBook("0-40");
      for (const each of steps) apply(book, each);
      const status = Object.fromEntries(Object.entries(book.toStatus()).filter(([, value]) => value !== null));
      const again = new ArrayBook("0-40", status as never);
      for (const task of book.indices) {
        assert.equal(again.hasEnded(task), book.hasEnded(task));
        assert.equal(again.attemptOf(task), book.attemptOf(task));
        assert.equal(again.nodeFailuresOf(task), book.nodeFailuresOf(task));
        assert.equal(again.pending.has(task), !book.hasEnded(task));
        assert.equal(again.wasRunning.has(task), book.running.has(task));
      }
    }),
  );
});

test("runs hold the same indices as the set", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(300)), (indices) => {
      const runs = runsOf(parseIndexList(indices.join(",")));
      const back = runs.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, at) => first + at));
      assert.deepEqual(
        back,
        [...indices].sort((a, b) => a - b),
      );
      for (let at = 1; at < runs.length; at++) assert.ok(runs[at]![0] > runs[at - 1]![1] + 1);
    }),
  );
});

function pod(status: Pod["status"], metadata: Partial<Pod["metadata"]> = {}): Pod {
  return { apiVersion: "v1", kind: "Pod", metadata: { name: "p", ...metadata }, spec: { containers: [] }, status };
}
const ended = (exitCode: number, reason: string, signal?: number): NonNullable<Pod["status"]>["containerStatuses"] => [
  {
    name: "main",
    image: "host",
    imageID: "host",
    ready: false,
    restartCount: 0,
    state: { terminated: { exitCode, reason, signal, message: '{"cpuMilliseconds":12,"peakMemoryBytes":34}' } },
  },
];

test("the end of a pod as the end of its attempt", () => {
  const phaseOf = (of: Pod, stopped?: "Cancelled"): string => endOfPod(of, stopped).phase;
  assert.equal(phaseOf(pod({ phase: "Succeeded", containerStatuses: ended(0, "Completed") })), "Succeeded");
  const failed = endOfPod(pod({ phase: "Failed", containerStatuses: ended(137, "Error", 9) }));
  assert.deepEqual(
    [failed.phase, failed.exitCode, failed.signal, failed.cpuMilliseconds, failed.peakMemoryBytes],
    ["Failed", 137, 9, 12, 34],
  );
  // An out-of-memory kill counts although the script ended well, and the wall time whatever the exit code.
  assert.equal(phaseOf(pod({ phase: "Succeeded", containerStatuses: ended(0, "OOMKilled") })), "OutOfMemory");
  assert.equal(
    phaseOf(pod({ phase: "Failed", reason: "DeadlineExceeded", containerStatuses: ended(0, "Completed") })),
    "TimedOut",
  );
  assert.equal(phaseOf(pod({ phase: "Failed", reason: "NodeLost" })), "NodeFailed");
  assert.equal(endOfPod(pod({ phase: "Failed", reason: "Weird" })).exitCode, 1);
  // Gone without a last word.
  assert.equal(phaseOf(pod({ phase: "Running" })), "NodeFailed");
  assert.equal(phaseOf(pod({ phase: "Running" }), "Cancelled"), "Cancelled");
  // It ended by itself before it was stopped: that is its end.
  assert.equal(
    phaseOf(pod({ phase: "Succeeded", containerStatuses: ended(0, "Completed") }), "Cancelled"),
    "Succeeded",
  );
  const deleted = pod({ phase: "Failed", containerStatuses: ended(143, "Error") }, { deletionTimestamp: "x" });
  assert.equal(phaseOf(deleted, "Cancelled"), "Cancelled");
  const gated = pod({ phase: "Running" }, { annotations: { [annotations.gateOpenedAt]: "2026-11-22T01:00:00Z" } });
  assert.equal(endOfPod(gated).startTime, "2026-11-22T01:00:00Z");
});

test("a kubelet's rejection is no end, and an eviction is the node's doing unless the pod wrote too much", () => {
  const failed = (reason: string, message: string, containerStatuses = ended(137, "Error", 9)): Pod =>
    pod({ phase: "Failed", reason, message, containerStatuses });
  for (const reason of ["OutOfcpu", "TopologyAffinityError", "UnexpectedAdmissionError", "NodeAffinity"])
    assert.equal(rejectionOf(failed(reason, "Pod was rejected: no", [])), `${reason}: no`);
  // Its kubelet may tell at once, or somewhat later, of containers too that it never had (kubernetes/kubernetes#133733).
  const [had] = ended(137, "ContainerStatusUnknown")!;
  const never = [{ ...had!, state: { terminated: { exitCode: 137, reason: "ContainerStatusUnknown" } } }];
  assert.equal(rejectionOf(failed("OutOfcpu", "Pod was rejected: no", never)), "OutOfcpu: no");
  assert.match(
    rejectionOf(failed("Evicted", "Pod was rejected: The node had condition: [DiskPressure]", [])) ?? "",
    /^Evicted: The node/,
  );
  assert.equal(rejectionOf(failed("Evicted", "The node was low on resource: memory.")), undefined);
  assert.equal(endOfPod(failed("Evicted", "The node was low on resource: memory.")).phase, "NodeFailed");
  for (const message of [
    'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". ',
    'Container main exceeded its local ephemeral storage limit "1Mi". ',
    "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
  ])
    assert.equal(endOfPod(failed("Evicted", message)).phase, "Failed");
});

test("of several drivers the worst end and the largest exit code count", () => {
  const ok = { phase: "Succeeded", exitCode: 0, signal: 0, endTime: "2026-11-22T01:00:05Z" } as const;
  const bad = { phase: "Failed", exitCode: 3, signal: 0, endTime: "2026-11-22T01:00:00Z" } as const;
  for (const worst of [worseEnd(ok, bad), worseEnd(bad, ok)]) {
    assert.deepEqual([worst.phase, worst.exitCode, worst.endTime], ["Failed", 3, "2026-11-22T01:00:05Z"]);
  }
});

test("requests: limits stand in, init containers count at their largest, a job without cpu gets one", () => {
  const spec: PodSpec = {
    containers: [
      { name: "a", resources: { requests: { cpu: "500m" }, limits: { cpu: "2", memory: "1Gi" } } },
      { name: "b", resources: { limits: { cpu: "1" } } },
    ],
    initContainers: [{ name: "i", resources: { requests: { memory: "2Gi" } } }],
  };
  assert.deepEqual(effectiveRequests(spec, {}), { cpu: 1500, memory: 2 * 2 ** 30, pods: 1 });
  assert.deepEqual(effectiveRequests({ containers: [{ name: "a" }] }, { defaultMemoryPerCpuBytes: 2 ** 20 }), {
    cpu: 1000,
    memory: 2 ** 20,
    pods: 1,
  });
});
