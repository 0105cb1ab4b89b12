/** Whose a pod is that somebody else made: the Job that made it, or the group that it names. Pure. */
import type { Pod } from "@berth/kinds";

/** Label by which pods name a PodGroup of scheduling.x-k8s.io (coscheduling of the scheduler plugins). */
export const coschedulingLabel = "scheduling.x-k8s.io/pod-group";
/** Labels by which the JobSet controller knows its pods: of which JobSet, and of which of its replicated Jobs. */
export const jobSetLabel = "jobset.sigs.k8s.io/jobset-name";
export const replicatedJobLabel = "jobset.sigs.k8s.io/replicatedjob-name";
/** Annotations by which pods name a PodGroup of Volcano's. */
export const volcanoAnnotations = ["scheduling.k8s.io/group-name", "scheduling.volcano.sh/group-name"] as const;

/** What a pod says of its group in Kubernetes 1.35 (KEP-4671): a Workload of scheduling.k8s.io, and one of its groups. */
interface WorkloadReference {
  name: string;
  podGroup: string;
  podGroupReplicaKey?: string;
}

export const kindsOfHosts = {
  job: "Job.batch",
  volcanoJob: "Job.batch.volcano.sh",
  jobSet: "JobSet.jobset.x-k8s.io",
  coscheduling: "PodGroup.scheduling.x-k8s.io",
  volcano: "PodGroup.scheduling.volcano.sh",
  kubernetes: "Workload.scheduling.k8s.io",
} as const;

/** `KIND.GROUP/NAME`, of Kubernetes' own groups `KIND.GROUP/NAME/PODGROUP[/REPLICA]`; the first is whose word counts. */
export function hostsOf(pod: Pod): string[] {
  const { labels = {}, annotations = {}, ownerReferences = [] } = pod.metadata;
  const found: string[] = [];
  const job = ownerReferences.find(({ kind, controller }) => kind === "Job" && controller === true);
  if (job?.apiVersion === "batch/v1" && labels[jobSetLabel])
    found.push(`${kindsOfHosts.jobSet}/${labels[jobSetLabel]}`);
  if (job?.apiVersion === "batch/v1") found.push(`${kindsOfHosts.job}/${job.name}`);
  else if (job?.apiVersion === "batch.volcano.sh/v1alpha1") found.push(`${kindsOfHosts.volcanoJob}/${job.name}`);
  const reference = pod.spec["workloadRef"] as WorkloadReference | undefined;
  if (reference !== undefined) {
    const { name, podGroup, podGroupReplicaKey: replica } = reference;
    found.push([kindsOfHosts.kubernetes, name, podGroup, ...(replica === undefined ? [] : [replica])].join("/"));
  }
  if (labels[coschedulingLabel]) found.push(`${kindsOfHosts.coscheduling}/${labels[coschedulingLabel]}`);
  const volcano = volcanoAnnotations.map((name) => annotations[name]).find((name) => name);
  if (volcano) found.push(`${kindsOfHosts.volcano}/${volcano}`);
  return found;
}

/** Whether a host is a Job of Volcano's. */
export function isVolcanoJob(host: string): boolean {
  return host.startsWith(`${kindsOfHosts.volcanoJob}/`);
}

/** Whether a host is held and released as one: a batch/v1 Job, or a JobSet. */
export function isHeldHost(host: string): boolean {
  return host.startsWith(`${kindsOfHosts.job}/`) || host.startsWith(`${kindsOfHosts.jobSet}/`);
}
