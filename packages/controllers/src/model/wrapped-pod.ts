/** Pods that a user made and a Workload stands for: they own the Workload, where Berth's own pods are owned by theirs. Pure. */
import type { Pod, Workload } from "@berth/kinds";
import { annotations, group } from "@berth/kinds";
import type { OwnerReference } from "@berth/machinery";
import { hostsOf } from "./hosts-of-pods.ts";
import type { WorkloadRecord } from "./record.ts";

/** The pod that the Workload was made for; undefined where the Workload makes pods of its own. */
export function wrappedPodOf(workload: Workload): { name: string; uid: string } | undefined {
  return workload.metadata.ownerReferences?.find(
    ({ apiVersion, kind, controller }) => apiVersion === "v1" && kind === "Pod" && controller === true,
  );
}

/** Whose pods the Workload stands for where they come and go: a Job's, or those of a group; undefined of all others. */
export function hostOf(workload: Workload): string | undefined {
  return workload.metadata.annotations?.[annotations.podsOf];
}

/** Whether a pod of an attempt was made by a user, and not by Berth. */
export function isWrapped(pod: Pod): boolean {
  const isOwner = ({ apiVersion, kind, controller }: OwnerReference): boolean =>
    apiVersion.startsWith(`${group}/`) && kind === "Workload" && controller === true;
  return pod.metadata.ownerReferences?.some(isOwner) !== true;
}

/** Whether the pod is one of this Workload's, whatever its labels say. */
export function isPodOf(record: Pick<WorkloadRecord, "uid" | "workload">, pod: Pod): boolean {
  if (pod.metadata.ownerReferences?.some(({ uid }) => uid === record.uid) === true) return true;
  const wrapped = wrappedPodOf(record.workload);
  if (wrapped !== undefined) return wrapped.uid === pod.metadata.uid;
  const host = hostOf(record.workload);
  return host !== undefined && hostsOf(pod).includes(host);
}
