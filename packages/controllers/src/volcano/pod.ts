/** The pods of a Job of Volcano's. Pure. */
import type { Container, Pod, PodSpec, Workload } from "@berth/kinds";
import { hostImage } from "@berth/kinds";
import { type KubeletTraits, onKubelet } from "../scheduler/kubelet-pods.ts";
import { podNameOf, type Task, type VolcanoJob } from "./job.ts";
import { volcanoLabels, volcanoPodAnnotations } from "./names.ts";
import { type Plugins, withPlugins } from "./plugins.ts";

export interface PodInput {
  job: VolcanoJob;
  task: Task;
  index: number;
  plugins: Plugins;
  /** As whom the job runs; undefined where that is not known. */
  identity: NonNullable<Workload["status"]>["identity"];
  /** Of its node, where that is not Berth's own. */
  kubelet: KubeletTraits | undefined;
}

/** Name of the claim of a volume that names none. */
export function claimNameOf({ metadata: { name } }: VolcanoJob, at: number): string {
  return `${name}-volume-${at}`;
}

/** What a task's pods have in common; labels are those by which services and rules between pods know them. */
export function templateOf(job: VolcanoJob, task: Task): { labels: Record<string, string>; spec: PodSpec } {
  const { name, namespace = "" } = job.metadata;
  const { priorityClassName, volumes: shared = [] } = job.spec;
  const { nodeName: _, schedulerName: _s, ...spec } = task.template.spec;
  const volumes = shared.map((volume, at) => ({
    name: `job-volume-${at}`,
    persistentVolumeClaim: { claimName: volume.volumeClaimName ?? claimNameOf(job, at) },
  }));
  const mounts = shared.map(({ mountPath }, at) => ({ name: `job-volume-${at}`, mountPath }));
  const mounted = (container: Container): Container =>
    mounts.length === 0 ? container : { ...container, volumeMounts: [...(container.volumeMounts ?? []), ...mounts] };
  return {
    labels: {
      ...task.template.metadata?.labels,
      [volcanoLabels.jobName]: name,
      [volcanoLabels.jobNamespace]: namespace,
      [volcanoLabels.taskSpec]: task.name,
      [volcanoLabels.queueName]: job.spec.queue ?? "default",
    },
    spec: {
      // As Volcano's webhook has it: a pod on its node's network asks the cluster's names all the same.
      ...(spec["hostNetwork"] === true ? { dnsPolicy: "ClusterFirstWithHostNet" } : {}),
      ...(priorityClassName === undefined ? {} : { priorityClassName }),
      ...spec,
      containers: spec.containers.map(mounted),
      ...(volumes.length === 0 ? {} : { volumes: [...(spec.volumes ?? []), ...volumes] }),
    },
  };
}

/** One pod, without what says of which attempt it is. @throws an Error in words where an image is missing */
export function podOfTask({ job, task, index, plugins, identity, kubelet }: PodInput): Pod {
  const { name, namespace = "", uid = "" } = job.metadata;
  const { labels, spec } = templateOf(job, task);
  const own =
    identity === undefined
      ? {}
      : {
          runAsUser: identity.uid,
          runAsGroup: identity.gid,
          supplementalGroups: identity.groups,
          supplementalGroupsPolicy: "Strict" as const,
        };
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: podNameOf(name, task.name, index),
      namespace,
      labels: { ...labels, [volcanoLabels.taskIndex]: String(index) },
      annotations: {
        ...task.template.metadata?.annotations,
        ...labels,
        [volcanoLabels.taskIndex]: String(index),
        [volcanoPodAnnotations.jobVersion]: String(job.status?.version ?? 0),
        [volcanoPodAnnotations.retryCount]: String(job.status?.retryCount ?? 0),
        [volcanoPodAnnotations.template]: `${name}-${task.name}`,
      },
      ownerReferences: [
        {
          apiVersion: "batch.volcano.sh/v1alpha1",
          kind: "Job",
          name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: { ...spec, schedulerName: "berth", securityContext: { ...spec.securityContext, ...own } },
  };
  const complete = withPlugins(pod, job, plugins, task, index);
  if (kubelet !== undefined) return onKubelet(complete, kubelet, undefined);
  const containers = complete.spec.containers.map((container) => ({ image: hostImage, ...container }));
  return { ...complete, spec: { ...complete.spec, containers } };
}
