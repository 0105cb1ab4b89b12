/** What users of a managed namespace are refused, in which words, and what is filled in: attempts on a real API server. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createClient, loadKubeconfig, resources, type AnyObject, type Client } from "@berth/client";
import { questionsServiceName, systemNamespace, workloads } from "@berth/kinds";
import { webhookFullName, webhookName } from "@berth/kinds/install";
import type { ResourceKey } from "@berth/machinery";
import { join } from "node:path";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { repository, run } from "../support/berth.ts";
import { freePort } from "../support/ports.ts";
import { waitFor } from "../support/waiting.ts";
import { startProcess, type Controllers } from "./berth.ts";
import { startControlPlane, withoutControlPlane, type ControlPlane } from "./control-plane.ts";

const rbac = "rbac.authorization.k8s.io";
const key = (group: string, resource: string, kind: string): ResourceKey => ({
  group,
  version: "v1",
  resource,
  kind,
  namespaced: true,
});
const deployments = key("apps", "deployments", "Deployment");
const jobs = key("batch", "jobs", "Job");
const services = key("", "services", "Service");
const configurations: ResourceKey = {
  ...key("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
  namespaced: false,
};
const cronJobs = key("batch", "cronjobs", "CronJob");

type Fields = Record<string, unknown>;

const container = (more: Fields = {}): Fields => ({
  name: "main",
  image: "none",
  securityContext: { allowPrivilegeEscalation: false },
  ...more,
});
/** A spec that nothing is missing from. */
const podSpec = (more: Fields = {}, security: Fields = {}): Fields => ({
  schedulerName: "berth",
  securityContext: { runAsUser: 1001, runAsGroup: 1001, supplementalGroupsPolicy: "Strict", ...security },
  containers: [container()],
  ...more,
});
const inQueue = { "berth.dev/queue": "standard" };
const pod = (spec: Fields, metadata: Fields = {}): AnyObject =>
  ({ apiVersion: "v1", kind: "Pod", metadata: { generateName: "p-", ...metadata }, spec }) as unknown as AnyObject;
const deployment = (spec: Fields, labels: Fields = {}, podLabels: Fields = {}): AnyObject =>
  ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { generateName: "d-", labels },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: "x" } },
      template: { metadata: { labels: { app: "x", ...podLabels } }, spec },
    },
  }) as unknown as AnyObject;
const job = (spec: Fields, labels: Fields = {}, more: Fields = {}, podLabels: Fields = {}): AnyObject =>
  ({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { generateName: "j-", labels },
    spec: {
      parallelism: 0,
      template: { metadata: { labels: podLabels }, spec: { restartPolicy: "Never", ...spec } },
      ...more,
    },
  }) as unknown as AnyObject;
const cronJob = (spec: Fields): AnyObject =>
  ({
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: { generateName: "c-" },
    spec: {
      schedule: "0 0 1 1 *",
      jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", ...spec } } } },
    },
  }) as unknown as AnyObject;
const workload = (template: Fields = {}, more: Fields = {}): AnyObject =>
  ({
    apiVersion: "berth.dev/v1alpha1",
    kind: "Workload",
    metadata: { generateName: "w-" },
    spec: {
      podSets: [{ name: "main", template: { spec: { containers: [{ name: "main", image: "none" }], ...template } } }],
      ...more,
    },
  }) as unknown as AnyObject;

/** What is tried, of what kind, and the words of its refusal; none: it is taken. */
type Attempt = [what: string, resource: ResourceKey, object: AnyObject, words?: RegExp];

const taken: Attempt[] = [
  ["a pod that says all", resources.pods, pod(podSpec())],
  ["the owner's groups", resources.pods, pod(podSpec({}, { supplementalGroups: [2000], fsGroup: 2001 }))],
  [
    "volumes of the namespace",
    resources.pods,
    pod(
      podSpec({
        volumes: [
          { name: "v", emptyDir: {} },
          { name: "s", secret: { secretName: "s" } },
        ],
      }),
    ),
  ],
  ["a deployment that says all", deployments, deployment(podSpec())],
  ["a job that says all", jobs, job(podSpec())],
  ["a job whose pods wait in a queue", jobs, job(podSpec(), {}, {}, inQueue)],
  ["a job that is held as one", jobs, job(podSpec(), inQueue, { suspend: true })],
  ["a deployment whose replicas wait in a queue", deployments, deployment(podSpec(), inQueue, inQueue)],
  ["a cron job that says all", cronJobs, cronJob(podSpec())],
  ["a Workload", workloads, workload()],
  ["a Workload of the owner", workloads, workload({}, { user: "ada" })],
  ["a Workload held by its owner", workloads, workload({}, { hold: "User" })],
  ["a Workload with the owner's own identity", workloads, workload({ securityContext: { runAsUser: 1001 } })],
];

