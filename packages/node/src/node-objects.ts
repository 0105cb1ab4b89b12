import { hostname, release } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { isReason, microTime, resources, type Client, type Lease } from "@berth/client";
import { annotations } from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";
import type { Capabilities, DriverName } from "./driver.ts";
import { bootId } from "./host.ts";
import { timestamp } from "./pod-status.ts";

export interface NodeSpec {
  name: string;
  cpus: number;
  memoryBytes: number;
  /** Absent: the best that works on this machine. */
  driver?: DriverName;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  /** Devices and other countable resources beside cpu, memory and pods. */
  allocatable?: Record<string, string>;
}

const leaseNamespace = "kube-node-lease";
/** The kubelet's: renewed every 10 s, valid for 40. */
const realLease = { durationSeconds: 40, renewSeconds: 10 };
/** Thousands of simulated nodes must not be thousands of writes: they all live and die with this process. */
const simulatedLease = { durationSeconds: 1200, renewSeconds: 400 };
const simulatedPodLimit = "1000";
const podLimit = "1000";

export function nodeObject(
  spec: NodeSpec,
  driver: DriverName,
  endpointPort: number | undefined,
  capabilities: Capabilities | undefined,
): KubernetesObject<unknown, unknown> {
  const now = timestamp(Date.now());
  const capacity = {
    cpu: String(spec.cpus),
    memory: `${Math.floor(spec.memoryBytes / 1024)}Ki`,
    pods: driver === "simulated" ? simulatedPodLimit : podLimit,
    ...spec.allocatable,
  };
  const condition = (type: string, holds: boolean, reason: string, message: string) => ({
    type,
    status: holds ? "True" : "False",
    reason,
    message,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  });
  const sandboxed = capabilities === undefined || capabilities.ownNamespaces === true;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: spec.name,
      labels: {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": process.arch === "x64" ? "amd64" : process.arch,
        ...spec.labels,
        "kubernetes.io/hostname": spec.name,
        "berth.dev/driver": driver,
      },
      annotations: {
        ...spec.annotations,
        // What a task writes to no file of its own would stand in one log with all others of its pod.
        [annotations.leases]: driver === "simulated" ? "Any" : "Submissions",
        ...(capabilities === undefined ? {} : { "berth.dev/capabilities": JSON.stringify(capabilities) }),
      },
    },
    spec: {},
    status: {
      capacity,
      allocatable: capacity,
      conditions: [
        condition("Ready", true, "NodeAgentReady", "the node agent takes pods"),
        condition("MemoryPressure", false, "Sufficient", "not measured"),
        condition("DiskPressure", false, "Sufficient", "not measured"),
        condition("PIDPressure", false, "Sufficient", "not measured"),
        ...(driver === "simulated"
          ? []
          : [
              condition(
                "berth.dev/Sandboxed",
                sandboxed,
                sandboxed ? "Sandboxed" : "NotSandboxed",
                sandboxed
                  ? "jobs have their own namespaces"
                  : `jobs are NOT sandboxed: ${String(capabilities?.ownNamespaces)}`,
              ),
            ]),
      ],
      addresses: [
        { type: "InternalIP", address: "127.0.0.1" },
        { type: "Hostname", address: driver === "simulated" ? spec.name : hostname() },
      ],
      ...(endpointPort === undefined ? {} : { daemonEndpoints: { kubeletEndpoint: { Port: endpointPort } } }),
      nodeInfo: {
        machineID: "",
        systemUUID: "",
        bootID: bootId(),
        kernelVersion: release(),
        osImage: driver === "simulated" ? "simulated" : "host",
        containerRuntimeVersion: `berth://${driver}`,
        kubeletVersion: "v1.35.4+berth",
        kubeProxyVersion: "",
        operatingSystem: "linux",
        architecture: process.arch === "x64" ? "amd64" : process.arch,
      },
    },
  };
}

/** Makes the Node, or brings the one that is there up to date (cordons and foreign labels stay). */
export async function registerNode(
  client: Client,
  node: KubernetesObject<unknown, unknown>,
  signal: AbortSignal,
): Promise<KubernetesObject<unknown, unknown>> {
  const { name, labels, annotations: stated } = node.metadata;
  try {
    const made = await client.create(resources.nodes, node, { signal });
    if ((made.status as { allocatable?: unknown } | undefined)?.allocatable !== undefined) return made;
  } catch (error) {
    if (!isReason(error, "AlreadyExists")) throw error;
    await client.patch(resources.nodes, name, { metadata: { labels, annotations: stated } }, { signal });
  }
  return client.patchStatus(resources.nodes, name, { status: node.status }, { signal });
}

/** Renews a node's Lease until the signal aborts. */
export async function renewLease(
  client: Client,
  node: KubernetesObject<unknown, unknown>,
  driver: DriverName,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<void> {
  const { durationSeconds, renewSeconds } = driver === "simulated" ? simulatedLease : realLease;
  const { name, uid } = node.metadata;
  let known = false;
  while (!signal.aborted) {
    const spec = { holderIdentity: name, leaseDurationSeconds: durationSeconds, renewTime: microTime(Date.now()) };
    try {
      if (known) await client.patch<Lease>(resources.leases, name, { spec }, { namespace: leaseNamespace, signal });
      else await makeLease(client, { name, uid: uid ?? "" }, spec, signal);
      known = true;
    } catch (error) {
      if (signal.aborted) return;
      known = isReason(error, "AlreadyExists");
      if (known) continue;
      if (!isReason(error, "NotFound")) onError(error);
    }
    await delay(renewSeconds * 1000 * (0.9 + Math.random() / 5), undefined, { signal, ref: false }).catch(() => {});
  }
}

async function makeLease(
  client: Client,
  node: { name: string; uid: string },
  spec: NonNullable<Lease["spec"]>,
  signal: AbortSignal,
): Promise<void> {
  const lease: Lease = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: {
      name: node.name,
      namespace: leaseNamespace,
      ownerReferences: [{ apiVersion: "v1", kind: "Node", name: node.name, uid: node.uid }],
    },
    spec,
  };
  try {
    await client.create<Lease>(resources.leases, lease, { signal });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: leaseNamespace } };
    await client.create(resources.namespaces, namespace, { signal }).catch((failure: unknown) => {
      if (!isReason(failure, "AlreadyExists")) throw failure;
    });
    await client.create<Lease>(resources.leases, lease, { signal });
  }
}
