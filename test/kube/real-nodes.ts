/**
 * Real nodes: kubelet and containerd in "machines" made of Linux namespaces, joined by a bridge with the control plane. To kill the first
 * process of a machine is the sudden end of the whole node.
 */
import { resources } from "@berth/client";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { binary, withoutPrograms } from "./binaries.ts";
import { startControlPlane, until, withoutControlPlane } from "./control-plane.ts";
import type { ControlPlane, ControlPlaneOptions } from "./control-plane.ts";
import { busyboxImage, type Image, pauseImage, withoutBusybox } from "./images.ts";
import { isReady } from "./kwok.ts";
import { cgroupRoots, folderPrefix, recordParts, removeLeftovers, tearDown } from "./leftovers.ts";
import { containerdConfiguration, kubeletConfiguration, networkConfiguration, serviceRules } from "./node-files.ts";

export interface RealClusterOptions extends Omit<ControlPlaneOptions, "address"> {
  /** How many nodes; default 1, at most 16. They are called `node1`, `node2`, … and each believes to own the whole machine. */
  nodes?: number;
  /** Default crun, which starts pods faster; runc can exclusive CPUs. Both are RuntimeClasses. */
  runtime?: "crun" | "runc";
  /** Beside `localhost/busybox:1`. */
  images?: Image[];
  /** Merged into each KubeletConfiguration. */
  kubelet?: Record<string, unknown>;
}

export interface RealNode {
  readonly name: string;
  readonly address: string;
  /** The sudden end of the node: everything that ran on it is gone. */
  kill(): Promise<void>;
  /** Ends its kubelet alone; pods run on. */
  killKubelet(): Promise<void>;
  startKubelet(): Promise<void>;
  /** Cuts it off the network, or joins it again. */
  setLink(up: boolean): void;
  /** Runs a command in the node's namespaces and gives its output. */
  run(...words: string[]): string;
}

export interface RealCluster extends ControlPlane {
  readonly nodes: RealNode[];
}

export const debianPackages = [
  "containerd",
  "runc",
  "crun",
  "containernetworking-plugins",
  "busybox-static",
  "iproute2",
  "iptables",
  "nftables",
  "conntrack",
  "ethtool",
  "procps",
  "util-linux",
];

/** Why there can be no real nodes here, or false. */
export function withoutRealNodes(): string | false {
  if (process.getuid!() !== 0) return "real nodes need root";
  const programs = withoutControlPlane() || withoutPrograms("kubelet") || withoutBusybox();
  if (programs !== false) return programs;
  const absent = ["containerd", "ctr", "crun", "runc", "ip", "nft", "nsenter", "unshare"].filter(
    (name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0,
  );
  if (absent.length > 0) return `not installed: ${absent.join(", ")} (Debian: ${debianPackages.join(" ")})`;
  if (!existsSync("/usr/lib/cni/bridge")) return "not installed: containernetworking-plugins";
  return existsSync("/sys/fs/cgroup/cpuset/cpuset.cpus")
    ? false
    : "real nodes are made for cgroup v1, which is not here";
}

/** Starts a control plane and its nodes and waits until they are ready: about ten seconds, and four for each further node. */
export async function startRealCluster(options: RealClusterOptions = {}): Promise<RealCluster> {
  await removeLeftovers();
  const { nodes = 1, runtime = "crun", images = [], kubelet = {}, ...rest } = options;
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), folderPrefix));
  mkdirSync(folder, { recursive: true });
  const network = makeBridge();
  const names = Array.from({ length: nodes }, (_, at) => `node${at + 1}`);
  const cgroup = `berth-kube-${network}`;
  recordParts(folder, {
    interfaces: [...names.map((_, at) => linkName(network, at + 1)), bridgeName(network)],
    cgroup,
  });
  const controlPlane = await startControlPlane({ ...rest, folder, address: addressOf(network, 1) });
  try {
    const archives = [pauseImage(), busyboxImage(), ...images];
    const made = await Promise.all(
      names.map((name, at) =>
        startNode({ controlPlane, network, number: at + 1, name, cgroup, runtime, kubelet, archives }),
      ),
    );
    joinPods(made, network);
    for (const name of ["crun", "runc"]) {
      await controlPlane.client.request({
        method: "POST",
        path: "/apis/node.k8s.io/v1/runtimeclasses",
        body: { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name }, handler: name },
      });
    }
    return Object.assign(controlPlane, { nodes: made });
  } catch (error) {
    controlPlane.client.close();
    await tearDown(folder);
    throw error;
  }
}

const bridgeName = (network: number): string => `berthk${network}`;
const linkName = (network: number, node: number): string => `berthk${network}n${node}`;
/** 1 is the control plane's, nodes begin at 11. */
const addressOf = (network: number, host: number): string => `10.99.${network}.${host}`;
const podRange = (network: number, node: number): string => `10.${200 + network}.${node}.0/24`;