const missing = /namespace ada belongs to ada and is managed by Berth; add to the spec of the pod: /;
/** Refused whatever the level is. */
const refused: Attempt[] = [
  [
    "a node of one's choice",
    resources.pods,
    pod(podSpec({ nodeName: "n1" })),
    /spec\.nodeName: only Berth gives pods of this namespace their node; leave it out/,
  ],
  [
    "another's uid",
    resources.pods,
    pod(podSpec({}, { runAsUser: 1002 })),
    /securityContext\.runAsUser: pods of namespace ada run as its owner ada, uid 1001/,
  ],
  [
    "root in one container",
    resources.pods,
    pod(podSpec({ containers: [container({ securityContext: { allowPrivilegeEscalation: false, runAsUser: 0 } })] })),
    /run as its owner ada, uid 1001/,
  ],
  [
    "root in an init container",
    resources.pods,
    pod(
      podSpec({
        initContainers: [
          { ...container({ name: "i" }), securityContext: { allowPrivilegeEscalation: false, runAsUser: 0 } },
        ],
      }),
    ),
    /run as its owner ada, uid 1001/,
  ],
  [
    "another's gid",
    resources.pods,
    pod(podSpec({}, { runAsGroup: 0 })),
    /run with the group of its owner ada, gid 1001/,
  ],
  [
    "another's group",
    resources.pods,
    pod(podSpec({}, { supplementalGroups: [2000, 3000] })),
    /have groups of its owner ada only: 1001, 2000, 2001/,
  ],
  [
    "another's group by fsGroup",
    resources.pods,
    pod(podSpec({}, { fsGroup: 3000 })),
    /have groups of its owner ada only: 1001, 2000, 2001/,
  ],
  [
    "the machine's network",
    resources.pods,
    pod(podSpec({ hostNetwork: true })),
    /spec\.hostNetwork, hostPID, hostIPC: pods of this namespace have namespaces of their own/,
  ],
  ["the machine's processes", resources.pods, pod(podSpec({ hostPID: true })), /spec\.hostNetwork, hostPID, hostIPC/],
  [
    "the machine's files",
    resources.pods,
    pod(podSpec({ volumes: [{ name: "v", hostPath: { path: "/" } }] })),
    /spec\.volumes: a volume may be one of configMap, .*; other trees come as claims/,
  ],
  [
    "a tree of the site, mounted by oneself",
    resources.pods,
    pod(podSpec({ volumes: [{ name: "v", nfs: { server: "s", path: "/" } }] })),
    /spec\.volumes: a volume may be one of/,
  ],
  [
    "a privileged container",
    resources.pods,
    pod(podSpec({ containers: [container({ securityContext: { privileged: true } })] })),
    /no container has more rights than its owner/,
  ],
  [
    "a capability",
    resources.pods,
    pod(
      podSpec({
        containers: [
          container({ securityContext: { allowPrivilegeEscalation: false, capabilities: { add: ["SYS_ADMIN"] } } }),
        ],
      }),
    ),
    /no container has more rights than its owner/,
  ],
  [
    "setuid programs",
    resources.pods,
    pod(podSpec({ containers: [container({ securityContext: { allowPrivilegeEscalation: true } })] })),
    /allowPrivilegeEscalation: true would let a pod become another user/,
  ],
  [
    "a class above all",
    resources.pods,
    pod(podSpec({ priorityClassName: "system-node-critical" })),
    /spec\.priorityClassName: classes system-… are for parts of the cluster/,
  ],
  [
    "another scheduler",
    resources.pods,
    pod(podSpec({ schedulerName: "mine" })),
    /add to the spec of the pod: schedulerName: berth/,
  ],
  [
    "a service account that one may not act as",
    resources.pods,
    pod(podSpec({ serviceAccountName: "powerful" })),
    /spec\.serviceAccountName: you may not act as this service account/,
  ],
  [
    "pods that pose as an attempt's",
    resources.pods,
    pod(podSpec(), { labels: { "berth.dev/workload": "w", "berth.dev/attempt": "1" } }),
    /metadata\.labels: .* are written by Berth/,
  ],
  ["root by a deployment", deployments, deployment(podSpec({}, { runAsUser: 0 })), /run as its owner ada, uid 1001/],
  ["a node by a job", jobs, job(podSpec({ nodeName: "n1" })), /spec\.nodeName: only Berth gives pods/],
  [
    "the machine's files by a cron job",
    cronJobs,
    cronJob(podSpec({ volumes: [{ name: "v", hostPath: { path: "/" } }] })),
    /spec\.volumes: a volume may be one of/,
  ],
  [
    "a service account by a deployment",
    deployments,
    deployment(podSpec({ serviceAccountName: "powerful" })),
    /you may not act as this service account/,
  ],
  [
    "work as another",
    workloads,
    workload({}, { user: "bob" }),
    /spec\.user: namespace ada belongs to ada; put user: ada, or leave it out/,
  ],
  ["a Workload as root", workloads, workload({ securityContext: { runAsUser: 0 } }), /run as its owner ada, uid 1001/],
  ["a Workload's node", workloads, workload({ nodeName: "n1" }), /spec\.nodeName: only Berth gives pods/],
  [
    "a Workload's machine files",
    workloads,
    workload({ volumes: [{ name: "v", hostPath: { path: "/" } }] }),
    /spec\.volumes: a volume may be one of/,
  ],
  [
    "a Workload's privileges",
    workloads,
    workload({ containers: [{ name: "main", image: "none", securityContext: { privileged: true } }] }),
    /no container has more rights/,
  ],
  [
    "a Workload with an account of the API",
    workloads,
    workload({ serviceAccountName: "powerful" }),
    /jobs have no account of the API; leave it out/,
  ],
  [
    "a Workload of another scheduler",
    workloads,
    workload({ schedulerName: "mine" }),
    /a Workload is scheduled by Berth; leave it out/,
  ],
  ["an administrator's hold", workloads, workload({}, { hold: "Admin" }), /only an operator holds a job as Admin/],
];

