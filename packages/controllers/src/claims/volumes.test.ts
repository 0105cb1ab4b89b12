import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesNode, type Node } from "@berth/kinds";
import type { StorageClass, Volume, VolumeClaim, VolumeClaimSpec } from "./objects.ts";
import { demandOfClaim, ephemeralClaims, type NamedClaim, placesOf, volumesFor, type VolumeView } from "./volumes.ts";

const storageClass = (name: string, more: Partial<StorageClass> = {}): StorageClass => ({
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: { name },
  provisioner: "example.com/maker",
  volumeBindingMode: "WaitForFirstConsumer",
  ...more,
});
const volume = (
  name: string,
  storage: string,
  spec: NonNullable<Volume["spec"]> = {},
  phase = "Available",
): Volume => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name },
  spec: { accessModes: ["ReadWriteOnce"], capacity: { storage }, storageClassName: "local", ...spec },
  status: { phase },
});
const claim = (name: string, spec: VolumeClaimSpec, more: Partial<VolumeClaim["metadata"]> = {}): NamedClaim => ({
  label: `claim ${name}`,
  claim: {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name, namespace: "lab", uid: name, ...more },
    spec,
    status: { phase: spec.volumeName === undefined ? "Pending" : "Bound" },
  },
  spec,
});
const view = (volumes: Volume[], classes: StorageClass[]): VolumeView => ({
  claim: () => undefined,
  volume: (name) => volumes.find(({ metadata }) => metadata.name === name),
  free: (name) => volumes.filter(({ spec }) => spec?.storageClassName === name),
  class: (name) => classes.find(({ metadata }) => metadata.name === name),
  classes: () => classes,
});
const node = (name: string, labels: Record<string, string> = {}): Node => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } },
});
const wanted = (more: VolumeClaimSpec = {}): VolumeClaimSpec => ({
  accessModes: ["ReadWriteOnce"],
  storageClassName: "local",
  resources: { requests: { storage: "2Gi" } },
  ...more,
});

test("of free volumes those that would do, the smallest first; the one that is meant for the claim before all", () => {
  const volumes = [
    volume("large", "10Gi"),
    volume("small", "1Gi"),
    volume("raw", "2Gi", { volumeMode: "Block" }),
    volume("shared", "2Gi", { accessModes: ["ReadOnlyMany"] }),
    volume("released", "2Gi", {}, "Released"),
    volume("theirs", "2Gi", { claimRef: { namespace: "lab", name: "other" } }),
    volume("fitting", "2048Mi"),
  ];
  const names = (all: Volume[]): string[] =>
    volumesFor(claim("data", wanted()), view(all, [])).map(({ metadata }) => metadata.name);
  assert.deepEqual(names(volumes), ["fitting", "large"]);
  const meant = volume("meant", "20Gi", { claimRef: { namespace: "lab", name: "data", uid: "data" } });
  assert.deepEqual(names([...volumes, meant]), ["meant"]);
  const before = volume("before", "2Gi", { claimRef: { namespace: "lab", name: "data", uid: "an older one" } });
  assert.deepEqual(names([...volumes, before]), ["fitting", "large"]);
});

test("where a claim lets its pod be: its volume's places, those of volumes that are free, or of its class", () => {
  const onlyOn = (name: string) => ({
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [name] }] }],
      },
    },
  });
  const nodes = [node("a", { zone: "x" }), node("b", { zone: "x" }), node("c", { zone: "y" })];
  const places = (named: NamedClaim, of: VolumeView): string | undefined => {
    const { terms, problem } = demandOfClaim(named, of);
    const fitting = nodes.filter((each) => terms.every((list) => matchesNode(list, each)));
    return problem ?? fitting.map(({ metadata }) => metadata.name).join();
  };
  const local = storageClass("local", { provisioner: "kubernetes.io/no-provisioner" });
  const volumes = [volume("on-a", "2Gi", onlyOn("a")), volume("on-c", "2Gi", onlyOn("c"))];
  const free = view(volumes, [local]);
  assert.equal(places(claim("data", wanted()), free), "a,c");
  assert.equal(places(claim("data", wanted({ volumeName: "on-c" })), free), "c");
  const chosen = { annotations: { "volume.kubernetes.io/selected-node": "b" } };
  assert.equal(places(claim("data", wanted(), chosen), free), "b");
  assert.match(
    places(claim("data", wanted()), view([], [local]))!,
    /claim data, of which storage class local has no vol/,
  );
  const zoned = storageClass("local", {
    allowedTopologies: [{ matchLabelExpressions: [{ key: "zone", values: ["x"] }] }],
  });
  assert.equal(places(claim("data", wanted()), view([], [zoned])), "a,b");
  assert.equal(places(claim("data", wanted()), view(volumes, [zoned])), "a,b,c");
  assert.equal(places(claim("data", wanted()), view([], [storageClass("local")])), "a,b,c");
  const atOnce = storageClass("local", { volumeBindingMode: "Immediate" });
  assert.match(places(claim("data", wanted()), view([], [atOnce]))!, /storage class local has not bound yet/);
  const usual = storageClass("usual");
  usual.metadata.annotations = { "storageclass.kubernetes.io/is-default-class": "true" };
  assert.equal(places(claim("data", wanted({ storageClassName: undefined })), view([], [usual])), "a,b,c");
  assert.match(places(claim("data", wanted({ storageClassName: "" })), view([], [usual]))!, /names no storage class/);
});

test("volumes from before affinity say their zone by labels; ephemeral volumes say what they will ask for", () => {
  const old = volume("old", "1Gi");
  old.metadata.labels = { "topology.kubernetes.io/zone": "x__y" };
  const matchExpressions = [{ key: "topology.kubernetes.io/zone", operator: "In", values: ["x", "y"] }];
  assert.deepEqual(placesOf(old), [{ matchExpressions }]);
  assert.equal(placesOf(volume("new", "1Gi")), undefined);
  const spec = wanted();
  const volumes = [
    { name: "scratch", ephemeral: { volumeClaimTemplate: { spec } } },
    { name: "none", emptyDir: {} },
  ];
  assert.deepEqual(ephemeralClaims({ containers: [], volumes }), [{ volume: "scratch", spec }]);
});
