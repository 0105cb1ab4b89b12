/** A real control plane in a folder of its own: etcd, kube-apiserver and, where asked for, controller-manager and scheduler. */
import { createClient, loadKubeconfig, type Client } from "@berth/client";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { binary, withoutPrograms } from "./binaries.ts";
import { Pki, writeKubeconfig } from "./pki.ts";
import { folderPrefix, removeLeftovers, tearDown } from "./leftovers.ts";
import { freePort } from "../support/ports.ts";
import { Processes } from "./processes.ts";

export type AuditLevel = "Metadata" | "Request" | "RequestResponse";

export interface ControlPlaneOptions {
  /** Default true. Without it nobody makes service accounts, and pods are taken without one. */
  controllerManager?: boolean;
  /** Default true. */
  scheduler?: boolean;
  /** Writes `auditLog`: of all requests, or by the rules of an audit policy. */
  audit?: AuditLevel | Record<string, unknown>[];
  /** Come last, so that they win over the defaults: `--feature-gates=…`. */
  apiServerFlags?: string[];
  controllerManagerFlags?: string[];
  schedulerFlags?: string[];
  /** Where the API server listens; default 127.0.0.1. */
  address?: string;
  /** Default: a temporary one, removed at the end. */
  folder?: string;
  /** It outlives this process, until `tearDown(folder)`. */
  kept?: boolean;
}

type ControlPlaneProcess = "etcd" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler";

export interface ControlPlane extends AsyncDisposable {
  readonly folder: string;
  readonly url: string;
  readonly pki: Pki;
  /** Of an administrator, who may everything (system:masters). */
  readonly kubeconfig: string;
  /** JSON lines of audit.k8s.io/v1 Events, where `audit` was asked for. */
  readonly auditLog: string;
  readonly processes: Processes;
  /** Of the administrator; closed at the end. */
  readonly client: Client;
  /** Makes a kubeconfig for a user of this name, who has the rights that RBAC gives to the name and the groups. */
  kubeconfigFor(user: string, groups?: string[], namespace?: string): Promise<string>;
  /** The same for a service account that is there, by a token of 24 hours. */
  kubeconfigForServiceAccount(namespace: string, name: string): Promise<string>;
  /** Ends one process (by SIGKILL, unless said otherwise); `start` starts it again, and for the API server waits until it serves. */
  end(name: ControlPlaneProcess, signal?: NodeJS.Signals): Promise<void>;
  start(name: ControlPlaneProcess): Promise<void>;
}

export const serviceRange = "10.96.0.0/16";
const serviceAddress = "10.96.0.1";

/** Why no control plane can be started here, or false. */
export const withoutControlPlane = (): string | false =>
  withoutPrograms("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler");

