/** The part of core/v1 Pod that Berth writes and reads. Quantities are Kubernetes strings. */
import type { KubernetesObject } from "@berth/machinery";
import type { StepReport } from "./step-program.ts";

export interface ResourceList {
  [resource: string]: string | number;
}

export interface EnvironmentVariable {
  name: string;
  value?: string;
  valueFrom?: Record<string, unknown>;
}

export interface VolumeMount {
  name: string;
  mountPath: string;
  subPath?: string;
  readOnly?: boolean;
}

export interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  workingDir?: string;
  env?: EnvironmentVariable[];
  resources?: { requests?: ResourceList; limits?: ResourceList };
  volumeMounts?: VolumeMount[];
  securityContext?: Record<string, unknown>;
  [field: string]: unknown;
}

export interface Toleration {
  key?: string;
  operator?: "Exists" | "Equal";
  value?: string;
  effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
  tolerationSeconds?: number;
}

export interface PodSpec {
  nodeName?: string;
  schedulerName?: string;
  restartPolicy?: "Never" | "OnFailure" | "Always";
  activeDeadlineSeconds?: number;
  terminationGracePeriodSeconds?: number;
  nodeSelector?: Record<string, string>;
  tolerations?: Toleration[];
  affinity?: Record<string, unknown>;
  securityContext?: {
    runAsUser?: number;
    runAsGroup?: number;
    supplementalGroups?: number[];
    supplementalGroupsPolicy?: "Strict" | "Merge";
    [field: string]: unknown;
  };
  hostname?: string;
  /** What its RuntimeClass takes beside its containers. */
  overhead?: ResourceList;
  /** Of the pod as a whole. */
  resources?: Container["resources"];
  automountServiceAccountToken?: boolean;
  enableServiceLinks?: boolean;
  containers: Container[];
  initContainers?: Container[];
  volumes?: ({ name: string } & Record<string, unknown>)[];
  [field: string]: unknown;
}

export interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: PodSpec;
}

export interface ContainerTerminated {
  exitCode: number;
  /** Number of the signal that ended the process, absent when it exited. */
  signal?: number;
  /** `Completed`, `Error`, `OOMKilled`, `DeadlineExceeded`, … */
  reason?: string;
  /** JSON of a {@link TerminationReport} where the node or the wrapper could make one. */
  message?: string;
  startedAt?: string;
  finishedAt?: string;
}

/** What a finished container tells about itself, as JSON in `terminated.message`. */
export interface TerminationReport {
  /** CPU time of the whole process tree, milliseconds. */
  cpuMilliseconds?: number;
  /** From the beginning of the command to its end. */
  runMilliseconds?: number;
  /** Largest resident memory of the whole tree, bytes. */
  peakMemoryBytes?: number;
  /** What srun started in it, in the order of their starts. */
  steps?: StepReport[];
  /** Words of Slurm's kind for what went wrong before the script began (`chdir`, `output`, `exec`). */
  failure?: string;
  message?: string;
}

export interface ContainerStatus {
  name: string;
  image: string;
  imageID: string;
  ready: boolean;
  restartCount: number;
  started?: boolean;
  state?: {
    waiting?: { reason?: string; message?: string };
    running?: { startedAt: string };
    terminated?: ContainerTerminated;
  };
}

export interface PodStatus {
  phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
  /** On failures of the pod as a whole: `DeadlineExceeded` (wall time), `NodeLost`, `Evicted`, `OutOfcpu`, … */
  reason?: string;
  message?: string;
  startTime?: string;
  containerStatuses?: ContainerStatus[];
  conditions?: { type: string; status: string; reason?: string; message?: string; lastTransitionTime?: string }[];
  [field: string]: unknown;
}

export type Pod = KubernetesObject<PodSpec, PodStatus> & { spec: PodSpec };