/** Refused with the line to add where nothing fills it in. */
const lacking: Attempt[] = [
  [
    "a plain pod",
    resources.pods,
    pod({ containers: [{ name: "main", image: "none" }] }),
    new RegExp(
      `${missing.source}schedulerName: berth, securityContext\\.runAsUser: 1001, securityContext\\.runAsGroup: 1001, securityContext\\.supplementalGroupsPolicy: Strict, containers\\[\\]\\.securityContext\\.allowPrivilegeEscalation: false`,
    ),
  ],
  [
    "no scheduler",
    resources.pods,
    pod(podSpec({ schedulerName: undefined })),
    new RegExp(`${missing.source}schedulerName: berth$`),
  ],
  [
    "no user",
    resources.pods,
    pod(podSpec({}, { runAsUser: undefined })),
    new RegExp(`${missing.source}securityContext\\.runAsUser: 1001$`),
  ],
  [
    "groups of the image",
    resources.pods,
    pod(podSpec({}, { supplementalGroupsPolicy: "Merge" })),
    /supplementalGroupsPolicy: Strict$/,
  ],
  [
    "a plain deployment",
    deployments,
    deployment({ containers: [{ name: "main", image: "none" }] }),
    /schedulerName: berth, securityContext\.runAsUser: 1001/,
  ],
  [
    "a plain job",
    jobs,
    job({ containers: [{ name: "main", image: "none" }] }),
    /schedulerName: berth, securityContext\.runAsUser: 1001/,
  ],
  [
    "a job in a queue that would begin at once",
    jobs,
    job(podSpec(), inQueue),
    /a Job with the label berth\.dev\/queue waits in that queue as one until Berth releases it; add suspend: true to the spec of the Job/,
  ],
  [
    "a deployment in a queue, whose pods are in none",
    deployments,
    deployment(podSpec(), inQueue),
    /each replica waits in a queue by itself; add there berth\.dev\/queue: standard/,
  ],
  [
    "a plain cron job",
    cronJobs,
    cronJob({ containers: [{ name: "main", image: "none" }] }),
    /schedulerName: berth, securityContext\.runAsUser: 1001/,
  ],
];