/** Starts a control plane and waits until it takes pods; takes four to eight seconds. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  await removeLeftovers();
  const { controllerManager = true, scheduler = true, address = "127.0.0.1", kept = false } = options;
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), folderPrefix));
  const processes = Processes.create(folder, kept);
  try {
    const pki = await Pki.create(join(folder, "pki"));
    const kubeconfigs = join(folder, "kubeconfigs");
    mkdirSync(kubeconfigs, { mode: 0o700 });
    await pki.issue("kube-apiserver", {
      commonName: "kube-apiserver",
      alternativeNames: ["localhost", "127.0.0.1", serviceAddress, ...new Set([address]), ...serviceNames].filter(
        (name, at, all) => all.indexOf(name) === at,
      ),
      use: "server",
    });
    await pki.frontProxy();
    await pki.issue("kubelet-client", {
      commonName: "kube-apiserver-kubelet-client",
      organizations: ["system:masters"],
      use: "client",
    });
    const url = `https://${address}:${await freePort()}`;
    const etcd = `http://127.0.0.1:${await freePort()}`;
    const peer = `http://127.0.0.1:${await freePort()}`;
    const server = { url, authorityPem: pki.authorityPem };
    const kubeconfigFor: ControlPlane["kubeconfigFor"] = async (user, groups = [], namespace) => {
      const name = encodeURIComponent(user);
      const pair = await pki.issue(`user-${name}`, { commonName: user, organizations: groups, use: "client" });
      return writeKubeconfig(join(kubeconfigs, name), server, pair, namespace);
    };
    const kubeconfig = await kubeconfigFor("admin", ["system:masters"]);
    const client = createClient(loadKubeconfig({ path: kubeconfig }).connection);
    const auditLog = join(folder, "audit.log");

    processes.start("etcd", { program: binary("etcd"), words: etcdFlags(folder, etcd, peer) });
    await until(processes, "etcd", async () => (await fetch(`${etcd}/health`)).ok);
    processes.start("kube-apiserver", {
      program: binary("kube-apiserver"),
      words: [
        ...apiServerFlags(folder, pki, url, etcd),
        ...(options.audit === undefined ? [] : auditFlags(folder, auditLog, options.audit)),
        ...(controllerManager ? [] : ["--disable-admission-plugins=ServiceAccount"]),
        ...(options.apiServerFlags ?? []),
      ],
    });
    const serves = async (): Promise<void> => {
      await until(processes, "kube-apiserver", async () => {
        await client.request<string>({ method: "GET", path: "/readyz" }).catch((error: unknown) => {
          // Its answer is "ok", which is no JSON.
          if ((error as { code?: string }).code !== "EBADANSWER") throw error;
        });
        return true;
      });
    };
    await serves();
    if (controllerManager) {
      const path = await kubeconfigFor("system:kube-controller-manager", ["system:masters"]);
      processes.start("kube-controller-manager", {
        program: binary("kube-controller-manager"),
        words: [...(await controllerManagerFlags(folder, pki, path)), ...(options.controllerManagerFlags ?? [])],
      });
    }
    if (scheduler) {
      const path = await kubeconfigFor("system:kube-scheduler");
      processes.start("kube-scheduler", {
        program: binary("kube-scheduler"),
        words: [...(await schedulerFlags(folder, path)), ...(options.schedulerFlags ?? [])],
      });
    }
    const has = async (path: string): Promise<boolean> =>
      client.request({ method: "GET", path }).then(
        () => true,
        () => false,
      );
    await until(processes, "kube-apiserver", () => has("/api/v1/namespaces/default"));
    if (controllerManager)
      await until(processes, "kube-controller-manager", () =>
        has("/api/v1/namespaces/default/serviceaccounts/default"),
      );
    return {
      folder,
      url,
      pki,
      kubeconfig,
      auditLog,
      processes,
      client,
      kubeconfigFor,
      async kubeconfigForServiceAccount(namespace, name) {
        const { status } = await client.request<{ status: { token: string } }>({
          method: "POST",
          path: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
          body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 86_400 } },
        });
        const path = join(kubeconfigs, `serviceaccount-${namespace}-${name}`);
        return writeKubeconfig(path, server, { token: status.token }, namespace);
      },
      end: (name, signal = "SIGKILL") => processes.end(name, signal),
      async start(name) {
        processes.start(name);
        if (name === "kube-apiserver") await serves();
      },
      async [Symbol.asyncDispose]() {
        client.close();
        await tearDown(folder);
      },
    };
  } catch (error) {
    await tearDown(folder);
    throw error;
  }
}

const serviceNames = [
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
];

function etcdFlags(folder: string, url: string, peer: string): string[] {
  return [
    `--data-dir=${join(folder, "etcd")}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    // Nothing here has to survive a loss of power.
    "--unsafe-no-fsync",
    `--quota-backend-bytes=${8 * 2 ** 30}`,
  ];
}

function apiServerFlags(folder: string, pki: Pki, url: string, etcd: string): string[] {
  const { hostname, port } = new URL(url);
  return [
    `--etcd-servers=${etcd}`,
    `--bind-address=${hostname}`,
    `--advertise-address=${hostname}`,
    `--secure-port=${port}`,
    // Endpoints of the Service kubernetes may not be of loopback.
    ...(hostname === "127.0.0.1" ? ["--endpoint-reconciler-type=none"] : []),
    `--tls-cert-file=${pki.certificate("kube-apiserver")}`,
    `--tls-private-key-file=${pki.key("kube-apiserver")}`,
    `--client-ca-file=${pki.certificate("ca")}`,
    `--kubelet-client-certificate=${pki.certificate("kubelet-client")}`,
    `--kubelet-client-key=${pki.key("kubelet-client")}`,
    `--kubelet-certificate-authority=${pki.certificate("ca")}`,
    "--kubelet-preferred-address-types=InternalIP",
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${pki.certificate("service-accounts")}`,
    `--service-account-signing-key-file=${pki.key("service-accounts")}`,
    `--service-cluster-ip-range=${serviceRange}`,
    "--allow-privileged=true",
    `--requestheader-client-ca-file=${pki.certificate("front-proxy-ca")}`,
    "--requestheader-allowed-names=front-proxy-client",
    "--requestheader-username-headers=X-Remote-User",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    `--proxy-client-cert-file=${pki.certificate("front-proxy-client")}`,
    `--proxy-client-key-file=${pki.key("front-proxy-client")}`,
    `--cert-dir=${join(folder, "apiserver")}`,
    "--max-requests-inflight=2000",
    "--max-mutating-requests-inflight=1000",
  ];
}

function auditFlags(folder: string, log: string, audit: AuditLevel | Record<string, unknown>[]): string[] {
  const policy = {
    apiVersion: "audit.k8s.io/v1",
    kind: "Policy",
    omitStages: ["RequestReceived"],
    rules: typeof audit === "string" ? [{ level: audit }] : audit,
  };
  const path = join(folder, "audit-policy.json");
  writeFileSync(path, JSON.stringify(policy));
  // Written at once, so that what was answered is in it; never rotated.
  return [
    `--audit-policy-file=${path}`,
    `--audit-log-path=${log}`,
    "--audit-log-mode=blocking",
    "--audit-log-maxsize=100000",
  ];
}

async function controllerManagerFlags(folder: string, pki: Pki, kubeconfig: string): Promise<string[]> {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    `--service-account-private-key-file=${pki.key("service-accounts")}`,
    `--root-ca-file=${pki.certificate("ca")}`,
    "--use-service-account-credentials=false",
    "--leader-elect=false",
    "--concurrent-job-syncs=20",
    "--kube-api-qps=500",
    "--kube-api-burst=1000",
    `--cert-dir=${join(folder, "controller-manager")}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${await freePort()}`,
  ];
}

async function schedulerFlags(folder: string, kubeconfig: string): Promise<string[]> {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    "--leader-elect=false",
    "--kube-api-qps=500",
    "--kube-api-burst=1000",
    `--cert-dir=${join(folder, "scheduler")}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${await freePort()}`,
  ];
}

/** Looks until it is so; fails at once when the process has ended, and after two minutes. */
export async function until(
  processes: Processes,
  name: string,
  isSo: () => Promise<boolean>,
  pauseMilliseconds = 50,
): Promise<void> {
  const end = Date.now() + 120_000;
  while (!(await isSo().catch(() => false))) {
    if (processes.pid(name) === undefined) throw new Error(`${name} ended:\n${processes.lastWords(name)}`);
    if (Date.now() > end) throw new Error(`${name} is not ready after 120 s:\n${processes.lastWords(name)}`);
    await pause(pauseMilliseconds);
  }
}
