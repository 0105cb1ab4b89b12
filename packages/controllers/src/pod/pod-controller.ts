/** Pods that ask for a node: each becomes a Workload, and tells why it waits. The start itself is scheduling's. */
import { isReason, resources, WorkQueue } from "@berth/client";
import type { Pod, PodStatus, Workload } from "@berth/kinds";
import { annotations, isFinal, labels, workloads } from "@berth/kinds";
import { type Context, timestamp } from "../context.ts";
import { tellByEvent } from "../events.ts";
import { wrappedPodOf } from "../model/wrapped-pod.ts";
import type { LonePods } from "../hosted/groups.ts";
import type { Stores } from "../stores.ts";
import {
  type Association,
  isUnscheduled,
  waitingReport,
  waitingStatus,
  workloadNameOf,
  workloadOf,
  WrappingError,
} from "./wrapping.ts";

const concurrency = 8;

export interface PodControllerParts {
  context: Context;
  stores: Stores;
  /** As for the controllers. */
  isAlone: boolean;
  /** Whether the pod waits with others, whose concern it is. */
  hasHost(pod: Pod): boolean;
}

/** Starts to follow pods until the context's signal aborts. */
export function startPodController({ context, stores, isAlone, hasHost }: PodControllerParts): LonePods {
  const { client, log, signal } = context;
  /** By uid: those that wait by themselves, although they belong to others, and what these ask for. */
  const lone = new Map<string, Association>();
  /** By pod: reasons that an event was written of, and its Workload where that is deleted. */
  const told = new Map<string, Set<string>>();
  const removed = new Map<string, Workload>();
  const queue = new WorkQueue<string>({
    process: (key) => sync(key),
    concurrency,
    onError: (key, error) => log("warn", `pod ${key}: ${(error as Error).message}`),
    signal,
  });

  async function sync(key: string): Promise<void> {
    const pod = stores.pods.getByKey(key);
    if (pod === undefined || !isUnscheduled(pod, isAlone) || isWithOthers(pod)) return;
    const workload =
      stores.workloads.get(pod.metadata.namespace, workloadNameOf(pod)) ?? removed.get(pod.metadata.uid ?? "");
    if (workload === undefined) await wrap(pod);
    else await tell(pod, waitingReport(workload));
  }

  async function wrap({ metadata: { name, namespace, uid } }: Pod): Promise<void> {
    let pod: Pod;
    try {
      // The store keeps of foreign pods only what they ask for.
      pod = await client.get<Pod>(resources.pods, name, { namespace });
    } catch (error) {
      if (isReason(error, "NotFound")) return;
      throw error;
    }
    if (pod.metadata.uid !== uid || !isUnscheduled(pod, isAlone)) return;
    try {
      await client.create(workloads, workloadOf(pod, lone.get(uid ?? "")));
    } catch (error) {
      if (isReason(error, "AlreadyExists")) return;
      if (!(error instanceof WrappingError) && !isReason(error, "Invalid", "BadRequest")) throw error;
      await tell(pod, { reason: "InvalidPod", message: (error as Error).message, isOver: true });
    }
  }

  async function tell(pod: Pod, report: ReturnType<typeof waitingReport>): Promise<void> {
    if (report === undefined) return;
    const status = waitingStatus(pod, report, timestamp(context.now()));
    if (status !== undefined && !(await writeStatus(pod, status))) return;
    const { uid = "" } = pod.metadata;
    const reasons = told.get(uid) ?? new Set();
    if (reasons.has(report.reason)) return;
    told.set(uid, reasons.add(report.reason));
    await writeEvent(pod, "Warning", "FailedScheduling", report.reason, report.message);
  }

  /** False where the pod has changed since: what it has become is told by its next event. */
  async function writeStatus({ metadata }: Pod, status: PodStatus): Promise<boolean> {
    const { name, namespace, uid, resourceVersion } = metadata;
    try {
      const patch = { metadata: { uid, resourceVersion }, status };
      await client.patchStatus(resources.pods, name, patch, { namespace });
      return true;
    } catch (error) {
      if (isReason(error, "NotFound", "Conflict")) return false;
      throw error;
    }
  }

  const writeEvent = (pod: Pod, type: "Normal" | "Warning", reason: string, key: string, message: string) =>
    tellByEvent(context, { apiVersion: "v1", kind: "Pod", metadata: pod.metadata }, { type, reason, key, message });

  /** Somebody else gave the pod a node: nothing of it waits any more. */
  async function giveUp(pod: Pod): Promise<void> {
    const metadata = { annotations: { [annotations.cancel]: `pod-controller ${timestamp(context.now())}` } };
    await client
      .patch(workloads, workloadNameOf(pod), { metadata }, { namespace: pod.metadata.namespace })
      .catch((error: unknown) => {
        if (!isReason(error, "NotFound")) throw error;
      });
  }

  /** One that has a Workload of its own is alone, whatever it belongs to. */
  const isWithOthers = (pod: Pod): boolean =>
    hasHost(pod) &&
    !lone.has(pod.metadata.uid ?? "") &&
    stores.workloads.get(pod.metadata.namespace, workloadNameOf(pod)) === undefined;
  const keyOf = ({ metadata }: Pod): string => `${metadata.namespace}/${metadata.name}`;
  const look = (pod: Pod): void => {
    if (isUnscheduled(pod, isAlone)) queue.add(keyOf(pod));
  };
  const forget = ({ metadata: { uid = "" } }: Pod): void => {
    told.delete(uid);
    removed.delete(uid);
    lone.delete(uid);
  };
  stores.pods.addHandler({
    add: look,
    update: (pod, before) => {
      look(pod);
      if ((before.spec.nodeName ?? "") !== "" || (pod.spec.nodeName ?? "") === "") return;
      forget(pod);
      const isOurs = pod.metadata.labels?.[labels.workload] !== undefined;
      const message = `Successfully assigned ${keyOf(pod)} to ${pod.spec.nodeName}`;
      const write = isOurs ? writeEvent(pod, "Normal", "Scheduled", "", message) : giveUp(pod);
      write.catch((error: unknown) => {
        if (!signal.aborted) log("warn", `pod ${keyOf(pod)}: ${(error as Error).message}`);
      });
    },
    delete: forget,
  });
  const ofWorkload = (workload: Workload): void => {
    const pod = wrappedPodOf(workload);
    if (pod !== undefined) queue.add(`${workload.metadata.namespace}/${pod.name}`);
  };
  stores.workloads.addHandler({
    update: ofWorkload,
    delete: (workload) => {
      const pod = wrappedPodOf(workload);
      if (pod === undefined || stores.pods.get(workload.metadata.namespace, pod.name)?.metadata.uid !== pod.uid) return;
      const phase = workload.status?.phase;
      const status = isFinal(phase) ? workload.status : { phase: "Cancelled" as const };
      removed.set(pod.uid, { ...workload, status });
      ofWorkload(workload);
    },
  });
  return {
    alone: (pod, association) => {
      lone.set(pod.metadata.uid ?? "", association);
      queue.add(keyOf(pod));
    },
    tell,
  };
}
