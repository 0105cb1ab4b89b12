/** Plugins of a Job of Volcano's: what each puts into its pods, and which objects it needs beside them. Pure. */
import type { Container, EnvironmentVariable, Pod, VolumeMount } from "@berth/kinds";
import { podNameOf, type Task, tasksOf, type VolcanoJob } from "./job.ts";
import { volcanoLabels } from "./names.ts";

/** A word `--name=value` is an argument; what stands here are the names and what holds where it is not said. */
const pluginArguments = {
  env: {},
  svc: { "publish-not-ready-addresses": "false", "disable-network-policy": "false", "inject-hosts-env": "true" },
  ssh: { "ssh-key-file-path": "/root/.ssh", "ssh-private-key": "", "ssh-public-key": "", "ssh-port": "22" },
  mpi: { master: "master", worker: "worker", port: "22" },
  pytorch: { master: "master", worker: "worker", port: "23456" },
  tensorflow: { ps: "ps", worker: "worker", chief: "chief", evaluator: "evaluator", port: "2222" },
} as const satisfies Record<string, Record<string, string>>;
export type PluginName = keyof typeof pluginArguments;
export type Plugins = Partial<Record<PluginName, Record<string, string>>>;

export const isPlugin = (name: string): name is PluginName => Object.hasOwn(pluginArguments, name);

/** Those that a Job has, those that others of them need included. @throws an Error in words for an argument that is not known */
export function pluginsOf({ spec }: VolcanoJob): Plugins {
  const stated = Object.entries(spec.plugins ?? {});
  const names = new Set(stated.map(([name]) => name));
  const needs = (name: string, ...by: string[]): [string, null][] =>
    !names.has(name) && by.some((each) => names.has(each)) ? [[name, null]] : [];
  const all = [...stated, ...needs("svc", "mpi", "pytorch", "tensorflow"), ...needs("ssh", "mpi")];
  return Object.fromEntries(all.map(([name, words]) => [name, argumentsOf(name as PluginName, words ?? [])]));
}

function argumentsOf(plugin: PluginName, words: readonly string[]): Record<string, string> {
  const known: Record<string, string> = { ...pluginArguments[plugin] };
  for (let at = 0; at < words.length; at++) {
    const [, name = "", value] = /^--?([^=]+)(?:=([\s\S]*))?$/.exec(words[at]!) ?? [];
    const standard = known[name];
    if (standard === undefined)
      throw new Error(
        `spec.plugins.${plugin}: ${words[at]} is not known; there ${Object.keys(known).length === 0 ? "are no arguments" : `is --${Object.keys(known).join(", --")}`}`,
      );
    // As Go's flags: one of yes and no needs no value, others may have it as the next word.
    const isSwitch = standard === "true" || standard === "false";
    known[name] = value ?? (isSwitch ? "true" : (words[++at] ?? ""));
    if (name.endsWith("port") && !/^[1-9]\d{0,4}$/.test(known[name]))
      throw new Error(`spec.plugins.${plugin}: --${name} ${known[name]} is no port`);
  }
  return known;
}

/** `HOST.SUBDOMAIN` of each pod of a task. */
function hostsOf(job: string, { name, replicas, template }: Task): { host: string; domain: string }[] {
  const { hostname, subdomain } = template.spec as { hostname?: string; subdomain?: string };
  const domain = (host: string): { host: string; domain: string } => ({ host, domain: `${host}.${subdomain ?? job}` });
  if (hostname !== undefined) return replicas === 0 ? [] : [domain(hostname)];
  return Array.from({ length: replicas }, (_, index) => domain(podNameOf(job, name, index)));
}

const hostsName = (job: string): string => `${job}-svc`;
const keysName = (job: string): string => `${job}-ssh`;

const plain = (task: string): string => task.replaceAll("-", "_");

