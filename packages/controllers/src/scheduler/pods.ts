/** The pods of an attempt, from the Workload's templates and the scheduler's choice of nodes. Pure. */
import type {
  Amounts,
  Container,
  Pod,
  PodSet,
  PodSpec,
  PodTemplate,
  Queue,
  TaskVariables,
  VolumeMount,
  Workload,
} from "@berth/kinds";
import {
  accountingFinalizer,
  annotations,
  apiVersion,
  attemptPodName,
  effectiveRequests,
  formatTasks,
  hostImage,
  labels,
  podRequests,
  startAllowanceSeconds,
} from "@berth/kinds";
import type { Grants, PodGrant } from "@berth/scheduling";
import { treesOf } from "../namespaces/shared-trees.ts";
import type { PlannedPlace } from "../workload/hosted-life.ts";
import type { PlannedPod } from "../workload/pod-creation.ts";
import { type KubeletTraits, onKubelet } from "./kubelet-pods.ts";

export interface AttemptPlan {
  workload: Workload;
  queue: Queue;
  /** Undefined outside arrays. */
  task: number | undefined;
  attempt: number;
  /** `nodes[s][p]`: node of pod p of pod set s. */
  nodes: readonly (readonly string[])[];
  /** Devices, NUMA domain and cores of each pod. */
  grants?: Grants;
  /** Whether nobody but Berth gives out the node's devices, so that the job must be told which are its own. */
  givesDevices?: (node: string) => boolean;
  /** Whether pods of this template are bound to their node once that is chosen, instead of being made for it. */
  isLate?: (template: PodTemplate) => boolean;
  /** Of a node that is not Berth's own: what it can do. */
  kubelet?: (node: string) => KubeletTraits | undefined;
  wallTimeSeconds: number;
  graceSeconds: number;
  /** Several tasks of the array that the pod carries in turn, `task` the first; and what differs between them. */
  lease?: { tasks: readonly number[]; seconds: number; variables: () => TaskVariables };
  /** Whole-node jobs get what the node has: its allocatable amounts. */
  wholeNode?: (node: string) => Amounts | undefined;
  /** What the job finds in its environment, per pod; laid over the template's. */
  environment: (podSet: PodSet, index: number, node: string) => Record<string, string>;
}

/** Written beside `schedulerName` of pods that Berth has placed already. */
const schedulerName = "berth";

/** Kubernetes quantities of amounts: cpu in milli-cpu. */
function quantityOf(resource: string, amount: number): string {
  return resource === "cpu" ? (amount % 1000 === 0 ? String(amount / 1000) : `${amount}m`) : String(amount);
}

/** The first container with what the pod needs but no container asks for, and with the job's environment. */
function firstContainer(
  container: Container,
  plan: AttemptPlan,
  spec: PodSpec,
  node: string,
  trees: readonly VolumeMount[],
): Container {
  const { queue } = plan;
  const asked = podRequests(spec);
  const effective = effectiveRequests(spec, queue.spec);
  const whole = plan.workload.spec.placement?.exclusive === true ? plan.wholeNode?.(node) : undefined;
  const requests = { ...container.resources?.requests };
  const limits = { ...container.resources?.limits };
  for (const resource of ["cpu", "memory"]) {
    const all = whole?.[resource];
    if (all !== undefined) {
      const others = (asked[resource] ?? 0) - (podRequests({ containers: [container] })[resource] ?? 0);
      requests[resource] = quantityOf(resource, all - others);
      if (limits[resource] !== undefined) limits[resource] = requests[resource];
    } else if (asked[resource] === undefined && effective[resource] !== undefined) {
      requests[resource] = quantityOf(resource, effective[resource]);
      if (resource === "memory") limits[resource] = requests[resource];
    }
  }
  const defaults = queue.spec.podDefaults?.spec?.containers?.[0];
  const mounts = [...(defaults?.volumeMounts ?? []), ...trees, ...(container.volumeMounts ?? [])];
  const env = [...(defaults?.env ?? []), ...(container.env ?? [])];
  return {
    ...container,
    ...(mounts.length > 0 ? { volumeMounts: mounts } : {}),
    ...(env.length > 0 ? { env } : {}),
    resources: { ...container.resources, requests, ...(Object.keys(limits).length > 0 ? { limits } : {}) },
  };
}

/** What says of a pod which attempt it is, and of what. */
export function attemptLabels(plan: AttemptPlan, podSet: PodSet, index: number): Record<string, string> {
  const { workload, queue, task, attempt } = plan;
  const { jobId = 0, account = "" } = workload.status ?? {};
  return {
    [labels.workload]: workload.metadata.name,
    [labels.jobId]: String(jobId + (task ?? 0)),
    [labels.podSet]: podSet.name,
    [labels.podIndex]: String(index),
    [labels.attempt]: String(attempt),
    [labels.queue]: queue.metadata.name,
    [labels.account]: account,
    ...(task === undefined ? {} : { [labels.task]: String(task) }),
  };
}

export function attemptAnnotations({ wallTimeSeconds, lease }: AttemptPlan): Record<string, string> {
  const stated = { [annotations.wallTimeSeconds]: String(wallTimeSeconds) };
  if (lease === undefined) return stated;
  return {
    ...stated,
    [annotations.tasks]: formatTasks(lease.tasks),
    [annotations.leaseSeconds]: String(lease.seconds),
    [annotations.taskVariables]: JSON.stringify(lease.variables()),
  };
}

/** What Berth writes on pods of attempts: whoever reads it there believes it. */
const written: ReadonlySet<string> = new Set([
  annotations.wallTimeSeconds,
  annotations.gate,
  annotations.gateOpenedAt,
  annotations.gangSize,
  annotations.stopped,
  annotations.tasks,
  annotations.leaseSeconds,
  annotations.taskVariables,
  annotations.grant,
]);