function command(program: string, ...words: string[]): string {
  return execFileSync(program, words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Several clusters may stand side by side: each takes the first bridge that is not there. */
function makeBridge(): number {
  for (let network = 0; network < 10; network++) {
    if (spawnSync("ip", ["link", "add", bridgeName(network), "type", "bridge"], { stdio: "ignore" }).status !== 0)
      continue;
    command("ip", "address", "add", `${addressOf(network, 1)}/24`, "dev", bridgeName(network));
    command("ip", "link", "set", bridgeName(network), "up");
    return network;
  }
  throw new Error("no bridge could be made: berthk0 to berthk9 are there, or network interfaces may not be added here");
}

interface NodeMaking {
  controlPlane: ControlPlane;
  network: number;
  number: number;
  name: string;
  cgroup: string;
  runtime: string;
  kubelet: Record<string, unknown>;
  archives: Image[];
}

async function startNode(making: NodeMaking): Promise<RealNode> {
  const { controlPlane, network, number, name, archives } = making;
  const { processes } = controlPlane;
  const folder = join(controlPlane.folder, name);
  const address = addressOf(network, 10 + number);
  const link = linkName(network, number);
  mkdirSync(join(folder, "cni"), { recursive: true });
  makeCgroups(join(making.cgroup, name));
  const namespaces = ["--pid", "--mount", "--net", "--uts", "--ipc"];
  const init = [join(import.meta.dirname, "node-init.sh"), folder, name];
  processes.start(name, {
    program: "unshare",
    words: [...namespaces, "--fork", "--kill-child", "--mount-proc", "bash", ...init],
  });
  await until(processes, name, async () => existsSync(join(folder, "ready")));
  const pid = childOf(processes.pid(name)!);
  const inside = ["-t", String(pid), "-m", "-n", "-p", "-u", "-i", "--"];
  const run = (...words: string[]): string => command("nsenter", ...inside, ...words);

  command("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", String(pid));
  command("ip", "link", "set", link, "master", bridgeName(network), "up");
  run("ip", "address", "add", `${address}/24`, "dev", "eth0");
  run("ip", "link", "set", "eth0", "up");
  run("ip", "route", "add", "default", "via", addressOf(network, 1));
  run("sysctl", "-qw", "net.ipv4.ip_forward=1");
  // This machine reaches pods by their addresses.
  command("ip", "route", "replace", podRange(network, number), "via", address, "dev", bridgeName(network));

  const socket = join(folder, "containerd.sock");
  writeFileSync(join(folder, "cni", "10-bridge.conflist"), networkConfiguration(podRange(network, number)));
  writeFileSync(join(folder, "containerd.toml"), containerdConfiguration(folder, socket, making.runtime));
  writeFileSync(join(folder, "services.nft"), serviceRules(new URL(controlPlane.url)));
  run("nft", "-f", join(folder, "services.nft"));
  processes.start(`${name}-containerd`, {
    program: "nsenter",
    words: [...inside, "containerd", "-c", join(folder, "containerd.toml")],
  });
  // Without a socket ctr itself waits ten seconds.
  await until(processes, `${name}-containerd`, async () => existsSync(socket));
  const ctr = (...words: string[]): string =>
    command("ctr", "--connect-timeout", "2s", "-a", socket, "-n", "k8s.io", ...words);
  await until(processes, `${name}-containerd`, async () => ctr("version") !== "");
  for (const { archive } of archives) ctr("images", "import", archive);

  const { pki } = controlPlane;
  await pki.issue(name, { commonName: `system:node:${name}`, alternativeNames: [name, address], use: "server" });
  const configuration = {
    ...kubeletConfiguration({
      address,
      socket,
      cgroupRoot: `/${making.cgroup}/${name}`,
      authority: pki.certificate("ca"),
      certificate: pki.certificate(name),
      key: pki.key(name),
    }),
    ...making.kubelet,
  };
  writeFileSync(join(folder, "kubelet.json"), JSON.stringify(configuration));
  const kubeconfig = await controlPlane.kubeconfigFor(`system:node:${name}`, ["system:nodes"]);
  const kubelet = `${name}-kubelet`;
  const startKubelet = async (): Promise<void> => {
    processes.start(kubelet, {
      program: "nsenter",
      words: [
        ...inside,
        binary("kubelet"),
        `--config=${join(folder, "kubelet.json")}`,
        `--kubeconfig=${kubeconfig}`,
        `--hostname-override=${name}`,
        `--node-ip=${address}`,
      ],
    });
    // A condition outlives a kubelet that was killed: so the new one itself is asked first.
    await until(processes, kubelet, async () => run("curl", "-sf", "http://127.0.0.1:10248/healthz") === "ok");
    await until(processes, kubelet, async () => isReady(await controlPlane.client.get(resources.nodes, name)));
  };
  await startKubelet();
  return {
    name,
    address,
    run,
    startKubelet,
    kill: () => processes.end(name, "SIGKILL"),
    async killKubelet() {
      process.kill(childOf(processes.pid(kubelet)!), "SIGKILL");
      while (processes.pid(kubelet) !== undefined) await pause(20);
    },
    setLink: (up) => void command("ip", "link", "set", link, up ? "up" : "down"),
  };
}

function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]);
}

/** The kubelet's root must be there below every controller; of a cpuset the CPUs are not inherited. */
function makeCgroups(path: string): void {
  for (const root of cgroupRoots()) {
    if (root.endsWith("/unified")) continue;
    let folder = root;
    for (const part of path.split("/")) {
      folder = join(folder, part);
      mkdirSync(folder, { recursive: true });
      if (!existsSync(join(folder, "cpuset.cpus"))) continue;
      for (const file of ["cpuset.cpus", "cpuset.mems"])
        writeFileSync(join(folder, file), readFileSync(join(root, file), "utf8"));
    }
  }
}

function joinPods(nodes: RealNode[], network: number): void {
  for (const node of nodes)
    for (const [at, other] of nodes.entries())
      if (other !== node) node.run("ip", "route", "replace", podRange(network, at + 1), "via", other.address);
}
