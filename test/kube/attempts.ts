/**
 * What is tried to be somebody else, to come into what is another's, or to get around the scheduler; each for real, with the rights that
 * `berth-user` gives in one's own namespace, and with those to make any kind of pod there. docs/reference/attempts.md has the same rows.
 */
import { request as httpsRequest } from "node:https";
import { resources, type AnyObject, type Client, type ConnectionOptions } from "@berth/client";
import { workloads } from "@berth/kinds";
import type { ResourceKey } from "@berth/machinery";

/** `ada` owns namespace `ada`, `bob` namespace `bob`; the robot is a service account in `ada`. */
export type Who = "ada" | "bob" | "robot";

export interface Attempt {
  what: string;
  who: Who;
  /** What keeps it: rights (RBAC), a policy by its name, the kind's own rules, or the controllers, which do without what was asked. */
  keeper: string;
  words: RegExp;
  try: (as: Client, connection: ConnectionOptions) => Promise<unknown>;
}

type Fields = Record<string, unknown>;

const key = (group: string, resource: string, kind: string, namespaced = true): ResourceKey => ({
  group,
  version: "v1",
  resource,
  kind,
  namespaced,
});
const deployments = key("apps", "deployments", "Deployment");
const jobs = key("batch", "jobs", "Job");
const cronJobs = key("batch", "cronjobs", "CronJob");
const podTemplates = key("", "podtemplates", "PodTemplate");
const persistentVolumes = key("", "persistentvolumes", "PersistentVolume", false);

const container = (security: Fields = {}): Fields => ({
  name: "main",
  image: "none",
  securityContext: { allowPrivilegeEscalation: false, ...security },
});
const podSpec = (more: Fields = {}, security: Fields = {}): Fields => ({
  schedulerName: "berth",
  securityContext: { runAsUser: 1001, runAsGroup: 1001, supplementalGroupsPolicy: "Strict", ...security },
  containers: [container()],
  ...more,
});
const object = (apiVersion: string, kind: string, more: Fields): AnyObject =>
  ({ apiVersion, kind, metadata: { generateName: "x-" }, ...more }) as unknown as AnyObject;
const pod = (spec: Fields, metadata: Fields = { generateName: "p-" }): AnyObject =>
  object("v1", "Pod", { metadata, spec });
const deployment = (spec: Fields, metadata: Fields = { generateName: "d-" }): AnyObject => {
  const labels = { app: "x" };
  const template = { metadata: { labels }, spec };
  return object("apps/v1", "Deployment", {
    metadata,
    spec: { replicas: 0, selector: { matchLabels: labels }, template },
  });
};
const workload = (spec: Fields = {}, more: Fields = {}): AnyObject =>
  object("berth.dev/v1alpha1", "Workload", {
    spec: {
      podSets: [{ name: "main", template: { spec: { containers: [{ name: "main", image: "none" }], ...spec } } }],
      ...more,
    },
  });

/** What stands there before: a pod, a Secret, a Workload that waits, a Deployment, a template, of ada's. */
export const present: [resource: ResourceKey, object: AnyObject][] = [
  [resources.pods, pod(podSpec(), { name: "running", annotations: { "berth.dev/wall-time-seconds": "600" } })],
  [resources.secrets, object("v1", "Secret", { metadata: { name: "script" }, stringData: { script: "true" } })],
  [workloads, Object.assign(workload({}, { hold: "User" }), { metadata: { name: "waiting" } }) as unknown as AnyObject],
  [deployments, deployment(podSpec(), { name: "service" })],
  [podTemplates, object("v1", "PodTemplate", { metadata: { name: "template" }, template: { spec: podSpec() } })],
];

const inAda = { namespace: "ada" };
const make =
  (resource: ResourceKey, made: AnyObject, namespace = "ada") =>
  (as: Client): Promise<unknown> =>
    as.create(resource, made, { namespace });
const change =
  (resource: ResourceKey, name: string, patch: Fields, more: Fields = {}) =>
  (as: Client): Promise<unknown> =>
    as.patch(resource, name, patch, { ...inAda, ...more });
