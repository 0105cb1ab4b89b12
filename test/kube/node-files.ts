/** Configuration of what runs on a real node. */
import { readFileSync } from "node:fs";

/** Of CNI: pods of a node are on a bridge of their own, and other nodes are reached by routes. */
export function networkConfiguration(podRange: string): string {
  return JSON.stringify({
    cniVersion: "0.4.0",
    name: "lab",
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        hairpinMode: true,
        ipMasq: false,
        ipam: {
          type: "host-local",
          dataDir: "/run/cni",
          ranges: [[{ subnet: podRange }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  });
}

const runtime = (name: string, program: string): string => `
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.${name}]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.${name}.options]
      BinaryName = "${program}"
      SystemdCgroup = false`;

/** Of containerd 1.6. OOM scores are left alone, since to lower them takes CAP_SYS_RESOURCE, which a container's root lacks. */
export function containerdConfiguration(folder: string, socket: string, defaultRuntime: string): string {
  return `version = 2
root = "${folder}/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "${defaultRuntime}"${runtime("runc", "/usr/sbin/runc")}${runtime("crun", "/usr/bin/crun")}
`;
}

/** The Service `kubernetes` without kube-proxy: pods reach the API server at its address. */
export function serviceRules(server: URL): string {
  return `table ip lab {
  chain prerouting { type nat hook prerouting priority -100; ip daddr 10.96.0.1 tcp dport 443 dnat to ${server.hostname}:${server.port}; }
  chain output { type nat hook output priority -100; ip daddr 10.96.0.1 tcp dport 443 dnat to ${server.hostname}:${server.port}; }
}
`;
}

export interface KubeletParts {
  address: string;
  /** Of containerd. */
  socket: string;
  cgroupRoot: string;
  /** Files. */
  authority: string;
  certificate: string;
  key: string;
}

/** What this process may raise its limit to: a kubelet that is told of more does not start. */
function mostOpenFiles(): number {
  const limit = /Max open files\s+\d+\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return Math.min(Number(limit ?? 1_000_000), 1_000_000);
}

/** KubeletConfiguration of a node on cgroup v1, which 1.35 takes only when it is told to. */
export function kubeletConfiguration(parts: KubeletParts): Record<string, unknown> {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: parts.address,
    healthzBindAddress: "127.0.0.1",
    failCgroupV1: false,
    cgroupDriver: "cgroupfs",
    cgroupRoot: parts.cgroupRoot,
    oomScoreAdj: 0,
    containerRuntimeEndpoint: `unix://${parts.socket}`,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: parts.authority },
    },
    authorization: { mode: "Webhook" },
    tlsCertFile: parts.certificate,
    tlsPrivateKeyFile: parts.key,
    makeIPTablesUtilChains: false,
    serializeImagePulls: false,
    maxOpenFiles: mostOpenFiles(),
    maxPods: 200,
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
    imageGCHighThresholdPercent: 100,
    evictionHard: { "memory.available": "200Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi" },
  };
}
