import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { TraceJob } from "@berth/simulator";
import { parseSiteFile, type SiteFile } from "./site-file.ts";
import { siteSimulation } from "./site-simulation.ts";
import { parseYamlDocuments, YamlError } from "./yaml-documents.ts";

function problemsOf(text: string): string[] {
  const parsed = parseSiteFile(text);
  assert.ok("problems" in parsed, "something is wrong with it");
  return parsed.problems.map(({ line, problem }) => `${line}: ${problem}`);
}

function siteOf(text: string): SiteFile {
  const parsed = parseSiteFile(text);
  assert.ok("site" in parsed, JSON.stringify(parsed));
  return parsed.site;
}

const account = (name: string, spec: string): string =>
  `apiVersion: berth.dev/v1alpha1\nkind: Account\nmetadata: {name: ${name}}\nspec: ${spec}\n`;

test("fields of all documents know their lines", () => {
  const documents = parseYamlDocuments("a:\n  b: [1,\n    {c: 2}]\n---\nitems:\n- x: |\n    text\n- y.z: 1\n");
  const lines = (at: number, ...paths: string[]): number[] => paths.map((path) => documents[at]!.lineOf(path));
  assert.deepEqual(lines(0, "", "a", "a.b", "a.b[1].c", "a.b[1].d", "a.missing"), [1, 1, 2, 3, 3, 1]);
  assert.deepEqual(lines(1, "items[0].x", "items[1]", "items[1].y.z", "items[1][y.z]"), [6, 8, 8, 8]);
  assert.deepEqual(
    documents.map(({ value }) => value),
    [{ a: { b: [1, { c: 2 }] } }, { items: [{ x: "text\n" }, { "y.z": 1 }] }],
  );
});

test("what is no YAML is named with its line", () => {
  assert.throws(
    () => parseYamlDocuments("a: 1\nb: [1\nc: 2\n"),
    (error) => error instanceof YamlError && error.line >= 2,
  );
  assert.match(problemsOf("a: 1\n b: 2\n")[0]!, /^2: this is no YAML/);
});

test("unknown fields, wrong values and broken rules are named with their lines, all at once", () => {
  const problems = problemsOf(
    [account("a", "{shares: -5}"), account("b", "\n  colour: red\n  shares: lots"), account("c", "{parent: c}")].join(
      "---\n",
    ),
  );
  assert.equal(problems.length, 4, problems.join("\n"));
  assert.match(problems[0]!, /^4: Account a: spec\.shares: Invalid value: -5: .*greater than or equal to 0/);
  assert.match(problems[1]!, /^10: Account b: there is no field spec\.colour/);
  assert.match(problems[2]!, /^11: Account b: spec\.shares: .*lots/);
  assert.match(problems[3]!, /^13: Account c: an account cannot be its own parent/);
});

test("absurd shares are refused", () => {
  assert.match(problemsOf(account("a", "{shares: 99999999}"))[0]!, /^4: Account a: spec\.shares: .*1e\+06|1000000/);
});

test("circles of accounts, names twice and references to nothing are named with their lines", () => {
  const problems = problemsOf(
    [
      account("a", "{parent: b}"),
      account("b", "{parent: a}"),
      account("d", "{parent: nowhere}"),
      account("b", "{parent: a}"),
      "kind: Membership\nmetadata: {name: m}\nspec:\n  user: ada\n  account: none\n  qos: gold\n",
      "kind: Queue\nmetadata: {name: q}\nspec: {default: true}\n",
      "kind: Queue\nmetadata: {name: r}\nspec:\n  default: true\n",
    ].join("---\n"),
  );
  assert.deepEqual(problems, [
    "4: Account a: spec.parent: a is its own ancestor: a in b in a; change one parent",
    "9: Account b: spec.parent: b is its own ancestor: b in a in b; change one parent",
    "14: Account d: spec.parent: there is no Account nowhere in this file",
    "18: Account b: the same name stands in line 8 already",
    "25: Membership m: spec.account: there is no Account none in this file",
    "26: Membership m: spec.qos: there is no QualityOfService gold in this file",
    "35: Queue r: spec.default: the default queue is q by line 30 already",
  ]);
});