const request =
  (method: "GET" | "POST", path: string, body?: unknown) =>
  (as: Client): Promise<unknown> =>
    as.request({ method, path, ...(body === undefined ? {} : { body }) });
/** As `kubectl --as` does it. */
const impersonate =
  (headers: Record<string, string>) =>
  (_: Client, { server, ca, cert, key }: ConnectionOptions): Promise<void> =>
    new Promise((resolve, reject) => {
      const asked = httpsRequest(`${server}${pods}`, { ca, cert, key, headers }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part: string) => (text += part));
        answer.on("end", () => (answer.statusCode === 200 ? resolve() : reject(new Error(JSON.parse(text).message))));
      });
      asked.on("error", reject).end();
    });

const pods = "/api/v1/namespaces/ada/pods";
const own = /pods of namespace ada run as its owner ada, uid 1001/;
const cannot = (rest: string): RegExp => new RegExp(`User "bob" cannot ${rest}`);

const byRights: [what: string, words: RegExp, attempt: Attempt["try"]][] = [
  [
    "exec into another's pod",
    cannot('(create|get) resource "pods/exec"'),
    request("POST", `${pods}/running/exec?command=sh`),
  ],
  ["attach to another's pod", cannot('(create|get) resource "pods/attach"'), request("POST", `${pods}/running/attach`)],
  [
    "forward a port of another's pod",
    cannot('(create|get) resource "pods/portforward"'),
    request("POST", `${pods}/running/portforward`),
  ],
  ["read another's log", cannot('get resource "pods/log"'), request("GET", `${pods}/running/log`)],
  ["read another's Secret", cannot('get resource "secrets"'), (as) => as.get(resources.secrets, "script", inAda)],
  ["list another's Secrets", cannot('list resource "secrets"'), (as) => as.list(resources.secrets, inAda)],
  ["read another's template", cannot('get resource "podtemplates"'), (as) => as.get(podTemplates, "template", inAda)],
  ["read another's Workload", cannot('get resource "workloads"'), (as) => as.get(workloads, "waiting", inAda)],
  ["make a pod in another's namespace", cannot('create resource "pods"'), make(resources.pods, pod(podSpec()))],
  ["make a Workload in another's namespace", cannot('create resource "workloads"'), make(workloads, workload())],
  ["make a CronJob in another's namespace", cannot('create resource "cronjobs"'), make(cronJobs, cronJob(podSpec()))],
  [
    "change another's template",
    cannot('patch resource "deployments"'),
    change(deployments, "service", { spec: { replicas: 1 } }),
  ],
  [
    "cancel another's job",
    cannot('patch resource "workloads"'),
    change(workloads, "waiting", { metadata: { annotations: { "berth.dev/cancel": "bob" } } }),
  ],
  ["delete another's pod", cannot('delete resource "pods"'), (as) => as.delete(resources.pods, "running", inAda)],
  [
    "enter another's pod with a container of one's own",
    cannot('patch resource "pods/ephemeralcontainers"'),
    change(resources.pods, "running", {}, { subresource: "ephemeralcontainers" }),
  ],
  ["be another by impersonation", cannot('impersonate resource "users"'), impersonate({ "Impersonate-User": "ada" })],
  [
    "be an administrator by impersonation",
    cannot('impersonate resource "(users|groups)"'),
    impersonate({ "Impersonate-User": "bob", "Impersonate-Group": "system:masters" }),
  ],
  [
    "take a token of another's service account",
    cannot('create resource "serviceaccounts/token"'),
    request("POST", "/api/v1/namespaces/ada/serviceaccounts/robot/token", {}),
  ],
  [
    "give oneself rights",
    cannot('create resource "rolebindings"'),
    make(
      resources.roleBindings,
      object("rbac.authorization.k8s.io/v1", "RoleBinding", {
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
        subjects: [],
      }),
      "bob",
    ),
  ],
  [
    "reach pods through their node",
    cannot('get resource "nodes/proxy"'),
    request("GET", "/api/v1/nodes/n1/proxy/pods"),
  ],
  [
    "offer a folder of the nodes as a volume",
    cannot('create resource "persistentvolumes"'),
    make(persistentVolumes, object("v1", "PersistentVolume", {}), ""),
  ],
  [
    "take another's namespace",
    cannot('patch resource "namespaces"'),
    (as) => as.patch(resources.namespaces, "ada", { metadata: { annotations: { "berth.dev/owner": "bob" } } }),
  ],
  [
    "make a queue",
    cannot('create resource "queues"'),
    request("POST", "/apis/berth.dev/v1alpha1/queues", {
      apiVersion: "berth.dev/v1alpha1",
      kind: "Queue",
      metadata: { name: "mine" },
      spec: {},
    }),
  ],
];