/** The entries of the ConfigMap of hosts: each a file, and each of those in capitals a variable too. */
function hostFiles(job: VolcanoJob): Record<string, string> {
  const files: Record<string, string> = {};
  for (const task of tasksOf(job)) {
    const hosts = hostsOf(job.metadata.name, task).map(({ domain }) => domain);
    files[`${plain(task.name)}.host`] = hosts.join("\n");
    files[`VC_${plain(task.name).toUpperCase()}_HOSTS`] = hosts.join(",");
    files[`VC_${plain(task.name).toUpperCase()}_NUM`] = String(hosts.length);
  }
  return files;
}

function sshConfig(job: VolcanoJob, port: string): string {
  const lines = ["StrictHostKeyChecking no", "UserKnownHostsFile /dev/null"];
  for (const task of tasksOf(job))
    for (const { host, domain } of hostsOf(job.metadata.name, task))
      lines.push(`Host ${host}`, `  HostName ${domain}`, `  Port ${port}`);
  return `${lines.join("\n")}\n`;
}

/** An object that a plugin needs; it goes with the Job. */
export interface PluginObject {
  apiVersion: string;
  kind: "ConfigMap" | "Service" | "Secret" | "NetworkPolicy";
  metadata: { name: string; namespace: string; ownerReferences: object[] };
  [field: string]: unknown;
}

/** @param makeKeys a new pair: private key as PEM, public one as a line of authorized_keys */
export function pluginObjects(
  job: VolcanoJob,
  plugins: Plugins,
  makeKeys: () => { privateKey: string; publicKey: string },
): PluginObject[] {
  const { name, namespace = "", uid = "" } = job.metadata;
  const metadata = (own: string) => ({
    name: own,
    namespace,
    ownerReferences: [{ apiVersion: "batch.volcano.sh/v1alpha1", kind: "Job", name, uid, controller: true }],
  });
  const mine = { [volcanoLabels.jobName]: name, [volcanoLabels.jobNamespace]: namespace };
  const objects: PluginObject[] = [];
  const { svc, ssh } = plugins;
  if (svc !== undefined) {
    const early = svc["publish-not-ready-addresses"] === "true";
    objects.push(
      { apiVersion: "v1", kind: "ConfigMap", metadata: metadata(hostsName(name)), data: hostFiles(job) },
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: metadata(name),
        spec: { clusterIP: "None", selector: mine, publishNotReadyAddresses: early },
      },
    );
    const podSelector = { matchLabels: mine };
    if (svc["disable-network-policy"] !== "true")
      objects.push({
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: metadata(name),
        spec: { podSelector, ingress: [{ from: [{ podSelector }] }], policyTypes: ["Ingress"] },
      });
  }
  if (ssh !== undefined) {
    const given = ssh["ssh-private-key"]!;
    const { privateKey, publicKey } =
      given === "" ? makeKeys() : { privateKey: given, publicKey: ssh["ssh-public-key"]! };
    objects.push({
      apiVersion: "v1",
      kind: "Secret",
      metadata: metadata(keysName(name)),
      stringData: {
        id_rsa: privateKey,
        "id_rsa.pub": publicKey,
        authorized_keys: publicKey,
        config: sshConfig(job, ssh["ssh-port"]!),
      },
    });
  }
  return objects;
}

