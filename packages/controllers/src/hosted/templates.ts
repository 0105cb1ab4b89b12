/** The Workload of pods that somebody else makes: its pod sets are what scheduling looks at of theirs. Pure. */
import { createHash } from "node:crypto";
import type { Container, Pod, PodSet, PodSpec, PodTemplate, Workload } from "@berth/kinds";
import { annotations, apiVersion } from "@berth/kinds";
import { WrappingError } from "../pod/wrapping.ts";

/** Most pod sets of a Workload. */
const mostPodSets = 8;

const placed = [
  "nodeSelector",
  "affinity",
  "tolerations",
  "topologySpreadConstraints",
  "overhead",
  "resources",
  "resourceClaims",
];
const rights = ["securityContext", "hostNetwork", "hostPID", "hostIPC"];
const ofContainers = ["resources", "ports", "securityContext", "restartPolicy"];
/** Volumes that are tied to nodes, or lead out of the namespace. */
const boundVolumes = ["persistentVolumeClaim", "ephemeral", "hostPath"];

function picked(from: Record<string, unknown>, fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(fields.filter((field) => from[field] !== undefined).map((field) => [field, from[field]]));
}

/** What of a pod decides where it may be, and whether it may be at all. */
function placedSpec(spec: PodSpec): PodSpec {
  const slim = ({ name, image, ...container }: Container): Container => ({
    name,
    ...(image === undefined ? {} : { image }),
    ...picked(container, ofContainers),
  });
  const volumes = spec.volumes?.filter((volume) => boundVolumes.some((type) => volume[type] !== undefined)) ?? [];
  return {
    ...picked(spec, [...placed, ...rights]),
    containers: spec.containers.map(slim),
    ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(slim) }),
    ...(volumes.length === 0 ? {} : { volumes }),
    ...(spec["serviceAccountName"] === undefined || spec["serviceAccountName"] === "default"
      ? {}
      : { serviceAccountName: spec["serviceAccountName"] }),
  };
}

/** Labels that differ from pod to pod of one maker, or are somebody's bookkeeping. */
const ownLabels =
  /^(batch\.kubernetes\.io\/|controller-uid$|job-name$|statefulset\.kubernetes\.io\/|apps\.kubernetes\.io\/pod-index$|pod-template-hash$|controller-revision-hash$|volcano\.sh\/task-index$)/;

function placedLabels(has: Record<string, string> | undefined): PodTemplate["metadata"] {
  const kept = Object.entries(has ?? {}).filter(([name]) => !ownLabels.test(name));
  return kept.length === 0 ? undefined : { labels: Object.fromEntries(kept) };
}

export function placedTemplate({ metadata, spec }: { metadata?: PodTemplate["metadata"]; spec: PodSpec }): PodTemplate {
  const own = placedLabels(metadata?.labels);
  return { ...(own === undefined ? {} : { metadata: own }), spec: placedSpec(spec) };
}

/** Pods that are equal to scheduling have one pod set, which is named by what they are: whoever sees a pod knows its set. */
export function podSetName(template: PodTemplate): string {
  const text = JSON.stringify(template, (_, value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  return `set-${createHash("sha256").update(text).digest("hex").slice(0, 10)}`;
}

export interface HostedInput {
  host: string;
  namespace: string;
  /** How many Workloads there were before for the same. */
  round: number;
  /** Tells what is of one name at different times. */
  uid: string;
  jobName: string;
  owner?: NonNullable<Workload["metadata"]["ownerReferences"]>[number];
  /** Named by what they are where they say no name. */
  podSets: readonly { name?: string; template: PodTemplate; count: number }[];
  queue: string | undefined;
  account: string | undefined;
  wallTimeSeconds: number | undefined;
  graceSeconds: number | undefined;
  /** Whether its pods are made again when it made room. */
  comesAgain: boolean;
}

/** @throws WrappingError */
export function hostedWorkload(input: HostedInput): Workload {
  const { host, namespace, round, uid, jobName, owner, podSets, queue, account, wallTimeSeconds, graceSeconds } = input;
  if (podSets.length > mostPodSets) {
    throw new WrappingError(
      `its pods are of ${podSets.length} kinds; a Workload has ${mostPodSets} at most: give equal pods equal requests, selectors and labels`,
    );
  }
  const hash = createHash("sha256").update(`${uid} ${host} ${round}`).digest("hex").slice(0, 8);
  return {
    apiVersion,
    kind: "Workload",
    metadata: {
      name: `${jobName.slice(0, 54).replaceAll(".", "-")}-${hash}`,
      namespace,
      annotations: { [annotations.podsOf]: host },
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    spec: {
      type: "Batch",
      jobName,
      queue,
      account,
      wallTimeSeconds,
      graceSeconds,
      podSets: podSets.map(({ name, template, count }): PodSet => ({
        name: name ?? podSetName(template),
        role: "Driver",
        count,
        template,
      })),
      requeue: input.comesAgain
        ? { onNodeFailure: true, onPreemption: true }
        : { onNodeFailure: false, onPreemption: false, limit: 0 },
    },
  };
}

/** A wall time as text; @throws WrappingError */
export function wallTimeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new WrappingError(`annotation ${annotations.wallTimeSeconds}: ${text} is not a whole number of seconds`);
}

/** Pods of which this is the same are equal without a look at them: those that one controller made of one template. */
export function makerOf({ metadata }: Pod): string {
  const { ownerReferences = [], labels = {}, uid = "", annotations: has = {} } = metadata;
  const owner = ownerReferences.find(({ controller }) => controller === true);
  if (owner === undefined) return uid;
  const revision = labels["controller-revision-hash"] ?? labels["pod-template-hash"] ?? "";
  return `${owner.uid} ${revision} ${has["volcano.sh/task-spec"] ?? ""}`;
}
