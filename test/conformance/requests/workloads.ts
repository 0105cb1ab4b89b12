/** Pods and Jobs: defaults, refusals, bindings, evictions, states. */
import { get, inNamespace, partialList, patch, post, remove, table, type Script } from "../script.ts";

const pods = inNamespace("pods");
/** What should be refused is only tried, so that a server which takes it goes on as the other. */
const tried = `${pods}?dryRun=All`;
const jobs = inNamespace("jobs", "batch/v1");
const triedJobs = `${jobs}?dryRun=All`;
const image = "localhost/busybox:1";
const pod = (name: string, spec: object = {}, metadata: object = {}): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, ...metadata },
  spec: { automountServiceAccountToken: false, containers: [{ name: "main", image }], ...spec },
});
const job = (name: string, spec: object = {}, metadata: object = {}): object => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name, ...metadata },
  spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "main", image }] } }, ...spec },
});
const node = (name: string): object => ({ apiVersion: "v1", kind: "Node", metadata: { name } });
const binding = (name: string, target: object): object => ({
  apiVersion: "v1",
  kind: "Binding",
  metadata: { name },
  target,
});

export const workloadScripts: Script[] = [
  {
    name: "pods",
    steps: [
      post(pods, pod("plain")),
      get(`${pods}/plain`, { accept: table }),
      post(pods, pod("token", { automountServiceAccountToken: undefined })),
      post(
        pods,
        pod("full", {
          restartPolicy: "Never",
          initContainers: [{ name: "first", image, command: ["true"] }],
          containers: [
            {
              name: "main",
              image: "localhost/busybox",
              command: ["sh", "-c", "true"],
              env: [
                { name: "A", value: "1" },
                { name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
              ],
              ports: [{ containerPort: 80 }],
              resources: { requests: { cpu: "0.5" }, limits: { cpu: "1000m", memory: "1024Mi" } },
              readinessProbe: { httpGet: { port: 80 } },
              volumeMounts: [{ name: "scratch", mountPath: "/scratch" }],
            },
            { name: "side", image: "localhost/busybox@sha256:" + "0".repeat(64) },
          ],
          volumes: [
            { name: "scratch" },
            { name: "config", configMap: { name: "x" } },
            { name: "secret", secret: { secretName: "x" } },
            { name: "down", downwardAPI: { items: [{ path: "l", fieldRef: { fieldPath: "metadata.labels" } }] } },
            { name: "host", hostPath: { path: "/tmp" } },
            { name: "token", projected: { sources: [{ serviceAccountToken: { path: "t" } }] } },
          ],
          tolerations: [{ key: "k", operator: "Exists", effect: "NoSchedule" }],
          nodeSelector: { a: "b" },
          securityContext: { runAsUser: 1000 },
        }),
      ),
      post(
        pods,
        pod("guaranteed", {
          containers: [{ name: "main", image, resources: { limits: { cpu: "1", memory: "64Mi" } } }],
        }),
      ),
      post(pods, pod("gated", { schedulingGates: [{ name: "example.com/wait" }] })),
      patch("merge", `${pods}/gated`, { spec: { nodeSelector: { x: "y" } } }),
      patch("merge", `${pods}/gated`, { spec: { schedulingGates: null } }),
      post(tried, { apiVersion: "v1", kind: "Pod", metadata: { name: "no-containers" }, spec: { containers: [] } }),
      post(tried, pod("no-image", { containers: [{ name: "main" }] })),
      post(tried, pod("twice", { containers: [1, 2].map(() => ({ name: "main", image })) })),
      post(
        tried,
        pod("bad-container", { containers: [{ name: "No_Good", image, ports: [{ containerPort: 99999 }] }] }),
      ),
      post(
        pods,
        pod("bad-mount", { containers: [{ name: "m", image, volumeMounts: [{ name: "v", mountPath: "/x" }] }] }),
      ),
      post(
        tried,
        pod("bad-resources", {
          containers: [{ name: "m", image, resources: { requests: { cpu: "2" }, limits: { cpu: "1" } } }],
        }),
      ),
      post(
        tried,
        pod("bad-quantity", { containers: [{ name: "m", image, resources: { requests: { cpu: "lots" } } }] }),
      ),
      post(tried, pod("bad-policy", { restartPolicy: "Sometimes" })),
      post(tried, pod("bad-class", { priorityClassName: "missing" })),
      post(tried, pod("critical", { priorityClassName: "system-cluster-critical" })),
      post(tried, pod("bad-deadline", { activeDeadlineSeconds: 0 })),
      post(tried, pod("bad-selector", { nodeSelector: { "-bad-": "x" } })),
      post(tried, pod("bad-toleration", { tolerations: [{ key: "k", operator: "Perhaps" }] })),
      post(tried, pod("bad-account", { serviceAccountName: "missing" })),
      patch("merge", `${pods}/plain`, { spec: { containers: [{ name: "main", image, command: ["x"] }] } }),
      patch("merge", `${pods}/plain`, { spec: { nodeName: "n" } }),
      patch("strategic", `${pods}/plain`, { spec: { containers: [{ name: "main", image: "localhost/new:1" }] } }),
      patch("merge", `${pods}/plain`, { spec: { activeDeadlineSeconds: 100 } }),
      patch("merge", `${pods}/plain`, { spec: { activeDeadlineSeconds: 200 } }),
      patch("merge", `${pods}/plain`, { status: { phase: "Running" } }),
      get(`${pods}?fieldSelector=spec.nodeName=`, { accept: partialList }),
      get(`${pods}?fieldSelector=status.phase=Pending,spec.restartPolicy=Never`, { accept: partialList }),
      get(`${pods}?fieldSelector=spec.hostNetwork=false,metadata.name=plain`, { accept: partialList }),
      get(`${pods}?fieldSelector=spec.containers=x`),
      remove(`${pods}/plain`),
      get(`${pods}/plain`),
      get(`${pods}/full/log`),
      get(`${pods}/missing/log`),
      remove(pods),
    ],
  },
  {
    name: "running",
    steps: [
      post("/api/v1/nodes", node("running-n1")),
      post(pods, pod("bound")),
      post(`${pods}/bound/binding`, binding("bound", { kind: "Node", name: "running-n1" })),
      get(`${pods}/bound`),
      post(`${pods}/bound/binding`, binding("bound", { kind: "Node", name: "running-n1" })),
      post(`${pods}/missing/binding`, binding("missing", { kind: "Node", name: "running-n1" })),
      post(pods, pod("other")),
      post(`${pods}/other/binding`, binding("other", { kind: "Pod", name: "x" })),
      post(`${pods}/other/binding`, binding("other", { kind: "Node" })),
      patch("strategic", `${pods}/bound/status`, {
        status: {
          phase: "Running",
          startTime: "2026-11-22T10:00:00Z",
          podIP: "10.0.0.9",
          podIPs: [{ ip: "10.0.0.9" }],
          conditions: [{ type: "Ready", status: "True" }],
          containerStatuses: [
            {
              name: "main",
              image,
              imageID: "",
              ready: true,
              restartCount: 2,
              state: { running: { startedAt: "2026-11-22T10:00:00Z" } },
            },
          ],
        },
      }),
      get(`${pods}/bound`, { accept: table }),
      get(`${pods}?fieldSelector=spec.nodeName=running-n1,status.podIP=10.0.0.9`, { accept: table }),
      { watch: "bound", path: `${pods}?watch=1&fieldSelector=status.phase=Running`, accept: table },
      remove(`${pods}/bound`),
      get(`${pods}/bound`, { accept: table }),
      remove(`${pods}/bound?gracePeriodSeconds=60`),
      remove(`${pods}/bound?gracePeriodSeconds=5`),
      patch("merge", `${pods}/bound/status`, {
        status: {
          phase: "Failed",
          containerStatuses: [
            {
              name: "main",
              image,
              imageID: "",
              ready: false,
              restartCount: 2,
              state: { terminated: { exitCode: 143, reason: "Error", startedAt: null, finishedAt: null } },
            },
          ],
        },
      }),
      get(`${pods}/bound`, { accept: table }),
      remove(`${pods}/bound?gracePeriodSeconds=0`),
      { unwatch: "bound", events: 4 },
      post(`${pods}/other/eviction`, { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "other" } }),
      get(`${pods}/other`),
      post(`${pods}/missing/eviction`, { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "missing" } }),
      post(pods, pod("bound-at-birth", { nodeName: "running-n1" })),
      patch("merge", `${pods}/bound-at-birth/status`, { status: { phase: "Succeeded" } }),
      get(`${pods}/bound-at-birth`, { accept: table }),
      remove(`${pods}/bound-at-birth`),
      remove("/api/v1/nodes/running-n1"),
    ],
  },
  {
    name: "jobs",
    steps: [
      post(jobs, job("a")),
      get(`${jobs}/a`, { accept: table }),
      post(jobs, job("indexed", { completions: 3, parallelism: 2, completionMode: "Indexed", backoffLimit: 0 })),
      post(jobs, job("held", { suspend: true })),
      post(triedJobs, job("no-policy", { template: { spec: { containers: [{ name: "main", image }] } } })),
      post(
        jobs,
        job("always", { template: { spec: { restartPolicy: "Always", containers: [{ name: "m", image }] } } }),
      ),
      post(triedJobs, job("negative", { parallelism: -1, completions: -1, backoffLimit: -1 })),
      post(triedJobs, job("unlimited-index", { completionMode: "Indexed" })),
      post(triedJobs, job("mode", { completionMode: "Sometimes" })),
      post(triedJobs, { apiVersion: "batch/v1", kind: "Job", metadata: { name: "empty" } }),
      patch("merge", `${jobs}/a`, { spec: { parallelism: 3 } }),
      patch("merge", `${jobs}/a`, { spec: { completions: 3 } }),
      patch("merge", `${jobs}/indexed`, { spec: { completions: 4 } }),
      patch("strategic", `${jobs}/a`, {
        spec: { template: { spec: { containers: [{ name: "main", image: "localhost/x:1" }] } } },
      }),
      patch("merge", `${jobs}/held`, { spec: { suspend: false } }),
      patch("merge", `${jobs}/a/status`, { status: { active: 2, startTime: "2026-11-22T10:00:00Z" } }),
      patch("merge", `${jobs}/a/status`, {
        status: { active: 0, conditions: [{ type: "Complete", status: "True" }] },
      }),
      get(`${jobs}/a`, { accept: table }),
      get(`${jobs}?fieldSelector=status.successful=0`, { accept: table }),
      remove(`${jobs}/a`),
      remove(`${jobs}/held?propagationPolicy=Background`),
    ],
  },
];