for (const level of ["policies", "mutating", "webhook"] as const) {
  describe(`level ${level}`, { skip: withoutControlPlane() }, () => {
    let cluster: ControlPlane;
    let ada: Client;
    let served: Controllers | undefined;
    const folder = mkdtempSync(join(tmpdir(), "berth-level-"));
    /** The rest of what the table says holds whoever fills in. */
    const fillsIn = level !== "policies";
    before(async () => {
      cluster = await startControlPlane({
        scheduler: false,
        apiServerFlags:
          level === "mutating"
            ? [
                "--feature-gates=MutatingAdmissionPolicy=true",
                "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
              ]
            : [],
      });
      const { client } = cluster;
      const { code, stdout, stderr } = await run(
        join(repository, "berth"),
        ["install", "--level", level === "webhook" ? level : "auto"],
        {
          env: { BERTH_CONTEXT: cluster.kubeconfig },
          timeoutSeconds: 120,
        },
      );
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`level ${level}:`));
      const owner = {
        "berth.dev/owner": "ada",
        "berth.dev/uid": "1001",
        "berth.dev/gid": "1001",
        "berth.dev/groups": "2000,2001",
      };
      const namespaces: Record<string, Record<string, string>> = {
        ada: owner,
        nameless: { "berth.dev/owner": "ada" },
        merging: { ...owner, "berth.dev/supplemental-groups-policy": "Merge" },
        free: {},
      };
      for (const [name, annotations] of Object.entries(namespaces)) {
        await client.create(resources.namespaces, {
          apiVersion: "v1",
          kind: "Namespace",
          metadata: { name, annotations },
        });
        // Of Kubernetes' own role `edit`, without the right to act as service accounts.
        for (const role of ["berth-user", "tries"]) await bind(client, name, role, "ada");
      }
      await client.create(resources.clusterRoles, {
        apiVersion: `${rbac}/v1`,
        kind: "ClusterRole",
        metadata: { name: "tries" },
        rules: [
          {
            apiGroups: ["", "apps", "batch"],
            resources: ["pods", "pods/binding", "pods/ephemeralcontainers", "deployments", "jobs", "cronjobs"],
            verbs: ["*"],
          },
        ],
      } as AnyObject);
      await client.create(resources.serviceAccounts, {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { name: "powerful", namespace: "ada" },
      });
      if (level === "webhook") served = await serve(cluster, folder);
      ada = createClient(loadKubeconfig({ path: await cluster.kubeconfigFor("ada") }).connection);
      // Policies hold from a moment after they were made.
      const begun = Date.now();
      while ((await attempt(ada, resources.pods, pod(podSpec({ nodeName: "n1" })), "ada")) === undefined) {
        assert.ok(Date.now() < begun + 30_000, "the policies do not come into force");
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    });
    after(async () => {
      ada?.close();
      await served?.end("SIGKILL");
      await cluster?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    for (const [what, resource, object] of taken) {
      test(`taken: ${what}`, async () => assert.equal(await attempt(ada, resource, object, "ada"), undefined));
    }
    for (const [what, resource, object, words] of refused) {
      if (fillsIn && /another scheduler/.test(what)) continue;
      test(`refused: ${what}`, async () =>
        assert.match((await attempt(ada, resource, object, "ada")) ?? "taken", words!));
    }
    for (const [what, resource, object, words] of lacking) {
      if (fillsIn && words!.source.endsWith("Strict$")) continue;
      test(`${fillsIn ? "filled in" : "refused"}: ${what}`, async () => {
        const answer = await attempt(ada, resource, object, "ada");
        if (fillsIn) assert.equal(answer, undefined);
        else assert.match(answer ?? "taken", words!);
      });
    }

    test("what is filled in is the owner's identity", { skip: !fillsIn }, async () => {
      type Made = AnyObject & { spec: Fields };
      const plain = {
        containers: [{ name: "main", image: "none" }],
        initContainers: [{ name: "first", image: "none" }],
      };
      const made = await ada.create(resources.pods, pod(plain) as Made, { namespace: "ada" });
      const identity = {
        runAsUser: 1001,
        runAsGroup: 1001,
        supplementalGroups: [2000, 2001],
        supplementalGroupsPolicy: "Strict",
      };
      const check = (spec: Fields): void => {
        assert.equal(spec["schedulerName"], "berth");
        assert.deepEqual(spec["securityContext"], identity);
        for (const { securityContext } of [
          ...(spec["containers"] as Fields[]),
          ...(spec["initContainers"] as Fields[]),
        ])
          assert.deepEqual(securityContext, { allowPrivilegeEscalation: false });
      };
      check(made.spec);
      const of = (object: AnyObject, ...path: string[]): Fields =>
        path.reduce((at, name) => at[name] as Fields, object as unknown as Fields);
      check(of(await ada.create(deployments, deployment(plain), { namespace: "ada" }), "spec", "template", "spec"));
      check(of(await ada.create(jobs, job(plain), { namespace: "ada" }), "spec", "template", "spec"));
      check(
        of(
          await ada.create(cronJobs, cronJob(plain), { namespace: "ada" }),
          "spec",
          "jobTemplate",
          "spec",
          "template",
          "spec",
        ),
      );
    });

    test("a namespace that says no identity takes pods from Berth alone; one without an owner is nobody's business", async () => {
      assert.match(
        (await attempt(ada, resources.pods, pod(podSpec()), "nameless")) ?? "taken",
        /namespace nameless belongs to ada, but does not say as whom its pods run; an operator sets it: kubectl annotate namespace nameless berth\.dev\/uid=UID/,
      );
      assert.equal(
        await attempt(
          ada,
          resources.pods,
          pod({ hostNetwork: true, containers: [{ name: "main", image: "none" }] }),
          "free",
        ),
        undefined,
      );
    });

    test(
      "without the controllers what lacks something is refused, and all else goes on",
      { skip: level !== "webhook" },
      async () => {
        const plain = pod({ containers: [{ name: "main", image: "none" }] });
        assert.equal(await attempt(ada, resources.pods, plain, "ada"), undefined);
        const { stdout } = await run(join(repository, "berth"), ["status"], {
          env: { BERTH_CONTEXT: cluster.kubeconfig },
        });
        assert.match(stdout, /level webhook: what pods of a managed namespace lack is filled in by the controllers/);
        assert.doesNotMatch(stdout, /caBundle/);
        await served!.end("SIGKILL");
        assert.match((await attempt(ada, resources.pods, plain, "ada")) ?? "taken", missing);
        assert.equal(await attempt(ada, resources.pods, pod(podSpec()), "ada"), undefined);
        assert.equal(await attempt(ada, resources.pods, plain, "free"), undefined);
        served = await serve(cluster, folder);
        assert.equal(await attempt(ada, resources.pods, plain, "ada"), undefined);
      },
    );

    test("nodes that know no strict groups are told of by their namespace", async () => {
      assert.equal(
        await attempt(ada, resources.pods, pod(podSpec({}, { supplementalGroupsPolicy: undefined })), "merging"),
        undefined,
      );
    });

    test("a pod that is there cannot be bound, marked, entered as root or let go unaccounted by its user", async () => {
      const { client } = cluster;
      const made = await ada.create(resources.pods, pod(podSpec()), { namespace: "ada" });
      const { name } = made.metadata;
      const tell = (asked: Promise<unknown>): Promise<string> =>
        asked.then(
          () => "taken",
          (error: Error) => error.message,
        );
      const bind = {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { name },
        target: { apiVersion: "v1", kind: "Node", name: "n1" },
      };
      assert.match(
        await tell(ada.request({ method: "POST", path: `/api/v1/namespaces/ada/pods/${name}/binding`, body: bind })),
        /only Berth gives pods of this namespace their node/,
      );
      assert.match(
        await tell(
          ada.patch(
            resources.pods,
            name,
            { metadata: { labels: { "berth.dev/workload": "w" } } },
            { namespace: "ada" },
          ),
        ),
        /are written by Berth/,
      );
      assert.equal(
        await tell(ada.patch(resources.pods, name, { metadata: { labels: { mine: "x" } } }, { namespace: "ada" })),
        "taken",
      );
      const rootContainer = {
        name: "debug",
        image: "none",
        securityContext: { runAsUser: 0, allowPrivilegeEscalation: false },
      };
      assert.match(
        await tell(
          ada.patch(
            resources.pods,
            name,
            { spec: { ephemeralContainers: [rootContainer] } },
            { namespace: "ada", subresource: "ephemeralcontainers", type: "Strategic" },
          ),
        ),
        /run as its owner ada, uid 1001/,
      );
      await client.patch(
        resources.pods,
        name,
        { metadata: { finalizers: ["berth.dev/accounting"] } },
        { namespace: "ada" },
      );
      const letGo = { metadata: { finalizers: null } };
      assert.match(
        await tell(ada.patch(resources.pods, name, letGo, { namespace: "ada" })),
        /berth\.dev\/accounting holds this object until its end is accounted; only an operator may take it away/,
      );
      assert.equal(await tell(client.patch(resources.pods, name, letGo, { namespace: "ada" })), "taken");
    });

    test("an operator holds and releases, the owner cannot; who may not make pods makes no Workload", async () => {
      const { client } = cluster;
      const { metadata } = await client.create(workloads, workload({}, { hold: "Admin" }), { namespace: "ada" });
      await assert.rejects(
        ada.patch(workloads, metadata.name, { spec: { hold: null } }, { namespace: "ada" }),
        /only an operator holds a job as Admin, or releases one/,
      );
      await ada.patch(workloads, metadata.name, { spec: { nice: 5 } }, { namespace: "ada" });
      await client.patch(workloads, metadata.name, { spec: { hold: null } }, { namespace: "ada" });
      await client.create(resources.clusterRoles, {
        apiVersion: `${rbac}/v1`,
        kind: "ClusterRole",
        metadata: { name: "only-workloads" },
        rules: [{ apiGroups: ["berth.dev"], resources: ["workloads"], verbs: ["create"] }],
      } as AnyObject);
      await bind(client, "ada", "only-workloads", "eve");
      const eve = createClient(loadKubeconfig({ path: await cluster.kubeconfigFor("eve") }).connection);
      try {
        assert.match(
          (await attempt(eve, workloads, workload(), "ada")) ?? "taken",
          /only who may create pods in this namespace may create one/,
        );
      } finally {
        eve.close();
      }
    });
  });
}

/** The controllers as a process here, which the API server reaches instead of their Service. */
async function serve(cluster: ControlPlane, folder: string): Promise<Controllers> {
  const { client } = cluster;
  const port = await freePort();
  // Whose namespace is whose is said by the tests.
  writeFileSync(join(folder, "users.yaml"), "source: Claims\n");
  const where = { namespace: systemNamespace };
  await client.delete(services, questionsServiceName, where);
  await client.create<AnyObject>(services, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: questionsServiceName, ...where },
    spec: { type: "ExternalName", externalName: "localhost" },
  } as AnyObject);
  const webhooks = [
    { name: webhookFullName, clientConfig: { service: { name: questionsServiceName, ...where, port } } },
  ];
  await client.patch(configurations, webhookName, { webhooks }, { type: "Strategic" });
  const served = await startProcess([
    `--kubeconfig=${await cluster.kubeconfigForServiceAccount(systemNamespace, "berth-controllers")}`,
    `--users=${join(folder, "users.yaml")}`,
    `--accounting=${join(folder, "accounting.db")}`,
    `--webhook=127.0.0.1:${port}`,
  ]);
  await waitFor("the webhook to be asked", async () => {
    const made = await client
      .create<AnyObject>(resources.pods, pod({ containers: [{ name: "main", image: "none" }] }), {
        namespace: "ada",
        dryRun: true,
      })
      .catch(() => undefined);
    return made === undefined ? undefined : true;
  });
  return served;
}

async function bind(client: Client, namespace: string, role: string, user: string): Promise<void> {
  await client.create(resources.roleBindings, {
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata: { name: `${role}-${user}`, namespace },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name: role },
    subjects: [{ apiGroup: rbac, kind: "User", name: user }],
  } as AnyObject);
}

/** The words of the refusal; undefined: it would be taken. Nothing is made. */
async function attempt(
  client: Client,
  resource: ResourceKey,
  object: AnyObject,
  namespace: string,
): Promise<string | undefined> {
  return client.create(resource, object, { namespace, dryRun: true }).then(
    () => undefined,
    (error: Error) => error.message,
  );
}
