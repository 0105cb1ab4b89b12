/** How the controllers run on a real cluster: a Deployment that any restricted namespace takes, under any UID. */
import type { KubernetesObject } from "@berth/machinery";
import { questionsApiService, questionsGroup, questionsServiceName, systemNamespace, version } from "../constants.ts";
import { controllersName } from "./labels.ts";
import { webhookServicePort } from "./webhook.ts";

const metricsPort = 9440;
const questionsPort = 9443;
const webhookPort = 9444;
const selector = { "app.kubernetes.io/name": controllersName };
/** Where accounting lies. */
const accountingClaim = "berth-accounting";
const accountingPath = "/var/lib/berth";
/** A Secret with the password of the database, and its CA where it has one of its own. */
const accountingSecret = "berth-accounting";
const accountingSecretPath = "/etc/berth/accounting";
/** Who is who: a ConfigMap, and a Secret that need not be there. */
export const usersName = "berth-users";
/** Where its entries are files. */
export const usersPath = "/etc/berth/users";
const usersSecretPath = "/etc/berth/secret";
const settingsFile = "users.yaml";

export interface SiteUsers {
  /** As `getent passwd` prints it. */
  passwd: string;
  /** As `getent group` prints it. */
  group: string;
  /** YAML of `--users`; absent: the two above. */
  settings?: string;
}

/** Of {@link SiteUsers} without settings. */
export const fileSettings = "source: Files\npasswdFile: passwd\ngroupFile: group\n";

export interface ControllersSettings {
  /** Its entry point is `berth`. */
  image: string;
  users: SiteUsers;
  /** `postgres://…`, without a password; absent: SQLite on a claim. */
  accounting?: string;
  /** The server gives the pods of each namespace IDs of its own, as OpenShift does, and refuses others. */
  givesIds: boolean;
  /** They run Jobs of Volcano's too. */
  volcano?: object;
}

/** Of nobody on any machine. */
const ownId = 65_532;

function podSpec(
  { image, givesIds, accounting, volcano }: ControllersSettings,
  hasWebhook: boolean,
): Record<string, unknown> {
  return {
    serviceAccountName: controllersName,
    // Nothing else can be launched without it.
    priorityClassName: "system-cluster-critical",
    securityContext: {
      runAsNonRoot: true,
      // The claim is made the group's.
      ...(givesIds ? {} : { runAsUser: ownId, runAsGroup: ownId, fsGroup: ownId }),
      seccompProfile: { type: "RuntimeDefault" },
    },
    terminationGracePeriodSeconds: 30,
    containers: [
      {
        name: "controllers",
        image,
        args: [
          "controllers",
          "--accounting",
          accounting ?? `${accountingPath}/accounting.db`,
          "--users",
          `${usersPath}/${settingsFile}`,
          "--listen",
          `0.0.0.0:${metricsPort}`,
          "--questions",
          `0.0.0.0:${questionsPort}`,
          ...(volcano === undefined ? [] : ["--volcano"]),
          ...(hasWebhook ? ["--webhook", `0.0.0.0:${webhookPort}`] : []),
        ],
        env: [
          // The file system of the image is read-only.
          { name: "NODE_COMPILE_CACHE", value: "/tmp/compiled" },
          { name: "HOME", value: "/tmp" },
        ],
        ports: [
          { name: "metrics", containerPort: metricsPort, protocol: "TCP" },
          { name: "questions", containerPort: questionsPort, protocol: "TCP" },
          ...(hasWebhook ? [{ name: "webhook", containerPort: webhookPort, protocol: "TCP" }] : []),
        ],
        startupProbe: { httpGet: { path: "/healthz", port: "metrics" }, periodSeconds: 2, failureThreshold: 60 },
        livenessProbe: { httpGet: { path: "/healthz", port: "metrics" }, periodSeconds: 10, failureThreshold: 6 },
        readinessProbe: { httpGet: { path: "/readyz", port: "metrics" }, periodSeconds: 5 },
        // Why it ended is read by `berth status`.
        terminationMessagePolicy: "FallbackToLogsOnError",
        resources: {
          requests: { cpu: "100m", memory: "256Mi" },
          limits: { memory: "1Gi" },
        },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: [
          { name: "tmp", mountPath: "/tmp" },
          accounting === undefined
            ? { name: "accounting", mountPath: accountingPath }
            : { name: "accounting", mountPath: accountingSecretPath, readOnly: true },
          { name: "users", mountPath: usersPath, readOnly: true },
          { name: "secret", mountPath: usersSecretPath, readOnly: true },
        ],
      },
    ],
    volumes: [
      { name: "tmp", emptyDir: { sizeLimit: "256Mi" } },
      accounting === undefined
        ? { name: "accounting", persistentVolumeClaim: { claimName: accountingClaim } }
        : // Its absence is said by the controllers, who wait for it.
          { name: "accounting", secret: { secretName: accountingSecret, optional: true, defaultMode: 0o440 } },
      { name: "users", configMap: { name: usersName } },
      // The password for a directory, and its authority.
      { name: "secret", secret: { secretName: usersName, optional: true, defaultMode: 0o440 } },
    ],
  };
}

/** Service account, accounting's claim, users, Deployment and Services, and what hands questions on. */
export function controllersManifests(settings: ControllersSettings, hasWebhook: boolean): KubernetesObject[] {
  const namespace = systemNamespace;
  const { users } = settings;
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: controllersName, namespace } },
    ...(settings.accounting === undefined
      ? [
          {
            apiVersion: "v1",
            kind: "PersistentVolumeClaim",
            metadata: { name: accountingClaim, namespace },
            spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "10Gi" } } },
          },
        ]
      : []),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: usersName, namespace },
      data: { passwd: users.passwd, group: users.group, [settingsFile]: users.settings ?? fileSettings },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: controllersName, namespace },
      spec: {
        // The file of accounting has one writer: the next may begin only when the last has ended. Whoever holds the Lease leads.
        replicas: 1,
        strategy: { type: "Recreate" },
        selector: { matchLabels: selector },
        template: {
          metadata: { labels: { ...selector, "app.kubernetes.io/part-of": "berth" } },
          spec: podSpec(settings, hasWebhook),
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: {
        name: `${controllersName}-metrics`,
        namespace,
        annotations: { "prometheus.io/scrape": "true", "prometheus.io/port": String(metricsPort) },
      },
      spec: { selector, ports: [{ name: "metrics", port: metricsPort, targetPort: "metrics", protocol: "TCP" }] },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: questionsServiceName, namespace },
      spec: {
        selector,
        ports: [
          { name: "questions", port: 443, targetPort: "questions", protocol: "TCP" },
          ...(hasWebhook
            ? [{ name: "webhook", port: webhookServicePort, targetPort: "webhook", protocol: "TCP" }]
            : []),
        ],
      },
    },
    {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: questionsApiService },
      // Who leads sets caBundle.
      spec: {
        group: questionsGroup,
        version,
        groupPriorityMinimum: 1000,
        versionPriority: 15,
        service: { name: questionsServiceName, namespace, port: 443 },
      },
    },
  ] as KubernetesObject[];
}