const eightNodes =
  "kind: Node\napiVersion: v1\nmetadata:\n  name: n\n  annotations: {berth.dev/simulated-replicas: '8'}\nstatus:\n  allocatable: {cpu: '16', memory: 64Gi}\n";

test("copies of a node have names that a reservation may name, and amounts are not negative", () => {
  const reservation = (more: string): string =>
    `kind: Reservation\nmetadata: {name: m}\nspec: {startTime: "2026-12-01T08:00:00Z", durationSeconds: 60, maintenance: true, ${more}}\n`;
  siteOf(
    `${eightNodes}---\n${reservation("nodes: [n-0, n-7]")}---\n${reservation("nodeCount: 8").replace("name: m", "name: o")}`,
  );
  assert.deepEqual(problemsOf(`${eightNodes}---\n${reservation("nodes: [n-8]")}`), [
    "11: Reservation m: there is no Node n-8 in this file",
  ]);
  assert.deepEqual(problemsOf(`${eightNodes}---\n${reservation("nodeCount: 9")}`), [
    "11: Reservation m: spec.nodeCount is 9, and this file has 8 nodes",
  ]);
  assert.deepEqual(problemsOf(eightNodes.replace("'16'", "'-16'")), [
    "7: Node n: status.allocatable.cpu is -16, must not be negative",
  ]);
});

test("what a cluster would take and nobody can mean is told with its line; a file without any of it is refused", () => {
  const parsed = parseSiteFile(
    [
      eightNodes,
      "kind: Queue\nmetadata: {name: gpu}\nspec:\n  tier: 2\n  nodeSelector: {gpu: a100}\n",
      account("a", "{guaranteed: {cpu: 100}}"),
      account("b", "{guaranteed: {cpu: 29}}"),
    ].join("---\n"),
  );
  assert.ok("site" in parsed);
  assert.deepEqual(parsed.doubts, [
    { line: 13, problem: "Queue gpu takes no node of this file, so that none of its jobs will start" },
    { line: 23, problem: "with Account b 129 cpus are guaranteed, the nodes of this file have 128" },
  ]);
  for (const text of ["", "kind: ConfigMap\nmetadata: {name: x}\n"])
    assert.match(problemsOf(text)[0]!, /^1: there is nothing of a site in it: no Site, .* or Node/);
});

test("a reservation by the calendar: its time zone is one, and it comes again after whole days", () => {
  const reservation = (more: string): string =>
    `kind: Reservation\nmetadata: {name: course}\nspec:\n  startTime: "2026-12-01T08:00:00+01:00"\n  durationSeconds: 14400\n  users: [ada]\n${more}`;
  const weekly = "  everySeconds: 604800\n  timeZone: Europe/";
  const [input] = siteSimulation(siteOf(reservation(`${weekly}Berlin\n`))).input.reservations;
  assert.deepEqual(input!.shifts?.[0], { from: Date.parse("2027-03-28T02:00:00Z") / 1000, seconds: -3600 });
  assert.deepEqual(problemsOf(reservation(`${weekly}Atlantis\n`)), [
    "8: Reservation course: spec.timeZone: there is no time zone Europe/Atlantis; one is Europe/Berlin",
  ]);
  assert.match(
    problemsOf(reservation("  everySeconds: 90000\n  timeZone: UTC\n"))[0]!,
    /^3: Reservation course: .*multiple of 86400/,
  );
});

test("what kubectl prints is read: lists, status, other kinds passed over", () => {
  const parsed = parseSiteFile(
    [
      "apiVersion: v1\nkind: List\nitems:",
      "- {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}",
      "- apiVersion: v1\n  kind: Node\n  metadata: {name: n1, uid: abc, resourceVersion: '7'}\n  spec: {}",
      "  status: {allocatable: {cpu: '4', memory: 8Gi}, conditions: [{type: Ready, status: 'False'}]}\n",
    ].join("\n"),
  );
  assert.ok("site" in parsed, JSON.stringify(parsed));
  assert.deepEqual(parsed.passedOver, ["ConfigMap"]);
  const { input } = siteSimulation(parsed.site);
  assert.deepEqual(JSON.parse(JSON.stringify(input.nodes)), [
    {
      name: "n1",
      capacity: [4000, 8 * 2 ** 30, 0],
      nodeClass: '{"labels":{},"taints":[]}',
      domains: { "the node": "n1", "the cluster": "" },
      state: "Down",
    },
  ]);
});

