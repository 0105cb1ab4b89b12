import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Cluster, withoutKubectl } from "./cluster.ts";

interface ManagedFields {
  manager: string;
  operation: string;
  subresource?: string;
  fieldsV1: Record<string, unknown>;
}

describe("kubectl apply --server-side", { skip: withoutKubectl }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster.stop());

  const config = (name: string, data: string): string =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: ${data}\n`;
  const apply = (flags: string): string => `apply --server-side${flags === "" ? "" : ` ${flags}`} -f -`;
  const dataOf = async (name: string): Promise<unknown> =>
    JSON.parse(await cluster.ok(`get configmap ${name} -o jsonpath={.data}`));
  const managers = async (what: string): Promise<ManagedFields[]> => {
    const object = JSON.parse(await cluster.ok(`get ${what} --show-managed-fields -o json`));
    return object.metadata.managedFields ?? [];
  };
  const version = (what: string): Promise<string> => cluster.ok(`get ${what} -o jsonpath={.metadata.resourceVersion}`);

  it("creates, changes nothing without need, updates, and shows who manages what", async () => {
    assert.match(await cluster.ok(apply(""), config("a", "{k: '1', l: x}")), /configmap\/a serverside-applied/);
    const first = await version("configmap/a");
    await cluster.ok(apply(""), config("a", "{k: '1', l: x}"));
    assert.equal(await version("configmap/a"), first);
    await cluster.ok(apply(""), config("a", "{k: '2', l: x}"));
    assert.deepEqual(await dataOf("a"), { k: "2", l: "x" });
    const [entry, ...others] = await managers("configmap/a");
    assert.deepEqual(others, []);
    assert.equal(`${entry!.manager} ${entry!.operation}`, "kubectl Apply");
    assert.deepEqual(entry!.fieldsV1, { "f:data": { "f:k": {}, "f:l": {} } });
    assert.doesNotMatch(await cluster.ok("get configmap a -o yaml"), /managedFields/);
  });

  it("refuses fields of another manager unless forced", async () => {
    await cluster.ok(apply("--field-manager=one"), config("b", "{k: '1'}"));
    const refused = await cluster.refused(apply("--field-manager=two"), config("b", "{k: '2', m: z}"));
    assert.match(refused, /Apply failed with 1 conflict: conflict with "one": \.data\.k/);
    assert.deepEqual(await dataOf("b"), { k: "1" });
    await cluster.ok(apply("--field-manager=two"), config("b", "{k: '1', m: z}"));
    await cluster.ok(apply("--field-manager=two --force-conflicts"), config("b", "{k: '2', m: z}"));
    assert.deepEqual(await dataOf("b"), { k: "2", m: "z" });
    assert.deepEqual(
      (await managers("configmap/b")).map(({ manager }) => manager),
      ["two"],
    );
  });

  it("removes what its manager gives up, and keeps what others share", async () => {
    await cluster.ok(apply("--field-manager=one"), config("c", "{mine: '1', ours: '1'}"));
    await cluster.ok(apply("--field-manager=two"), config("c", "{ours: '1'}"));
    await cluster.ok(apply("--field-manager=one"), config("c", "{}"));
    assert.deepEqual(await dataOf("c"), { ours: "1" });
    await cluster.ok(apply("--field-manager=two"), config("c", "{}"));
    assert.equal(await cluster.ok("get configmap c -o jsonpath={.data.ours}"), "");
  });

  it("gives fields that a patch changes to its manager; what was there before to nobody's apply", async () => {
    await cluster.ok(apply(""), config("d", "{k: '1', l: x}"));
    await cluster.ok(`patch configmap d --type=merge --field-manager=editor -p {"data":{"k":"9"}}`);
    assert.deepEqual(
      (await managers("configmap/d")).map(({ manager, operation, fieldsV1 }) => [manager, operation, fieldsV1]),
      [
        ["kubectl", "Apply", { "f:data": { "f:l": {} } }],
        ["editor", "Update", { "f:data": { "f:k": {} } }],
      ],
    );
    assert.match(await cluster.refused(apply(""), config("d", "{k: '1'}")), /conflict with "editor" using v1 at /);
    await cluster.ok("create configmap old --from-literal=k=1");
    assert.deepEqual(await managers("configmap/old"), []);
    assert.match(await cluster.refused(apply(""), config("old", "{k: '2'}")), /conflict with "before-first-apply"/);
  });

  it("takes over what client-side apply set", async () => {
    await cluster.ok("apply -f -", config("e", "{k: '1'}"));
    await cluster.ok(apply(""), config("e", "{k: '2'}"));
    assert.deepEqual(await dataOf("e"), { k: "2" });
  });

  it("only looks with --dry-run=server, and diffs", async () => {
    await cluster.ok(apply("--dry-run=server"), config("f", "{k: '1'}"));
    assert.match(await cluster.refused("get configmap f"), /not found/);
    await cluster.ok(apply(""), config("f", "{k: '1'}"));
    const diff = await cluster.run("diff --server-side -f -".split(" "), config("f", "{k: '2'}"));
    assert.match(diff.stdout, /^\+ +k: "2"$/m, diff.stderr);
  });

  it("merges the containers of pods by name", async () => {
    const pod = (spec: string): string =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [${spec}]}\n`;
    await cluster.ok(apply(""), pod("{name: a, image: host, resources: {limits: {cpu: 1000m}}}"));
    const first = await version("pod/p");
    await cluster.ok(apply(""), pod("{name: a, image: host, resources: {limits: {cpu: 1000m}}}"));
    assert.equal(await version("pod/p"), first);
    await cluster.ok(apply("--field-manager=two --force-conflicts"), pod("{name: a, image: other}"));
    assert.equal(
      await cluster.ok("get pod p -o jsonpath={.spec.containers[*].image}/{.spec.containers[0].resources.limits.cpu}"),
      "other/1",
    );
    assert.match(
      await cluster.refused(apply(""), pod("{name: b, imag: x}")),
      /unknown field "spec.containers\[0\].imag"/,
    );
    assert.match(await cluster.refused(apply(""), pod("oops")), /Pod|containers/);
    await cluster.ok("delete pod p --grace-period=0 --force");
  });

  it("keeps status apart, for custom kinds too", async () => {
    const queue = (rest: string): string =>
      `apiVersion: berth.dev/v1alpha1\nkind: Queue\nmetadata: {name: applied, labels: {a: "1"}}\n${rest}`;
    await cluster.ok(apply(""), queue("spec: {defaultWallTimeSeconds: 60}\nstatus: {pending: 3}\n"));
    assert.equal(await cluster.ok("get queue applied -o jsonpath={.status}"), "");
    const [entry] = await managers("queue/applied");
    assert.deepEqual(Object.keys(entry!.fieldsV1), ["f:metadata", "f:spec"]);
    await cluster.ok(apply("--subresource=status --field-manager=counter"), queue("status: {pending: 3}\n"));
    assert.equal(await cluster.ok("get queue applied -o jsonpath={.status.pending}"), "3");
    // Entries are in the order of their whole seconds, then of their names: which comes first depends on the clock.
    const entries = await managers("queue/applied");
    assert.deepEqual(
      Object.fromEntries(
        entries.map(({ manager, subresource = "", fieldsV1 }) => [`${manager} ${subresource}`, Object.keys(fieldsV1)]),
      ),
      {
        "counter status": ["f:status"],
        "kubectl ": ["f:metadata", "f:spec"],
      },
    );
    const pod = (message: string): string =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: s}\nspec: {containers: [{name: z, image: z}]}\nstatus: {message: ${message}}\n`;
    assert.match(
      await cluster.refused(apply("--subresource=status --field-manager=node"), pod("up")),
      /pods "s" not found/,
    );
    await cluster.ok(
      "create -f -",
      "apiVersion: v1\nkind: Pod\nmetadata: {name: s}\nspec: {containers: [{name: a, image: host}]}\n",
    );
    await cluster.ok(apply("--subresource=status --field-manager=node"), pod("up"));
    assert.equal(await cluster.ok("get pod s -o jsonpath={.status.message}/{.spec.containers[*].name}"), "up/a");
    const own = (await managers("pod/s")).find(({ manager }) => manager === "node");
    assert.equal(own?.subresource, "status");
    assert.deepEqual(own.fieldsV1, { "f:status": { "f:message": {} } });
    await cluster.ok("delete pod s --grace-period=0 --force");
  });

  it("needs the right to create what is not there", async () => {
    await cluster.ok("create clusterrole patcher --verb=patch,get --resource=configmaps");
    await cluster.ok("create rolebinding patcher --clusterrole=patcher --user=eve");
    assert.match(
      await cluster.refused(apply("--as=eve"), config("g", "{}")),
      /User "eve" cannot create resource "configmaps" in API group "" in the namespace "default"/,
    );
    await cluster.ok("create configmap g");
    await cluster.ok(apply("--as=eve"), config("g", "{k: '1'}"));
  });
});
