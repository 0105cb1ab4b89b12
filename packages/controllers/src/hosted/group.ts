/** Groups of pods as others define them: what each asks for, and what its status tells. Pure. */
import type { Pod } from "@berth/kinds";
import { annotations, labels } from "@berth/kinds";
import type { Condition, KubernetesObject, ResourceKey } from "@berth/machinery";
import { isTerminal } from "../model/ends.ts";
import { kindsOfHosts } from "../model/hosts-of-pods.ts";

export type GroupObject = KubernetesObject<Record<string, unknown>, GroupStatus>;

export interface GroupStatus {
  phase?: string;
  running?: number;
  succeeded?: number;
  failed?: number;
  scheduleStartTime?: string | null;
  conditions?: (Condition & { transitionID?: string })[];
}

/** What a group asks for. */
export interface GroupDemand {
  /** Its first pods begin together: so many. */
  minimum: number;
  /** Of these, so many of each task of Volcano's. */
  minimumOfTasks: Readonly<Record<string, number>>;
  queue?: string;
  account?: string;
  wallTime: string | undefined;
  /** What it asks for that is not done; in words. */
  problem?: string;
}

/** One way to name groups. */
export interface GroupForm {
  resource: ResourceKey;
  /** @param rest what stands behind the name in a pod's reference */
  demandOf(group: GroupObject, rest: readonly string[]): GroupDemand;
  statusOf?(group: GroupObject, seen: GroupSeen): GroupStatus;
}

/** What there is of a group. */
export interface GroupSeen {
  pods: readonly Pod[];
  demand: GroupDemand;
  /** Its gang was given places, and is not over. */
  isStarting: boolean;
  /** Why its pods wait. */
  waits: { reason: string; message: string } | undefined;
  /** Of the Workload that stands for it. */
  workloadUid: string | undefined;
  now: string;
}

function key(group: string, version: string, resource: string, kind: string): ResourceKey {
  return { group, version, resource, kind, namespaced: true };
}

const stated = ({ metadata }: GroupObject): Pick<GroupDemand, "queue" | "account" | "wallTime"> => ({
  queue: metadata.labels?.[labels.queue],
  account: metadata.labels?.[labels.account],
  wallTime: metadata.annotations?.[annotations.wallTimeSeconds],
});

const coscheduling: GroupForm = {
  resource: key("scheduling.x-k8s.io", "v1alpha1", "podgroups", "PodGroup"),
  demandOf: (group) => ({
    ...stated(group),
    minimum: Math.max(1, Number(group.spec?.["minMember"] ?? 1)),
    minimumOfTasks: {},
  }),
  statusOf: (group, { pods, demand: { minimum }, isStarting, now }) => {
    const counts = countsOf(pods);
    const { running, succeeded, failed, placed } = counts;
    const phase =
      succeeded >= minimum
        ? "Finished"
        : failed > 0 && failed + running + succeeded >= minimum
          ? "Failed"
          : running + succeeded >= minimum
            ? "Running"
            : placed >= minimum || isStarting
              ? "Scheduling"
              : placed > 0
                ? "Unknown"
                : "Pending";
    const began = group.status?.scheduleStartTime ?? (phase === "Pending" ? undefined : now);
    return { phase, running, succeeded, failed, ...(began === undefined ? {} : { scheduleStartTime: began }) };
  },
};

/** Volcano's own default queue: whoever names it has named none. */
const volcanoDefaultQueue = "default";
const notDone = ["networkTopology", "subGroupPolicy"];