function cronJob(spec: Fields): AnyObject {
  const template = { spec: { restartPolicy: "Never", ...spec } };
  return object("batch/v1", "CronJob", { spec: { schedule: "0 0 1 1 *", jobTemplate: { spec: { template } } } });
}
function job(spec: Fields): AnyObject {
  return object("batch/v1", "Job", {
    spec: { parallelism: 0, template: { spec: { restartPolicy: "Never", ...spec } } },
  });
}

const claim = { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "tree" } }] };
const files = { volumes: [{ name: "v", hostPath: { path: "/" } }] };
const rootContainer = {
  name: "debug",
  image: "none",
  securityContext: { runAsUser: 0, allowPrivilegeEscalation: false },
};

const byPolicy: [policy: string, what: string, words: RegExp, attempt: Attempt["try"]][] = [
  [
    "berth-pods",
    "a pod on a node of one's choice",
    /spec\.nodeName: only Berth gives pods/,
    make(resources.pods, pod(podSpec({ nodeName: "n1" }))),
  ],
  [
    "berth-bindings",
    "bind one's pod to a node",
    /only Berth gives pods of this namespace their node/,
    request("POST", `${pods}/running/binding`, {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: "running" },
      target: { kind: "Node", name: "n1" },
    }),
  ],
  [
    "berth-pods",
    "a pod of another scheduler",
    /add to the spec of the pod: schedulerName: berth/,
    make(resources.pods, pod(podSpec({ schedulerName: "mine" }))),
  ],
  ["berth-pods", "a pod as another user", own, make(resources.pods, pod(podSpec({}, { runAsUser: 1002 })))],
  [
    "berth-pods",
    "a container as root",
    own,
    make(resources.pods, pod(podSpec({ containers: [container({ runAsUser: 0 })] }))),
  ],
  [
    "berth-pods",
    "a pod with another's group",
    /run with the group of its owner ada, gid 1001/,
    make(resources.pods, pod(podSpec({}, { runAsGroup: 0 }))),
  ],
  [
    "berth-pods",
    "a pod with another's supplementary group",
    /have groups of its owner ada only: 1001, 2000/,
    make(resources.pods, pod(podSpec({}, { supplementalGroups: [3000] }))),
  ],
  [
    "berth-pods",
    "a pod with groups of its image",
    /supplementalGroupsPolicy: Strict/,
    make(resources.pods, pod(podSpec({}, { supplementalGroupsPolicy: "Merge" }))),
  ],
  [
    "berth-pods",
    "another's group by fsGroup",
    /have groups of its owner ada only: 1001, 2000/,
    make(resources.pods, pod(podSpec({}, { fsGroup: 3000 }))),
  ],
  [
    "berth-pods",
    "a shared tree made one's group's by fsGroup",
    /a claim outlives the pod/,
    make(resources.pods, pod(podSpec(claim, { fsGroup: 2000 }))),
  ],
  [
    "berth-pods",
    "another service account",
    /you may not act as this service account/,
    make(resources.pods, pod(podSpec({ serviceAccountName: "robot" }))),
  ],
  [
    "berth-pods",
    "another service account, by the field's former name",
    /you may not act as this service account/,
    make(resources.pods, pod(podSpec({ serviceAccount: "robot" }))),
  ],
  [
    "berth-pods",
    "files of the node (hostPath)",
    /spec\.volumes: a volume may be one of/,
    make(resources.pods, pod(podSpec(files))),
  ],
  [
    "berth-pods",
    "a privileged container",
    /no container has more rights than its owner/,
    make(resources.pods, pod(podSpec({ containers: [{ ...container(), securityContext: { privileged: true } }] }))),
  ],
  [
    "berth-pods",
    "a capability",
    /no container has more rights than its owner/,
    make(resources.pods, pod(podSpec({ containers: [container({ capabilities: { add: ["SYS_ADMIN"] } })] }))),
  ],
  [
    "berth-pods",
    "programs that change their user (setuid)",
    /allowPrivilegeEscalation: true would let a pod become another user/,
    make(resources.pods, pod(podSpec({ containers: [container({ allowPrivilegeEscalation: true })] }))),
  ],
  [
    "berth-pods",
    "the node's network, processes or IPC",
    /spec\.hostNetwork, hostPID, hostIPC/,
    make(resources.pods, pod(podSpec({ hostPID: true }))),
  ],
  [
    "berth-pods",
    "root in one's own running pod (ephemeral container)",
    own,
    change(
      resources.pods,
      "running",
      { spec: { ephemeralContainers: [rootContainer] } },
      { subresource: "ephemeralcontainers", type: "Strategic" },
    ),
  ],
  [
    "berth-marks",
    "a pod that poses as Berth's",
    /are written by Berth/,
    make(resources.pods, pod(podSpec(), { generateName: "p-", labels: { "berth.dev/workload": "waiting" } })),
  ],
  [
    "berth-bare-templates",
    "root by a PodTemplate",
    own,
    make(podTemplates, object("v1", "PodTemplate", { template: { spec: podSpec({}, { runAsUser: 0 }) } })),
  ],
  ["berth-pod-templates", "root by a Deployment", own, make(deployments, deployment(podSpec({}, { runAsUser: 0 })))],
  [
    "berth-pod-templates",
    "root by a Deployment that is there",
    own,
    change(deployments, "service", { spec: { template: { spec: { securityContext: { runAsUser: 0 } } } } }),
  ],
  [
    "berth-pod-templates",
    "a node by a Job",
    /spec\.nodeName: only Berth gives pods/,
    make(jobs, job(podSpec({ nodeName: "n1" }))),
  ],
  ["berth-cron-jobs", "root by a CronJob", own, make(cronJobs, cronJob(podSpec({}, { runAsUser: 0 })))],
  [
    "berth-cron-jobs",
    "files of the node by a CronJob",
    /spec\.volumes: a volume may be one of/,
    make(cronJobs, cronJob(podSpec(files))),
  ],
  [
    "berth-workloads",
    "a job as another",
    /spec\.user: namespace ada belongs to ada/,
    make(workloads, workload({}, { user: "bob" })),
  ],
  ["berth-workloads", "a job as root", own, make(workloads, workload({ securityContext: { runAsUser: 0 } }))],
  [
    "berth-workloads",
    "a job with another's group by fsGroup",
    /have groups of its owner ada only/,
    make(workloads, workload({ securityContext: { fsGroup: 3000 } })),
  ],
  [
    "berth-workloads",
    "a job on a node past the scheduler",
    /spec\.nodeName: only Berth gives pods/,
    make(workloads, workload({ nodeName: "n1" })),
  ],
  [
    "berth-workloads",
    "a job with files of the node",
    /spec\.volumes: a volume may be one of/,
    make(workloads, workload(files)),
  ],
  [
    "berth-workloads",
    "a privileged job",
    /no container has more rights/,
    make(workloads, workload({ containers: [{ name: "main", image: "none", securityContext: { privileged: true } }] })),
  ],
  [
    "berth-workloads",
    "a job with a service account",
    /jobs have no account of the API/,
    make(workloads, workload({ serviceAccountName: "robot" })),
  ],
  [
    "berth-workloads",
    "a job with a service account, by the field's former name",
    /jobs have no account of the API/,
    make(workloads, workload({ serviceAccount: "robot" })),
  ],
  [
    "workloads.berth.dev",
    "an administrator's hold",
    /only an operator holds a job as Admin/,
    make(workloads, workload({}, { hold: "Admin" })),
  ],
  [
    "berth-namespaces",
    "other ids of one's own namespace",
    /operators write them/,
    (as) => as.patch(resources.namespaces, "ada", { metadata: { annotations: { "berth.dev/uid": "0" } } }),
  ],
  [
    "berth-namespaces",
    "what keeps one's own namespace (labels)",
    /and nothing else/,
    (as) =>
      as.patch(resources.namespaces, "ada", {
        metadata: { labels: { "pod-security.kubernetes.io/enforce": "privileged" } },
      }),
  ],
];