function statedAnnotations(stated: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(stated).filter(([name]) => !written.has(name)));
}

/** Tells a pod's node, and the next leader, what the pod was given. */
export function grantAnnotation(grant: PodGrant | null | undefined): Record<string, string> {
  return grant === null || grant === undefined ? {} : { [annotations.grant]: JSON.stringify(grant) };
}

/** What programs read to use only the devices that are theirs. */
function deviceEnvironment(grant: PodGrant | null | undefined): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const { resource, ids } of grant?.devices ?? []) {
    const name = visibleDevices[resource];
    if (name !== undefined) environment[name] = ids.join(",");
  }
  return environment;
}

const visibleDevices: Record<string, string> = {
  "nvidia.com/gpu": "CUDA_VISIBLE_DEVICES",
  "amd.com/gpu": "ROCR_VISIBLE_DEVICES",
};

function podOf(
  plan: AttemptPlan,
  podSet: PodSet,
  index: number,
  node: string,
  gangSize: number,
  grant: PodGrant | null | undefined,
): Pod {
  const { workload, queue, task, attempt } = plan;
  const { template } = podSet;
  const defaults = queue.spec.podDefaults;
  const { identity } = workload.status ?? {};
  const spec: PodSpec = { ...defaults?.spec, ...template.spec };
  const queueImage = defaults?.spec?.containers?.[0]?.image;
  const kubelet = plan.kubelet?.(node);
  const trees = treesOf(queue, kubelet !== undefined);
  const devices = plan.givesDevices?.(node) === true ? deviceEnvironment(grant) : {};
  const environment = Object.entries({ ...plan.environment(podSet, index, node), ...devices });
  const containers = spec.containers.map((container, at): Container => {
    const named =
      container.image === undefined && kubelet === undefined
        ? Object.assign({}, container, { image: queueImage ?? hostImage })
        : container;
    if (at > 0) return named;
    const first = firstContainer(named, plan, spec, node, trees.mounts);
    const own = new Set(environment.map(([name]) => name));
    first.env = (first.env ?? [])
      .filter(({ name }) => !own.has(name))
      .concat(environment.map(([name, value]) => ({ name, value })));
    return first;
  });
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: attemptPodName({ workload: workload.metadata.name, task, podSet: podSet.name, index, attempt }),
      namespace: workload.metadata.namespace,
      labels: {
        ...defaults?.metadata?.labels,
        ...template.metadata?.labels,
        ...attemptLabels(plan, podSet, index),
      },
      annotations: {
        ...defaults?.metadata?.annotations,
        ...statedAnnotations(template.metadata?.annotations),
        ...attemptAnnotations(plan),
        ...(gangSize > 1 ? { [annotations.gate]: "closed", [annotations.gangSize]: String(gangSize) } : {}),
        ...grantAnnotation(grant),
      },
      ownerReferences: [
        {
          apiVersion,
          kind: "Workload",
          name: workload.metadata.name,
          uid: workload.metadata.uid ?? "",
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      // A worker is stopped by its driver's end: its last status must outlive that.
      ...(podSet.role === "Worker" ? { finalizers: [accountingFinalizer] } : {}),
    },
    spec: {
      enableServiceLinks: false,
      automountServiceAccountToken: false,
      ...spec,
      containers,
      nodeName: node,
      schedulerName,
      restartPolicy: "Never",
      terminationGracePeriodSeconds: plan.graceSeconds,
      activeDeadlineSeconds:
        startAllowanceSeconds + (plan.lease?.seconds ?? 0) + plan.wallTimeSeconds + plan.graceSeconds,
      tolerations: [
        ...(queue.spec.tolerations ?? []),
        ...(defaults?.spec?.tolerations ?? []),
        ...(template.spec.tolerations ?? []),
      ],
      volumes: [...(defaults?.spec?.volumes ?? []), ...trees.volumes, ...(template.spec.volumes ?? [])],
      ...(identity === undefined
        ? {}
        : {
            securityContext: {
              ...spec.securityContext,
              runAsUser: identity.uid,
              runAsGroup: identity.gid,
              supplementalGroups: identity.groups,
              supplementalGroupsPolicy: "Strict",
            },
          }),
    },
  };
  return kubelet === undefined ? pod : onKubelet(pod, kubelet, queueImage);
}

/** The pods of the attempt in the order of the pod sets, of an elastic gang as many as have nodes; each made when asked for. */
export function plannedPods(plan: AttemptPlan): PlannedPod[] {
  const { workload, task, attempt } = plan;
  const total = plan.nodes.reduce((sum, nodes) => sum + nodes.length, 0);
  return workload.spec.podSets.flatMap((podSet, set) => {
    const isLate = plan.isLate?.(podSet.template) === true;
    return (plan.nodes[set] ?? []).map((node, index) => ({
      name: attemptPodName({ workload: workload.metadata.name, task, podSet: podSet.name, index, attempt }),
      node,
      isDriver: podSet.role !== "Worker",
      isLate,
      build: () => podOf(plan, podSet, index, node, total, plan.grants?.[set]?.[index]),
    }));
  });
}

/** The same of pods that somebody else makes: where each may be. */
export function plannedPlaces({ workload, nodes, grants }: AttemptPlan): PlannedPlace[] {
  return workload.spec.podSets.flatMap(({ name }, set) =>
    (nodes[set] ?? []).map((node, index) => ({ podSet: name, index, node, grant: grants?.[set]?.[index] })),
  );
}
