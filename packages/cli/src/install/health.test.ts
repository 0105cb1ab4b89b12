import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, Queue } from "@berth/kinds";
import { healthOf, type HealthFacts } from "./health.ts";

const now = Date.parse("2026-11-22T12:00:00Z");
const node = (name: string, labels: Record<string, string> = {}, spec: Node["spec"] = {}): Node => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name, labels },
  spec,
  status: { conditions: [{ type: "Ready", status: "True" }] },
});
const queue = (name: string, spec: Queue["spec"] = {}): Queue => ({
  apiVersion: "berth.dev/v1alpha1",
  kind: "Queue",
  metadata: { name },
  spec,
});
const well: HealthFacts & { installation: NonNullable<HealthFacts["installation"]> } = {
  gitVersion: "v1.35.4",
  ownVersion: "0.1.0",
  serverTime: now,
  localTime: now + 500,
  installation: {
    definitions: [{ name: "workloads.berth.dev", isEstablished: true }],
    wantedDefinitions: 1,
    format: 1,
    level: "policies",
    policies: ["berth-pods"],
    wantedPolicies: ["berth-pods"],
    couldMutate: false,
    controllers: { image: "berth:1", version: "0.1.0", replicas: 1, ready: 1 },
    users: 3,
  },
  lease: { holder: "one", renewTime: new Date(now - 2000).toISOString(), durationSeconds: 15 },
  nodes: [node("n1")],
  heartbeats: new Map([["n1", new Date(now - 9000).toISOString()]]),
  queues: [queue("standard")],
  namespaces: [{ name: "ada", owner: "ada", hasIdentity: true }],
  refused: [],
};
const installation = (change: Partial<(typeof well)["installation"]>): HealthFacts => ({
  ...well,
  installation: { ...well.installation, ...change },
});

test("what is well is said, and nothing is wrong with it", () => {
  const { facts, problems, notes } = healthOf(well);
  assert.deepEqual(problems, []);
  assert.deepEqual(notes, []);
  assert.deepEqual(facts, [
    "Kubernetes v1.35.4; 1 of 1 kinds served, format 1",
    "level policies: what pods of a managed namespace lack is refused, with the line to add",
    "controllers: 1 of 1 ready, image berth:1",
    "leader: one",
  ]);
});

const wrong: [what: string, facts: HealthFacts, words: RegExp][] = [
  ["nothing is installed", installation({ definitions: [] }), /not installed here: berth install/],
  ["a newer format", installation({ format: 7 }), /format 7, this Berth knows 1: use a newer one/],
  ["an older format", installation({ format: 0 }), /format 0, this is 1: berth upgrade/],
  ["no policy", installation({ level: undefined! }), /no policy is in force/],
  ["a policy is gone", installation({ policies: [] }), /policies are missing: berth-pods; berth upgrade/],
  [
    "controllers down",
    installation({ controllers: { replicas: 1, ready: 0, message: "no quota" } }),
    /controllers are not ready: no quota; kubectl -n berth-system describe pods/,
  ],
  ["scaled to nothing", installation({ controllers: { replicas: 0, ready: 0 } }), /scaled to 0/],
  ["no users", installation({ users: 0 }), /no user is known, .*berth upgrade --passwd FILE/],
  ["nobody leads", { ...well, lease: { holder: "", durationSeconds: 15 } }, /nobody leads: no job is admitted/],
  [
    "the leader is silent",
    { ...well, lease: { holder: "one", renewTime: new Date(now - 90_000).toISOString(), durationSeconds: 15 } },
    /nobody leads: one last renewed the Lease at 2026-11-22T11:58:30/,
  ],
  [
    "the leader's clock is ahead",
    { ...well, lease: { holder: "one", renewTime: new Date(now + 90_000).toISOString(), durationSeconds: 15 } },
    /clock of the leader one is 90 s ahead of the API server's: set both by NTP/,
  ],
  [
    "a node's clock is ahead",
    { ...well, heartbeats: new Map([["n1", new Date(now + 60_000).toISOString()]]) },
    /clock of node n1 is ahead/,
  ],
  ["no queue", { ...well, queues: [] }, /there is no queue/],
  [
    "a queue without nodes",
    { ...well, queues: [queue("gpu", { nodeSelector: { gpu: "a100" } })] },
    /queue gpu selects no node: none has the label gpu=a100; kubectl label node NAME gpu=a100, or change/,
  ],
  [
    "a queue whose nodes are tainted",
    { ...well, nodes: [node("n1", {}, { taints: [{ key: "gpu", value: "only", effect: "NoSchedule" }] })] },
    /queue standard: all of its 1 node have taints that it does not tolerate \(gpu=only\); add them to spec.tolerations/,
  ],
  [
    "a queue whose nodes take nothing",
    { ...well, nodes: [node("n1", {}, { unschedulable: true })] },
    /queue standard: none of its 1 node is ready and takes pods/,
  ],
];
for (const [what, facts, words] of wrong) {
  test(`${what}: said with what would be right`, () => {
    const { problems } = healthOf(facts);
    assert.equal(problems.filter((problem) => words.test(problem)).length, 1, problems.join("\n"));
  });
}

test("what may be meant is a note; refused jobs are told, not all of many", () => {
  const refused = Array.from({ length: 8 }, (_, at) => ({ name: `ada/j${at}`, message: "no" }));
  const { notes } = healthOf({
    ...well,
    localTime: now + 60_000,
    namespaces: [{ name: "bob", owner: "bob", hasIdentity: false }],
    refused,
  });
  assert.match(notes[0]!, /clock of this machine is 60 s ahead of/);
  assert.match(notes[1]!, /namespace bob belongs to bob, but does not say as whom.*kubectl annotate namespace bob/);
  assert.equal(notes.length, 8);
  assert.equal(notes.at(-1), "… and 3 more jobs were refused");
});

test("who may read nothing is told so", () => {
  const { facts, problems } = healthOf({ ...well, installation: undefined!, lease: undefined!, nodes: undefined! });
  assert.deepEqual(problems, []);
  assert.match(facts[0]!, /may be read by an operator only/);
});

test("jobs whose pods the cluster does not take are told, five at most", () => {
  const stuck = Array.from({ length: 7 }, (_, at) => ({ name: `ada/j${at}`, message: "exceeded quota: small" }));
  const { notes, problems } = healthOf({ ...well, stuck });
  assert.deepEqual(problems, []);
  assert.deepEqual(notes.at(0), "job ada/j0 waits, and not for room: exceeded quota: small");
  assert.deepEqual(notes.at(-1), "… and 2 more jobs wait, and not for room");
});
