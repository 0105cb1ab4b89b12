/** Simulated nodes on a real control plane by kwok: their pods run as long as an annotation says, as on Berth's own simulated nodes. */
import { isReason, resources, type Client } from "@berth/client";
import { annotations } from "@berth/kinds";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, withoutPrograms } from "./binaries.ts";
import { until, withoutControlPlane, type ControlPlane } from "./control-plane.ts";
import { freePort } from "../support/ports.ts";

export interface KwokOptions {
  nodes: number;
  /** Names of the nodes begin with it, and the process is called by it; default `kwok`. Each call needs another. */
  name?: string;
  /** Of each node; default 16 CPUs, 64 GiB, 1000 pods. */
  capacity?: Record<string, string>;
  labels?: Record<string, string>;
  /**
   * Default 40, renewed each quarter of it, which for thousands of nodes is hundreds of writes a second: a longer one needs
   * `--node-monitor-grace-period` of the controller manager to be longer still.
   */
  leaseSeconds?: number;
}

export interface KwokNodes {
  readonly names: string[];
  /** They fall silent all at once, as when the network is cut: nothing is renewed, no pod ends. */
  silence(): void;
  /** They come back as if nothing had been. */
  resume(): void;
}

/** Why there can be no simulated nodes here, or false. */
export const withoutKwok = (): string | false => withoutControlPlane() || withoutPrograms("kwok");

/** Starts kwok, makes its nodes and waits until all of them are ready. Ends with the control plane. */
export async function startKwok(controlPlane: ControlPlane, options: KwokOptions): Promise<KwokNodes> {
  const { name = "kwok", leaseSeconds = 40 } = options;
  const { client, processes, folder } = controlPlane;
  const configuration = join(folder, `${name}.json`);
  // YAML with several documents.
  writeFileSync(configuration, [...nodeStages, ...podStages].map((stage) => JSON.stringify(stage)).join("\n---\n"));
  processes.start(name, {
    program: binary("kwok"),
    words: [
      `--kubeconfig=${await controlPlane.kubeconfigFor(`lab:${name}`, ["system:masters"])}`,
      `--config=${configuration}`,
      `--manage-nodes-with-annotation-selector=${managedBy}=${name}`,
      `--node-lease-duration-seconds=${leaseSeconds}`,
      `--server-address=127.0.0.1:${await freePort()}`,
    ],
  });
  const names = Array.from({ length: options.nodes }, (_, at) => `${name}-${at}`);
  const queue = names.values();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const node of queue) await makeNode(client, node, name, options);
    }),
  );
  const areReady = async (): Promise<boolean> => {
    const { items } = await client.listAll(resources.nodes, { labelSelector: `${managedBy}=${name}` });
    return items.length === names.length && items.every(isReady);
  };
  // To list thousands of them is work for the server, too.
  await until(processes, name, areReady, Math.max(50, names.length));
  return {
    names,
    silence: () => process.kill(processes.pid(name)!, "SIGSTOP"),
    resume: () => process.kill(processes.pid(name)!, "SIGCONT"),
  };
}

const managedBy = "kwok.x-k8s.io/node";

async function makeNode(client: Client, node: string, name: string, options: KwokOptions): Promise<void> {
  const capacity = { cpu: "16", memory: "64Gi", pods: "1000", ...options.capacity };
  const object = {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: node,
      annotations: { [managedBy]: name },
      labels: {
        [managedBy]: name,
        "kubernetes.io/hostname": node,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        ...options.labels,
      },
    },
    status: { capacity, allocatable: capacity },
  };
  await client.create(resources.nodes, object).catch((error: unknown) => {
    if (!isReason(error, "AlreadyExists")) throw error;
  });
}

/** True of a Node whose condition Ready is True. */
export function isReady(node: { status?: unknown }): boolean {
  const { conditions = [] } = (node.status ?? {}) as { conditions?: { type: string; status: string }[] };
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}

interface Requirement {
  key: string;
  operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  values?: string[];
}

function stage(kind: string, name: string, matchExpressions: Requirement[], rest: Record<string, unknown>): object {
  return {
    apiVersion: "kwok.x-k8s.io/v1alpha1",
    kind: "Stage",
    metadata: { name },
    spec: { resourceRef: { apiGroup: "v1", kind }, selector: { matchExpressions }, ...rest },
  };
}

const nodeStages = [
  stage(
    "Node",
    "node-ready",
    [{ key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: "NotIn", values: ["True"] }],
    {
      next: {
        statusTemplate: `
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
addresses:
- type: Hostname
  address: {{ .metadata.name | Quote }}
nodeInfo:
  architecture: amd64
  operatingSystem: linux
  bootID: ""
  containerRuntimeVersion: kwok
  kernelVersion: kwok
  kubeProxyVersion: kwok
  kubeletVersion: kwok
  machineID: ""
  osImage: kwok
  systemUUID: ""
`,
      },
    },
  ),
];