const volcano: GroupForm = {
  resource: key("scheduling.volcano.sh", "v1beta1", "podgroups", "PodGroup"),
  demandOf: (group) => {
    const { spec = {} } = group;
    const own = stated(group);
    const queue = spec["queue"] as string | undefined;
    const field = notDone.find((name) => spec[name] !== undefined);
    return {
      ...own,
      queue: own.queue ?? (queue === volcanoDefaultQueue ? undefined : queue),
      minimum: Math.max(1, Number(spec["minMember"] ?? 1)),
      minimumOfTasks: (spec["minTaskMember"] ?? {}) as Record<string, number>,
      ...(field === undefined ? {} : { problem: `spec.${field} is not supported; leave it out` }),
    };
  },
  statusOf: (group, { pods, demand: { minimum }, isStarting, waits, workloadUid = "", now }) => {
    const { running, succeeded, failed, placed } = countsOf(pods);
    const phase =
      pods.length >= minimum && succeeded + failed === pods.length
        ? "Completed"
        : running + succeeded >= minimum
          ? "Running"
          : placed > 0 && !isStarting
            ? "Unknown"
            : "Inqueue";
    const known = group.status?.conditions ?? [];
    const wanted =
      waits === undefined
        ? placed > 0
          ? { type: "Scheduled", reason: "tasks in gang are ready to be scheduled", message: "" }
          : undefined
        : { type: "Unschedulable", ...waits };
    const last = known.find(({ type }) => type === wanted?.type);
    const isSame = wanted === undefined || (last?.reason === wanted.reason && last.message === wanted.message);
    const condition = { ...wanted!, status: "True", transitionID: workloadUid, lastTransitionTime: now };
    const conditions = isSame ? known : [...known.filter(({ type }) => type !== wanted.type), condition];
    return { phase, running, succeeded, failed, ...(conditions.length === 0 ? {} : { conditions }) } as GroupStatus;
  },
};

/** Of Kubernetes 1.35: groups stand in a Workload of its own, and have no status. */
const kubernetes: GroupForm = {
  resource: key("scheduling.k8s.io", "v1alpha1", "workloads", "Workload"),
  demandOf: (group, [podGroup = ""]) => {
    interface PodGroup {
      name: string;
      policy?: { gang?: { minCount: number } };
    }
    const groups = (group.spec?.["podGroups"] ?? []) as PodGroup[];
    const found = groups.find(({ name }) => name === podGroup);
    return {
      ...stated(group),
      minimum: Math.max(1, found?.policy?.gang?.minCount ?? 1),
      minimumOfTasks: {},
      ...(found === undefined ? { problem: `it has no group ${podGroup} in spec.podGroups` } : {}),
    };
  },
};

export const groupForms: Readonly<Record<string, GroupForm>> = {
  [kindsOfHosts.coscheduling]: coscheduling,
  [kindsOfHosts.volcano]: volcano,
  [kindsOfHosts.kubernetes]: kubernetes,
};

/** A group by what its pods call it; undefined of a Job. */
export function groupReference(host: string): { form: GroupForm; name: string; rest: string[] } | undefined {
  const [kind = "", name = "", ...rest] = host.split("/");
  const form = groupForms[kind];
  return form === undefined ? undefined : { form, name, rest };
}

function countsOf(pods: readonly Pod[]): Record<"running" | "succeeded" | "failed" | "placed", number> {
  const counts = { running: 0, succeeded: 0, failed: 0, placed: 0 };
  for (const pod of pods) {
    const { phase } = pod.status ?? {};
    if (phase === "Running") counts.running++;
    else if (phase === "Succeeded") counts.succeeded++;
    else if (phase === "Failed") counts.failed++;
    if ((pod.spec.nodeName ?? "") !== "" && !isTerminal(pod)) counts.placed++;
  }
  return counts;
}

/** What of a status is to be written; undefined: nothing changes. */
export function statusChange(group: GroupObject, wanted: GroupStatus): GroupStatus | undefined {
  const known = group.status ?? {};
  const isSame = Object.entries(wanted).every(
    ([field, value]) =>
      JSON.stringify(known[field as keyof GroupStatus] ?? (typeof value === "number" ? 0 : undefined)) ===
      JSON.stringify(value),
  );
  return isSame ? undefined : wanted;
}
