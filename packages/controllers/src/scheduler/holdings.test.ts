import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodSpec } from "@berth/kinds";
import { clusterDomain, matchesClass, nodeDomain } from "@berth/kinds";
import { type Holdings, holdingsOf } from "./holdings.ts";
import { classOfPod } from "./pod-rules.ts";

type Port = { hostPort?: number; protocol?: string; hostIP?: string };
const listening = (...ports: Port[]): PodSpec => ({ containers: [{ name: "main", ports }] });
const none: ReadonlySet<string> = new Set();

/** Where the first, which is there, keeps the second off. */
function keptOff(there: Holdings | undefined, comes: Holdings | undefined): string[] {
  const of = (holdings: Holdings | undefined, namespace: string): string =>
    classOfPod({ app: "any" }, namespace, none, holdings) ?? "{}";
  const means = (rules: Holdings | undefined, podClass: string): string[] =>
    (rules?.antiAffinity ?? []).filter(({ pods }) => matchesClass(pods, podClass)).map(({ key }) => key);
  const found = [...means(there, of(comes, "b")), ...means(comes, of(there, "a"))];
  return [...new Set(found)];
}

test("ports of a node are in each other's way as kube-scheduler has it", () => {
  const cases: [Port, Port, boolean][] = [
    [{ hostPort: 80 }, { hostPort: 80 }, true],
    [{ hostPort: 80 }, { hostPort: 81 }, false],
    [{ hostPort: 80, protocol: "TCP" }, { hostPort: 80, protocol: "UDP" }, false],
    [{ hostPort: 80 }, { hostPort: 80, protocol: "TCP", hostIP: "0.0.0.0" }, true],
    [{ hostPort: 80, hostIP: "10.0.0.1" }, { hostPort: 80, hostIP: "10.0.0.2" }, false],
    [{ hostPort: 80, hostIP: "10.0.0.1" }, { hostPort: 80, hostIP: "10.0.0.1" }, true],
    [{ hostPort: 80, hostIP: "10.0.0.1" }, { hostPort: 80 }, true],
    [{ hostPort: 80, hostIP: "10.0.0.1" }, { hostPort: 80, protocol: "UDP" }, false],
  ];
  for (const [a, b, isKeptOff] of cases) {
    const [first, second] = [holdingsOf(listening(a)), holdingsOf(listening(b))];
    const expected = isKeptOff ? [nodeDomain] : [];
    assert.deepEqual(keptOff(first, second), expected, JSON.stringify([a, b]));
    assert.deepEqual(keptOff(second, first), expected, JSON.stringify([b, a]));
  }
});

test("sidecars listen too; init containers have ended, and ports without a port of the node are the pod's own; of claims of one pod", () => {
  const spec = (init: object): PodSpec => ({
    ...listening({ protocol: "TCP" }),
    initContainers: [{ name: "init", ports: [{ hostPort: 80 }], ...init }],
  });
  assert.equal(holdingsOf(spec({})), undefined);
  assert.notEqual(holdingsOf(spec({ restartPolicy: "Always" })), undefined);
  assert.equal(classOfPod(undefined, "a", none, undefined), undefined);
  const [one, other] = ["a/data", "a/more"].map((claim) => holdingsOf(listening(), [claim]));
  assert.deepEqual(keptOff(one, one), [clusterDomain]);
  assert.deepEqual(keptOff(one, other), []);
});
