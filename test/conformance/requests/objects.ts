/** Kinds that are mostly data: life of one object by every verb, and its refusals. */
import { get, inNamespace, partial, patch, post, put, remove, table, type Script } from "../script.ts";

const configMaps = inNamespace("configmaps");
const secrets = inNamespace("secrets");
const accounts = inNamespace("serviceaccounts");
const leases = inNamespace("leases", "coordination.k8s.io/v1");
const configMap = (name: string, more: object = {}): object => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  ...more,
});

export const objectScripts: Script[] = [
  {
    name: "configmaps",
    steps: [
      post(configMaps, configMap("a", { data: { x: "1", y: "two" } }), { save: "a" }),
      get(`${configMaps}/a`),
      get(`${configMaps}/a`, { accept: table }),
      get(`${configMaps}/a`, { accept: partial }),
      get(`${configMaps}/a?resourceVersion=0`),
      post(configMaps, configMap("a")),
      put(
        `${configMaps}/a`,
        configMap("a", { data: { x: "2" }, metadata: { name: "a", resourceVersion: "${a.metadata.resourceVersion}" } }),
      ),
      put(
        `${configMaps}/a`,
        configMap("a", { data: { x: "3" }, metadata: { name: "a", resourceVersion: "${a.metadata.resourceVersion}" } }),
      ),
      put(`${configMaps}/a`, configMap("a", { data: { x: "2" } })),
      put(`${configMaps}/a`, configMap("b")),
      put(`${configMaps}/missing`, configMap("missing")),
      put(`${configMaps}/a`, configMap("a", { metadata: { name: "a", uid: "00000000-0000-0000-0000-000000000000" } })),
      post(configMaps, configMap("frozen", { data: { x: "1" }, immutable: true })),
      patch("merge", `${configMaps}/frozen`, { data: { x: "2" } }),
      patch("merge", `${configMaps}/frozen`, { immutable: false }),
      patch("merge", `${configMaps}/frozen`, { metadata: { labels: { may: "change" } } }),
      post(configMaps, configMap("Bad_Name")),
      post(configMaps, configMap("bad-key", { data: { "no spaces": "" } })),
      post(configMaps, configMap("bad-type", { data: { x: 1 } })),
      post(configMaps, configMap("bad-label", { metadata: { name: "bad-label", labels: { "-": "no good!" } } })),
      post(configMaps, configMap("bad-annotation", { metadata: { name: "n", annotations: { "a/b/c": "" } } })),
      post(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "made-" } }),
      post(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: {} }),
      post(configMaps, { apiVersion: "v1", kind: "Secret", metadata: { name: "s" } }),
      post(configMaps, { apiVersion: "v2", kind: "ConfigMap", metadata: { name: "s" } }),
      post(configMaps, configMap("elsewhere", { metadata: { name: "elsewhere", namespace: "default" } })),
      post("/api/v1/namespaces/missing/configmaps", configMap("a")),
      post(configMaps, "{not json"),
      post(configMaps, "", {}),
      post(configMaps, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {x: z}\n", {
        contentType: "application/yaml",
      }),
      post(configMaps, "x", { contentType: "text/plain" }),
      get(`${configMaps}/missing`),
      get(`${configMaps}/a`, { accept: "application/xml" }),
      remove(`${configMaps}/a`, {
        apiVersion: "v1",
        kind: "DeleteOptions",
        preconditions: { resourceVersion: "1" },
      }),
      remove(`${configMaps}/a`, {
        apiVersion: "v1",
        kind: "DeleteOptions",
        preconditions: { uid: "00000000-0000-0000-0000-000000000000" },
      }),
      remove(`${configMaps}/a?dryRun=All`),
      remove(`${configMaps}/a`),
      remove(`${configMaps}/a`),
      remove(configMaps),
      get(configMaps),
    ],
  },
  {
    name: "finalizers",
    steps: [
      post(configMaps, configMap("held", { metadata: { name: "held", finalizers: ["example.com/hold"] } })),
      post(configMaps, configMap("bad", { metadata: { name: "bad", finalizers: ["hold it"] } })),
      remove(`${configMaps}/held`),
      get(`${configMaps}/held`),
      patch("merge", `${configMaps}/held`, { metadata: { finalizers: ["example.com/hold", "example.com/more"] } }),
      patch("merge", `${configMaps}/held`, { metadata: { finalizers: null } }),
      get(`${configMaps}/held`),
      post(configMaps, configMap("owner"), { save: "owner" }),
      post(
        configMaps,
        configMap("owned", {
          metadata: {
            name: "owned",
            ownerReferences: [
              {
                apiVersion: "v1",
                kind: "ConfigMap",
                name: "owner",
                uid: "${owner.metadata.uid}",
                blockOwnerDeletion: true,
              },
            ],
          },
        }),
      ),
      post(configMaps, configMap("bad-owner", { metadata: { name: "x", ownerReferences: [{ kind: "Pod" }] } })),
      remove(`${configMaps}/owner?propagationPolicy=Foreground`),
      { wait: `${configMaps}/owner`, until: "gone" },
      get(`${configMaps}/owned`),
      post(configMaps, configMap("owner"), { save: "owner" }),
      post(
        configMaps,
        configMap("owned", {
          metadata: {
            name: "owned",
            ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: "${owner.metadata.uid}" }],
          },
        }),
      ),
      remove(`${configMaps}/owner`, { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Orphan" }),
      { wait: `${configMaps}/owner`, until: "gone" },
      get(`${configMaps}/owned`),
      remove(`${configMaps}/owned?propagationPolicy=Sideways`),
    ],
  },
  {
    name: "secrets",
    steps: [
      post(secrets, { apiVersion: "v1", kind: "Secret", metadata: { name: "a" }, stringData: { x: "plain" } }),
      get(`${secrets}/a`, { accept: table }),
      patch("merge", `${secrets}/a`, { stringData: { y: "more" } }),
      patch("merge", `${secrets}/a`, { data: { y: "not base64!" } }),
      patch("merge", `${secrets}/a`, { type: "example.com/other" }),
      post(secrets, {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "login" },
        type: "kubernetes.io/basic-auth",
        data: { username: "YQ==" },
      }),
      post(`${secrets}?dryRun=All`, {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "bad" },
        type: "kubernetes.io/tls",
      }),
      post(secrets, { apiVersion: "v1", kind: "Secret", metadata: { name: "once" }, immutable: true }),
      patch("merge", `${secrets}/once`, { data: { y: "eA==" } }),
      get(`${secrets}?fieldSelector=type=Opaque`),
      get(`${secrets}?fieldSelector=type=kubernetes.io/basic-auth`, { accept: table }),
      get(`${secrets}?fieldSelector=data.x=1`),
      remove(`${secrets}/a`),
    ],
  },
  {
    name: "serviceaccounts",
    steps: [
      post(accounts, { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "robot" } }),
      get(`${accounts}/robot`, { accept: table }),
      post(`${accounts}/robot/token`, { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} }),
      post(`${accounts}/robot/token`, {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { expirationSeconds: 10 },
      }),
      post(`${accounts}/missing/token`, { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} }),
      patch("merge", `${accounts}/robot`, { automountServiceAccountToken: false }),
      remove(`${accounts}/robot`),
    ],
  },
  {
    name: "leases",
    steps: [
      post(leases, {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: "a" },
        spec: { holderIdentity: "me", leaseDurationSeconds: 15, renewTime: "2026-11-22T10:00:00.000000Z" },
      }),
      get(`${leases}/a`, { accept: table }),
      patch("merge", `${leases}/a`, { spec: { leaseDurationSeconds: 0 } }),
      patch("merge", `${leases}/a`, { spec: { leaseTransitions: -1 } }),
      patch("merge", `${leases}/a`, { spec: { renewTime: "yesterday" } }),
      patch("merge", `${leases}/a`, { spec: { renewTime: "2026-11-22T10:00:01.500000Z", holderIdentity: null } }),
      put(`${leases}/a`, {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: "a" },
        spec: { holderIdentity: "you" },
      }),
      put(`${leases}/new`, { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "new" } }),
      remove(`${leases}/a`),
    ],
  },
];
