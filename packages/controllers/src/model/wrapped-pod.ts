/** Pods that a user made and a Workload stands for: they own the Workload, where Berth's own pods are owned by theirs. Pure. */
import type { Pod, Workload } from "@berth/kinds";
import type { WorkloadRecord } from "./record.ts";

/** The pod that the Workload was made for; undefined where the Workload makes pods of its own. */
export function wrappedPodOf(workload: Workload): { name: string; uid: string } | undefined {
  return workload.metadata.ownerReferences?.find(
    ({ apiVersion, kind, controller }) => apiVersion === "v1" && kind === "Pod" && controller === true,
  );
}

/** Whether a pod of an attempt was made by a user, and not by Berth. */
export function isWrapped(pod: Pod): boolean {
  return pod.metadata.ownerReferences?.some(({ kind, controller }) => kind === "Workload" && controller) !== true;
}

/** Whether the pod is one of this Workload's, whatever its labels say. */
export function isPodOf(record: Pick<WorkloadRecord, "uid" | "workload">, pod: Pod): boolean {
  if (pod.metadata.ownerReferences?.some(({ uid }) => uid === record.uid) === true) return true;
  const wrapped = wrappedPodOf(record.workload);
  return wrapped !== undefined && wrapped.uid === pod.metadata.uid;
}