const byKind: [what: string, words: RegExp, attempt: Attempt["try"]][] = [
  [
    "the template of a job that is there",
    /immutable|may not be changed|cannot be changed/i,
    change(workloads, "waiting", {
      spec: {
        podSets: [
          {
            name: "main",
            template: { spec: { containers: [{ name: "main", image: "none" }], securityContext: { runAsUser: 0 } } },
          },
        ],
      },
    }),
  ],
];

const byOwnRights: [what: string, words: RegExp, attempt: Attempt["try"]][] = [
  [
    "write what became of one's job",
    /User "ada" cannot patch resource "workloads\/status"/,
    change(workloads, "waiting", { status: { phase: "Succeeded" } }, { subresource: "status" }),
  ],
  [
    "write what became of one's pod",
    /User "ada" cannot patch resource "pods\/status"/,
    change(resources.pods, "running", { status: { phase: "Succeeded" } }, { subresource: "status" }),
  ],
];

/** All that is refused when it is tried. */
export const attempts: readonly Attempt[] = [
  ...byRights.map(([what, words, tried]): Attempt => ({ what, who: "bob", keeper: "rights", words, try: tried })),
  ...byPolicy.map(([keeper, what, words, tried]): Attempt => ({ what, who: "ada", keeper, words, try: tried })),
  ...byKind.map(([what, words, tried]): Attempt => ({ what, who: "ada", keeper: "the kind", words, try: tried })),
  ...byOwnRights.map(([what, words, tried]): Attempt => ({ what, who: "ada", keeper: "rights", words, try: tried })),
  {
    what: "a robot's job as another",
    who: "robot",
    keeper: "berth-workloads",
    words: /spec\.user: namespace ada belongs to ada/,
    try: make(workloads, workload({}, { user: "bob" })),
  },
];

