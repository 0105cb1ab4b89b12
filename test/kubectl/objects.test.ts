import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Cluster, withoutKubectl } from "./cluster.ts";

describe("kubectl on built-in kinds", { skip: withoutKubectl }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster.stop());

  it("finds the kinds", async () => {
    const resources = await cluster.ok("api-resources --no-headers");
    for (const line of ["configmaps", "pods", "events", "jobs", "leases", "customresourcedefinitions", "workloads"]) {
      assert.match(resources, new RegExp(`^${line} `, "m"));
    }
    assert.match(await cluster.ok("version"), /Server Version: v1\.35\.4\+berth/);
    assert.match(await cluster.ok("explain pod.spec.containers.image"), /FIELD: image <string>/);
    assert.match(await cluster.ok("explain workload.spec.wallTimeSeconds"), /wallTimeSeconds <integer>/);
  });

  it("creates by its generators, which send protobuf", async () => {
    await cluster.ok("create namespace gen");
    await cluster.ok("-n gen create configmap c --from-literal=a=b");
    await cluster.ok("-n gen create secret generic s --from-literal=p=q");
    await cluster.ok("-n gen create serviceaccount robot");
    await cluster.ok("-n gen create role r --verb=get --resource=pods");
    await cluster.ok("-n gen create rolebinding rb --role=r --serviceaccount=gen:robot");
    await cluster.ok("-n gen create job j --image=host -- true");
    assert.equal(await cluster.ok("-n gen get configmap c -o jsonpath={.data.a}"), "b");
    assert.equal(await cluster.ok("-n gen get secret s -o jsonpath={.data.p}"), "cQ==");
    assert.match(await cluster.ok("-n gen get jobs"), /^NAME +STATUS +COMPLETIONS +DURATION +AGE\nj +Running +0\/1 /);
    assert.match(await cluster.ok("-n gen create token robot"), /^ey[\w-]+\.[\w-]+\.[\w-]+$/m);
    const jobPods =
      "-n gen get job j -o jsonpath={.spec.template.spec.restartPolicy}/{.spec.backoffLimit}/{.spec.completionMode}";
    assert.equal(await cluster.ok(jobPods), "Never/6/NonIndexed");
    assert.match(await cluster.refused("-n gen create configmap c"), /configmaps "c" already exists/);
    assert.match(await cluster.refused("-n absent create configmap c"), /namespaces "absent" not found/);
    assert.match(
      await cluster.refused("-n gen create configmap Bad_Name"),
      /a lowercase RFC 1123 subdomain must consist of/,
    );
    await cluster.ok("delete namespace gen");
  });

  it("applies, labels, annotates, patches, edits nothing without need", async () => {
    const config = (value: string): string =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ap}\ndata: {k: "${value}", other: x}\n`;
    assert.match(await cluster.ok("apply -f -", config("1")), /created/);
    assert.match(await cluster.ok("apply -f -", config("1")), /unchanged/);
    assert.match(await cluster.ok("apply -f -", config("2")), /configured/);
    const version = await cluster.ok("get configmap ap -o jsonpath={.metadata.resourceVersion}");
    await cluster.ok(`patch configmap ap -p {"data":{"k":"2"}}`);
    assert.equal(await cluster.ok("get configmap ap -o jsonpath={.metadata.resourceVersion}"), version);
    await cluster.ok("label configmap ap tier=back");
    await cluster.ok("annotate configmap ap note=here");
    await cluster.ok(`patch configmap ap --type=json -p [{"op":"remove","path":"/data/other"}]`);
    await cluster.ok(`patch configmap ap --type=merge -p {"data":{"new":"y"}}`);
    assert.equal(await cluster.ok("get configmap -l tier=back -o jsonpath={.items[*].data}"), '{"k":"2","new":"y"}');
    assert.match(await cluster.ok("create configmap dry --dry-run=server -o name"), /configmap\/dry/);
    assert.match(await cluster.refused("get configmap dry"), /configmaps "dry" not found/);
    assert.match(
      await cluster.refused("get configmaps --field-selector=data.k=2"),
      /field label not supported: data\.k/,
    );
    assert.match(
      await cluster.ok("diff -f -", config("2")).catch((error: Error) => error.message),
      /new: "?y"?|exit code 1/,
    );
  });

  it("refuses bad pods in Kubernetes' words, and changes to what is fixed", async () => {
    const pod = (spec: string): string => `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: ${spec}\n`;
    assert.match(
      await cluster.refused("create --validate=false -f -", pod("{}")),
      /Pod "p" is invalid: spec.containers: Required value/,
    );
    assert.match(
      await cluster.refused("create -f -", pod("{containers: [{name: a, image: x, imag: y}]}")),
      /unknown field "spec.containers\[0\].imag"/,
    );
    assert.match(
      await cluster.refused("create -f -", pod("{containers: [{name: A_b, image: x}]}")),
      /a lowercase RFC 1123 label/,
    );
    await cluster.ok("create -f -", pod("{nodeName: n1, containers: [{name: a, image: host}]}"));
    assert.match(
      await cluster.refused(`patch pod p -p {"spec":{"nodeName":"other"}}`),
      /Forbidden: pod updates may not change fields other than/,
    );
    await cluster.ok(`patch pod p -p {"spec":{"containers":[{"name":"a","image":"busybox"}]}}`);
    assert.equal(await cluster.ok("get pod p -o jsonpath={.spec.containers[0].image}"), "busybox");
    await cluster.ok(
      `patch pod p --subresource=status --type=merge -p {"status":{"phase":"Running","containerStatuses":[{"name":"a","image":"x","imageID":"","ready":true,"restartCount":0,"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}`,
    );
    assert.match(await cluster.ok("get pods -o wide"), /^p +1\/1 +Running +0 +\S+ +<none> +n1 /m);
    assert.match(await cluster.ok("describe pod p"), /Node: +n1\b/);
    await cluster.ok("delete pod p --wait=false");
    assert.match(await cluster.ok("get pods"), /^p +1\/1 +Terminating/m);
    await cluster.ok("delete pod p --grace-period=0 --force");
    assert.match(await cluster.refused("get pod p"), /pods "p" not found/);
  });

  it("gives pods the priority of their class", async () => {
    await cluster.ok("create priorityclass urgent --value=1000");
    const pod = (priorityClass: string): string =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: prio}\nspec: {priorityClassName: ${priorityClass}, containers: [{name: a, image: host}]}\n`;
    assert.match(await cluster.refused("create -f -", pod("absent")), /no PriorityClass with name absent was found/);
    await cluster.ok("create -f -", pod("urgent"));
    assert.equal(await cluster.ok("get pod prio -o jsonpath={.spec.priority}"), "1000");
    await cluster.ok("delete pod prio");
  });

  it("waits, watches and ends watches", async () => {
    const watch = cluster.spawn("get", "configmaps", "-w", "-l", "watched=yes", "--no-headers");
    let seen = "";
    const arrived = (text: RegExp): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (text.test(seen)) resolve();
        };
        watch.stdout!.on("data", look);
        watch.on("close", () => reject(new Error(`the watch ended: ${seen}`)));
        look();
      });
    watch.stdout!.on("data", (chunk: Buffer) => (seen += chunk.toString()));
    await cluster.ok(
      "create -f -",
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: w1, labels: {watched: 'yes'}}\n",
    );
    await arrived(/^w1 +0 /m);
    await cluster.ok("create configmap other --from-literal=a=b");
    await cluster.ok(`patch configmap w1 -p {"data":{"a":"b"}}`);
    await arrived(/^w1 +1 /m);
    assert.doesNotMatch(seen, /other/);
    watch.removeAllListeners("close");
    watch.kill();
    const wait = cluster.run("wait --for=jsonpath={.data.ready}=yes configmap/w1 --timeout=300s".split(" "));
    await cluster.ok(`patch configmap w1 -p {"data":{"ready":"yes"}}`);
    assert.match((await wait).stdout, /condition met/);
    const gone = cluster.run("wait --for=delete configmap/w1 --timeout=300s".split(" "));
    await cluster.ok("delete configmap w1");
    assert.equal((await gone).code, 0);
  });

  it("deletes with finalizers, owners and whole namespaces", async () => {
    await cluster.ok("create namespace del");
    await cluster.ok(
      "-n del create -f -",
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/hold]}\n",
    );
    await cluster.ok("-n del delete configmap held --wait=false");
    assert.notEqual(await cluster.ok("-n del get configmap held -o jsonpath={.metadata.deletionTimestamp}"), "");
    await cluster.ok(`-n del patch configmap held --type=merge -p {"metadata":{"finalizers":null}}`);
    assert.match(await cluster.refused("-n del get configmap held"), /not found/);
    await cluster.ok("-n del create configmap owner");
    const uid = await cluster.ok("-n del get configmap owner -o jsonpath={.metadata.uid}");
    const owned = (name: string): string =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: ${uid}, blockOwnerDeletion: true}]}\n`;
    await cluster.ok("-n del create -f -", owned("one"));
    await cluster.ok("-n del delete configmap owner --cascade=foreground");
    assert.match(await cluster.refused("-n del get configmap one"), /not found/);
    await cluster.ok("-n del create configmap owner");
    const second = await cluster.ok("-n del get configmap owner -o jsonpath={.metadata.uid}");
    await cluster.ok("-n del create -f -", owned("two").replace(uid, second));
    await cluster.ok("-n del delete configmap owner --cascade=orphan");
    assert.equal(await cluster.ok("-n del get configmap two -o jsonpath={.metadata.ownerReferences}"), "");
    await cluster.ok("delete namespace del");
    assert.match(await cluster.refused("get namespace del"), /not found/);
  });

  it("tells who may do what", async () => {
    assert.match(await cluster.ok("auth whoami"), /Username +admin/);
    assert.match(await cluster.ok("auth can-i create pods"), /^yes/);
    assert.match((await cluster.run("auth can-i list pods --as=eve".split(" "))).stdout, /^no/);
    await cluster.ok("create rolebinding eve --clusterrole=admin --user=eve");
    assert.match(await cluster.ok("auth can-i create rolebindings --as=eve"), /^yes/);
    assert.match(
      await cluster.refused("create rolebinding more --clusterrole=cluster-admin --user=eve --as=eve"),
      /attempting to grant RBAC permissions not currently held/,
    );
    assert.match(
      await cluster.refused("get nodes --as=eve"),
      /User "eve" cannot list resource "nodes" in API group "" at the cluster scope/,
    );
    assert.match(await cluster.ok("auth can-i --list --as=eve"), /configmaps/);
  });

  it("shows events by both their groups", async () => {
    await cluster.ok(
      "create -f -",
      "apiVersion: v1\nkind: Event\nmetadata: {name: e1}\ninvolvedObject: {kind: Pod, name: p, namespace: default, uid: u-1}\nreason: Started\nmessage: went well\ntype: Normal\nlastTimestamp: 2026-01-01T00:00:00Z\n",
    );
    assert.match(await cluster.ok("get events"), /Normal +Started +pod\/p +went well/);
    assert.equal(await cluster.ok("get events.events.k8s.io e1 -o jsonpath={.note}/{.regarding.name}"), "went well/p");
    assert.match(await cluster.ok("get events --field-selector=involvedObject.uid=u-1 -o name"), /event\/e1/);
    assert.equal(await cluster.ok("get events --field-selector=involvedObject.uid=u-2 -o name"), "");
  });
});