const job: TraceJob = { id: 1, submit: 0, runSeconds: 1, requestedSeconds: 1, processors: 1, line: 1 };

test("jobs of a trace go to the accounts and queues that claim them", () => {
  const site = siteOf(
    [
      "kind: Account\nmetadata:\n  name: a\n  annotations: {berth.dev/trace-users: '1-3', berth.dev/trace-groups: '9'}\nspec: {}\n",
      account("b", "{open: true, qos: high}"),
      account("group-4", "{}"),
      "kind: QualityOfService\nmetadata: {name: high}\nspec: {priority: 1}\n",
      "kind: Membership\nmetadata: {name: m}\nspec: {user: user-7, account: a, queue: fast}\n",
      "kind: Queue\nmetadata: {name: slow}\nspec: {default: true}\n",
      "kind: Queue\nmetadata:\n  name: fast\n  annotations: {berth.dev/trace-queues: '2'}\nspec: {}\n",
    ].join("---\n"),
  );
  const { input, unclaimed } = siteSimulation(site);
  const told = (fields: Partial<TraceJob>): unknown[] => {
    const { user, account, queue, qos } = input.assign({ ...job, ...fields });
    return [user, account, queue, qos];
  };
  assert.deepEqual(told({ user: "2", group: "4" }), ["2", "a", "slow", undefined]);
  assert.deepEqual(told({ user: "7" }), ["user-7", "a", "fast", undefined]);
  assert.deepEqual(told({ user: "8", group: "9", queue: "2" }), ["8", "a", "fast", undefined]);
  assert.deepEqual(told({ user: "8", group: "4" }), ["8", "group-4", "slow", undefined]);
  assert.deepEqual([...unclaimed], []);
  assert.deepEqual(told({ user: "8", group: "5" }), ["8", "b", "slow", "high"]);
  assert.deepEqual([...unclaimed], ["8"]);
  assert.deepEqual(told({ user: "ada", account: "a", queue: "fast", qos: "high" }), ["ada", "a", "fast", "high"]);
});

test("a claim that another object has already is refused with both lines", () => {
  const claim = (name: string): string =>
    `kind: Account\nmetadata:\n  name: ${name}\n  annotations: {berth.dev/trace-users: '5-7'}\nspec: {}\n`;
  assert.deepEqual(problemsOf([claim("a"), claim("b")].join("---\n")), [
    "10: Account b: berth.dev/trace-users: 5 belongs to a by line 4 already",
  ]);
  assert.match(problemsOf(claim("a").replace("5-7", "7-5"))[0]!, /^4: Account a: .*"7-5" ends before it begins/);
});

test("shares say what each account is entitled to", () => {
  const site = siteOf(
    [
      account("a", "{shares: 3}"),
      account("b", "{shares: 1}"),
      account("c", "{parent: a, shares: 1}"),
      "kind: Membership\nmetadata: {name: m}\nspec: {user: ada, account: a, shares: 2}\n",
    ].join("---\n"),
  );
  assert.deepEqual(siteSimulation(site).input.entitled, { a: 0.5, b: 0.25, c: 0.25 });
});

test("the example is a site", () => {
  const text = readFileSync(new URL("../../../../examples/simulate/site.yaml", import.meta.url), "utf8");
  const { input } = siteSimulation(siteOf(text));
  assert.equal(input.nodes.length, 8);
  assert.deepEqual(input.entitled, { physics: 0.5, biology: 0.3, students: 0.2 });
});

test("what the core says of a queue, an account or the policy has its line", () => {
  const { lineOfMessage } = siteOf(
    [
      account("a", "{}"),
      "kind: Queue\nmetadata: {name: fast}\nspec: {}\n",
      "kind: Site\nmetadata: {name: site}\nspec: {}\n",
    ].join("---\n"),
  );
  const messages = [
    "queue fast: priorityFactor is -1",
    "account a would be above itself",
    "policy: x",
    "queue fastest: x",
    "else",
  ];
  assert.deepEqual(messages.map(lineOfMessage), [7, 3, 12, undefined, undefined]);
});
