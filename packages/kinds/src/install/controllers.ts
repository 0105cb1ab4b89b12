/** How the controllers run on a real cluster: a Deployment that any restricted namespace takes, under any UID. */
import type { KubernetesObject } from "@berth/machinery";
import { systemNamespace } from "../constants.ts";
import { controllersName } from "./labels.ts";

const metricsPort = 8080;
const selector = { "app.kubernetes.io/name": controllersName };
/** Where accounting lies that is not in a database of the site's. */
const accountingClaim = "berth-accounting";
const accountingPath = "/var/lib/berth";

export interface ControllersSettings {
  image: string;
  version: string;
  /** Secret in the namespace of Berth whose key `url` is the PostgreSQL database of accounting; absent: SQLite on a claim. */
  accountingSecret?: string;
}

function podSpec({ image, accountingSecret }: ControllersSettings): Record<string, unknown> {
  const isLocal = accountingSecret === undefined;
  return {
    serviceAccountName: controllersName,
    // Nothing else can be launched without it.
    priorityClassName: "system-cluster-critical",
    securityContext: {
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    },
    terminationGracePeriodSeconds: 30,
    containers: [
      {
        name: "controllers",
        image,
        args: ["controllers"],
        env: [
          { name: "BERTH_NAMESPACE", value: systemNamespace },
          { name: "BERTH_METRICS_PORT", value: String(metricsPort) },
          isLocal
            ? { name: "BERTH_ACCOUNTING", value: `${accountingPath}/accounting.db` }
            : { name: "BERTH_ACCOUNTING", valueFrom: { secretKeyRef: { name: accountingSecret, key: "url" } } },
          // The file system of the image is read-only.
          { name: "NODE_COMPILE_CACHE", value: "/tmp/compiled" },
          { name: "HOME", value: "/tmp" },
        ],
        ports: [{ name: "metrics", containerPort: metricsPort, protocol: "TCP" }],
        startupProbe: {
          httpGet: { path: "/livez", port: "metrics" },
          periodSeconds: 2,
          failureThreshold: 60,
        },
        livenessProbe: { httpGet: { path: "/livez", port: "metrics" }, periodSeconds: 10, failureThreshold: 6 },
        readinessProbe: { httpGet: { path: "/readyz", port: "metrics" }, periodSeconds: 5 },
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
          ...(isLocal ? [{ name: "accounting", mountPath: accountingPath }] : []),
        ],
      },
    ],
    volumes: [
      { name: "tmp", emptyDir: { sizeLimit: "256Mi" } },
      ...(isLocal ? [{ name: "accounting", persistentVolumeClaim: { claimName: accountingClaim } }] : []),
    ],
  };
}

/** Service account, accounting's claim, Deployment and Service. */
export function controllersManifests(settings: ControllersSettings): KubernetesObject[] {
  const isLocal = settings.accountingSecret === undefined;
  const namespace = systemNamespace;
  const claim = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: accountingClaim, namespace },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "10Gi" } } },
  };
  return [
    {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: controllersName, namespace },
    },
    ...(isLocal ? [claim] : []),
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: controllersName, namespace },
      spec: {
        // One leads. A file has one writer, so the next may begin only when the last has ended.
        replicas: isLocal ? 1 : 2,
        strategy: isLocal
          ? { type: "Recreate" }
          : { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
        selector: { matchLabels: selector },
        template: {
          metadata: { labels: { ...selector, "app.kubernetes.io/part-of": "berth" } },
          spec: podSpec(settings),
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
  ] as KubernetesObject[];
}