/** The pod with what the plugins add. */
export function withPlugins(pod: Pod, job: VolcanoJob, plugins: Plugins, task: Task, index: number): Pod {
  const { name } = job.metadata;
  const tasks = tasksOf(job);
  const env: EnvironmentVariable[] = [];
  /** Of the containers that work, not of those that prepare. */
  const mainEnv: EnvironmentVariable[] = [];
  const mounts: VolumeMount[] = [];
  const volumes: NonNullable<Pod["spec"]["volumes"]> = [];
  let port: { name: string; containerPort: number } | undefined;
  let { spec } = pod;
  const addressOf = (other: string, at = 0): string | undefined => {
    const found = tasks.find((each) => each.name === other);
    return found && hostsOf(name, found)[at]?.domain;
  };
  if (plugins.env !== undefined)
    env.push({ name: "VK_TASK_INDEX", value: String(index) }, { name: "VC_TASK_INDEX", value: String(index) });
  if (plugins.svc !== undefined) {
    spec = { ...spec, hostname: spec["hostname"] ?? pod.metadata.name, subdomain: spec["subdomain"] ?? name };
    const configMap = { name: hostsName(name) };
    if (plugins.svc["inject-hosts-env"] !== "false")
      for (const key of Object.keys(hostFiles(job)).filter((each) => each.startsWith("VC_")))
        env.push({ name: key, valueFrom: { configMapKeyRef: { ...configMap, key } } });
    volumes.push({ name: hostsName(name), configMap });
    mounts.push({ name: hostsName(name), mountPath: "/etc/volcano" });
  }
  if (plugins.ssh !== undefined) {
    const folder = plugins.ssh["ssh-key-file-path"]!;
    const items = ["id_rsa", "id_rsa.pub", "authorized_keys", "config"].map((key) => ({ key, path: `.ssh/${key}` }));
    // Files of a Secret are root's: whoever else is to read them needs more, and ssh minds that only of files that are one's own.
    const defaultMode = spec.securityContext?.runAsUser === 0 ? 0o600 : 0o644;
    volumes.push({ name: keysName(name), secret: { secretName: keysName(name), items, defaultMode } });
    mounts.push({ name: keysName(name), mountPath: folder, subPath: ".ssh" });
  }
  const { mpi, pytorch, tensorflow } = plugins;
  if (mpi !== undefined) {
    port = { name: "mpijob-port", containerPort: Number(mpi["port"]) };
    const workers = tasks.find((each) => each.name === mpi["worker"]);
    if (task.name === mpi["master"] && workers !== undefined)
      env.push({
        name: "MPI_HOST",
        value: hostsOf(name, workers)
          .map(({ domain }) => domain)
          .join(","),
      });
  }
  if (pytorch !== undefined) {
    const { master = "", worker = "" } = pytorch;
    port = { name: "pytorchjob-port", containerPort: Number(pytorch["port"]) };
    const parts = tasks.filter((each) => each.name === master || each.name === worker);
    const world = parts.reduce((sum, { replicas }) => sum + replicas, 0);
    const rank = task.name === master ? 0 : task.name === worker ? index + 1 : undefined;
    const address = addressOf(master);
    if (address !== undefined)
      mainEnv.push(
        { name: "MASTER_ADDR", value: address },
        { name: "MASTER_PORT", value: pytorch["port"] },
        { name: "WORLD_SIZE", value: String(world) },
        ...(rank === undefined ? [] : [{ name: "RANK", value: String(rank) }]),
      );
  }
  if (tensorflow !== undefined && (tasks.length > 1 || tasks[0]!.replicas > 1)) {
    const roles = ["ps", "worker", "chief", "evaluator"];
    const cluster = Object.fromEntries(
      roles.flatMap((role) => {
        const found = tasks.find((each) => each.name === tensorflow[role]);
        const addresses = found && hostsOf(name, found).map(({ domain }) => `${domain}:${tensorflow["port"]}`);
        return addresses === undefined ? [] : [[role, addresses]];
      }),
    );
    const type = roles.find((role) => tensorflow[role] === task.name) ?? task.name;
    mainEnv.push({ name: "TF_CONFIG", value: JSON.stringify({ cluster, task: { type, index } }) });
  }
  const changed = (container: Container, isMain: boolean): Container => {
    const ports = (container["ports"] ?? []) as { containerPort: number }[];
    const isOpen = port === undefined || ports.some(({ containerPort }) => containerPort === port.containerPort);
    const more = [...env, ...(isMain ? mainEnv : [])];
    return {
      ...container,
      ...(more.length === 0 ? {} : { env: [...(container.env ?? []), ...more] }),
      ...(mounts.length === 0 ? {} : { volumeMounts: [...(container.volumeMounts ?? []), ...mounts] }),
      ...(isOpen ? {} : { ports: [...ports, port] }),
    };
  };
  return {
    ...pod,
    spec: {
      ...spec,
      containers: spec.containers.map((container) => changed(container, true)),
      ...(spec.initContainers === undefined
        ? {}
        : { initContainers: spec.initContainers.map((container) => changed(container, false)) }),
      ...(volumes.length === 0 ? {} : { volumes: [...(spec.volumes ?? []), ...volumes] }),
    },
  };
}