const annotation = (name: string): string => `.metadata.annotations["${name}"]`;
const notDeleted: Requirement = { key: ".metadata.deletionTimestamp", operator: "DoesNotExist" };
const deleted: Requirement = { key: ".metadata.deletionTimestamp", operator: "Exists" };
const running: Requirement = { key: ".status.phase", operator: "In", values: ["Running"] };
const gateIs = (operator: "In" | "NotIn"): Requirement => ({
  key: annotation(annotations.gate),
  operator,
  values: ["closed"],
});
const condition = (type: string, status: string): string =>
  `- {type: ${type}, status: "${status}", lastTransitionTime: {{ Now | Quote }}}`;
const statusWhileRunning = (isReady: boolean): string => `
{{ $now := or .status.startTime Now }}
phase: Running
startTime: {{ $now | Quote }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) | Quote }}
conditions:
${condition("Initialized", "True")}
${condition("ContainersReady", isReady ? "True" : "False")}
${condition("Ready", isReady ? "True" : "False")}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: ${isReady}
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
{{ if .spec.initContainers }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
{{ end }}
{{ end }}
`;
const seconds = (name: string, otherwise: string): string => `(${annotation(name)} // "${otherwise}" | tonumber)`;
/** What is left of the time to run, from its start or from the opening of its gate; a jq expression. */
const timeLeft = `(((${annotation(annotations.gateOpenedAt)} // .status.startTime) | sub("[.][0-9]+"; "") | fromdateiso8601) + ([${seconds(annotations.simulatedRunSeconds, "0")}, ${seconds(annotations.wallTimeSeconds, "1e9")}] | min) - now) * 1000 | floor | if . < 0 then 0 else . end | tostring + "ms"`;
const isCut = `([${seconds(annotations.simulatedRunSeconds, "0")}] | max) > ${seconds(annotations.wallTimeSeconds, "1e9")}`;
const isEndless: Requirement = {
  // A Deployment's pods, of which nobody says how long they are to run.
  key: `.spec.restartPolicy == "Always" and ${annotation(annotations.simulatedRunSeconds)} == null`,
  operator: "NotIn",
  values: ["true"],
};
const statusAtEnd = (exitCode: string, phase: string, more = ""): string => `
{{ $now := Now }}
{{ $root := . }}
phase: ${phase}
${more}
conditions:
${condition("Ready", "False")}
${condition("ContainersReady", "False")}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state:
    terminated: {exitCode: ${exitCode}, reason: ${phase === "Succeeded" ? "Completed" : "Error"}, startedAt: {{ or $root.status.startTime $now | Quote }}, finishedAt: {{ $now | Quote }}}
{{ end }}
`;
const exits = (operator: "In" | "NotIn"): Requirement => ({
  key: `${annotation(annotations.simulatedExitCode)} // "0"`,
  operator,
  values: ["0"],
});
const cut = (value: string): Requirement => ({ key: isCut, operator: "In", values: [value] });
const readyIs = (status: string): Requirement => ({
  key: '.status.conditions.[] | select( .type == "Ready" ) | .status',
  operator: "In",
  values: [status],
});
const ends = [notDeleted, running, readyIs("True"), isEndless];
const after = { delay: { durationFrom: { expressionFrom: timeLeft } } };

const podStages = [
  stage("Pod", "pod-ready", [notDeleted, { key: ".status.podIP", operator: "DoesNotExist" }, gateIs("NotIn")], {
    next: { statusTemplate: statusWhileRunning(true) },
  }),
  stage("Pod", "pod-at-gate", [notDeleted, { key: ".status.podIP", operator: "DoesNotExist" }, gateIs("In")], {
    next: { statusTemplate: statusWhileRunning(false) },
  }),
  stage("Pod", "pod-gate-opens", [notDeleted, running, gateIs("NotIn"), readyIs("False")], {
    next: { statusTemplate: statusWhileRunning(true) },
  }),
  stage("Pod", "pod-succeeds", [...ends, cut("false"), exits("In")], {
    ...after,
    next: { statusTemplate: statusAtEnd("0", "Succeeded") },
  }),
  stage("Pod", "pod-fails", [...ends, cut("false"), exits("NotIn")], {
    ...after,
    next: {
      statusTemplate: statusAtEnd(
        `{{ index $root.metadata.annotations "${annotations.simulatedExitCode}" }}`,
        "Failed",
      ),
    },
  }),
  stage("Pod", "pod-at-wall-time", [...ends, cut("true")], {
    ...after,
    next: {
      statusTemplate: statusAtEnd(
        "143",
        "Failed",
        'reason: DeadlineExceeded\nmessage: "the job was ended at its wall time"',
      ),
    },
  }),
  // As a kubelet does: first it says how the containers ended.
  stage("Pod", "pod-stops", [deleted, running], { next: { statusTemplate: statusAtEnd("143", "Failed") } }),
  stage("Pod", "pod-delete", [deleted, { ...running, operator: "NotIn" }], { next: { delete: true } }),
];