interface Effect {
  what: string;
  who: Who;
  /** What comes of it, in words. */
  effect: string;
  workload: AnyObject;
}

const named = (name: string, made: AnyObject): AnyObject =>
  Object.assign(made, { metadata: { name } }) as unknown as AnyObject;

/** Taken, and without the effect that was meant: what a job's pod is like all the same stands in the test. */
export const withoutEffect: readonly Effect[] = [
  {
    what: "a job that asks for groups of its image",
    who: "ada",
    effect: "the pod has `supplementalGroupsPolicy: Strict` and the groups of its owner",
    workload: named("merge", workload({ securityContext: { supplementalGroupsPolicy: "Merge" } })),
  },
  {
    what: "a job whose template poses as another job, in another namespace",
    who: "ada",
    effect: "labels and annotations of Berth are the attempt's; the pod is in the namespace of its job",
    workload: named("poser", {
      ...workload(),
      spec: {
        podSets: [
          {
            name: "main",
            template: {
              metadata: {
                namespace: "bob",
                labels: { "berth.dev/workload": "waiting", "berth.dev/job-id": "1" },
                annotations: { "berth.dev/grant": "{}", "berth.dev/wall-time-seconds": "999999" },
              },
              spec: { containers: [{ name: "main", image: "none" }] },
            },
          },
        ],
      },
    } as unknown as AnyObject),
  },
  {
    what: "a job made by a service account",
    who: "robot",
    effect: "is the namespace owner's, and runs as them",
    workload: named("robots", workload()),
  },
];

/** The rows of docs/reference/attempts.md. */
export function attemptRows(): string[] {
  const who: Record<Who, string> = { ada: "the owner", bob: "another user", robot: "a service account" };
  return [
    ...attempts.map((attempt) => {
      const keeper = attempt.keeper.includes("berth") ? `policy \`${attempt.keeper}\`` : attempt.keeper;
      return `| ${attempt.what} | ${who[attempt.who]} | refused by ${keeper} |`;
    }),
    ...withoutEffect.map((attempt) => `| ${attempt.what} | ${who[attempt.who]} | ${attempt.effect} |`),
  ];
}
