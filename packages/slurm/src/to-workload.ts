/** From an sbatch command to the two objects that stand for it: a Secret and a Workload. */
import { posix } from "node:path";
import {
  apiVersion,
  argumentsFile,
  environmentFile,
  hostImage,
  labels,
  type PodSet,
  type PodTemplate,
  submissionContainer,
  submissionKeys,
  type Workload,
  workerCommand,
  type WorkloadSpec,
  wrapperScript,
} from "@berth/kinds";
import { allocate, type NodeShare } from "./allocation.ts";
import { refusals, SlurmError, submissionFailed } from "./errors.ts";
import { exportedEnvironment } from "./exported-environment.ts";
import type { ResolvedSbatch, SbatchOptions } from "./sbatch-options.ts";
import { isObjectName } from "./values.ts";

export interface SubmissionContext {
  user: string;
  /** Where the objects are made; default: the user's own, named as the user. */
  namespace?: string;
  /** Absolute. */
  workingDirectory: string;
  /** Host name of the machine that submits. */
  host: string;
  environment: Record<string, string | undefined>;
  /** Seconds since 1970. */
  nowSeconds: number;
  /** File mode creation mask of the submitter. */
  umask: number;
  script: Uint8Array | string;
  /** As the user gave it; absent for --wrap and standard input. */
  scriptPath?: string;
  /** Of the script. */
  arguments: readonly string[];
  /** Lower case letters and digits that make the objects' name unique; randomness is the caller's. */
  nameSuffix: string;
  frontend?: string;
  /** `-M` may name this one. */
  clusterName?: string;
  /** CPUs of the largest node, where known: more tasks than that are spread over several nodes. */
  largestNodeCpus?: number;
  /** May ask for a negative nice value. */
  operator?: boolean;
}

/** A Secret as the API takes it; data is base64. */
export interface SubmissionSecret {
  apiVersion: "v1";
  kind: "Secret";
  metadata: { name: string; namespace: string; labels: Record<string, string> };
  type: "Opaque";
  immutable: true;
  data: Record<string, string>;
}

export interface SubmissionObjects {
  workload: Workload;
  secret: SubmissionSecret;
  /** What the job gets of the submitter's environment. */
  exportedEnvironment: Record<string, string>;
  /** Lines for standard error, without `sbatch: `. */
  notes: string[];
}

export const featureLabelPrefix = "berth.dev/feature-";
/** Label of nodes with GPUs: their model. */
export const gpuTypeLabel = "berth.dev/gpu-type";

/**
 * The objects of one submission, to be created in the order Secret, Workload.
 * @throws SlurmError in Slurm's words, for what can be known to be wrong without asking the cluster
 */
export function toSubmission(resolved: ResolvedSbatch, context: SubmissionContext): SubmissionObjects {
  const { options } = resolved;
  checkOptions(options, context);
  const allocation = allocate(options, context.largestNodeCpus);
  const jobName = options.jobName || defaultJobName(context, options);
  const name = `${objectName(jobName)}-${context.nameSuffix}`;
  const namespace = context.namespace ?? context.user;
  const exported = exportedEnvironment(context.environment, options.export, context.user);
  const gpuVariables = askedForGpus(options);
  const nodeSelector: Record<string, string> = {};
  for (const feature of options.features ?? []) nodeSelector[featureLabelPrefix + feature] = "true";
  for (const type of allocation.deviceTypes) nodeSelector[gpuTypeLabel] = type;

  const spec: WorkloadSpec = {
    type: "Batch",
    jobName: jobName.slice(0, 1024),
    user: context.user,
    podSets: podSets(allocation.nodes, podTemplate(name, nodeSelector)),
    requeue: { onNodeFailure: options.requeue ?? true, onPreemption: options.requeue ?? true },
    submission: describe(options, context, name, allocation.nodes.length),
  };
  if (options.partitions) spec.queue = options.partitions[0]!;
  if (options.account !== undefined) spec.account = options.account;
  if (options.qos !== undefined) spec.qos = options.qos;
  if (options.reservation !== undefined) spec.reservation = options.reservation;
  if (options.licenses !== undefined) spec.licences = options.licenses;
  if (options.time !== undefined) spec.wallTimeSeconds = options.time;
  if (options.minimumTime !== undefined) spec.minWallTimeSeconds = options.minimumTime;
  if (options.array) spec.array = options.array;
  if (options.begin !== undefined) spec.beginTime = rfc3339(options.begin);
  if (options.deadline !== undefined) spec.deadline = rfc3339(options.deadline);
  if (options.nice !== undefined) spec.nice = options.nice;
  if (options.hold) spec.hold = "User";
  if (options.dependencies) {
    spec.dependencies = {
      any: options.dependencies.any,
      of: options.dependencies.of,
      ...(options.cancelOnInvalidDependency && { cancelOnInvalid: true }),
    };
  }
  const placement: NonNullable<WorkloadSpec["placement"]> = {};
  if (options.exclusive || options.memoryPerNode === 0) placement.exclusive = true;
  if (options.spread) placement.policy = "Spread";
  if (options.nodeNames) placement.nodes = options.nodeNames;
  if (options.excludedNodes) placement.excludedNodes = options.excludedNodes;
  if (allocation.nodes.length > 1) placement.podsPerNode = 1;
  if (Object.keys(placement).length > 0) spec.placement = placement;

  const variables = { ...exported, ...gpuVariables, ...askedFor(options), SLURM_SUBMIT_DIR: context.workingDirectory };
  // Before the wrapper's first line: it opens the job's files, and becomes the script.
  const umask = `umask ${context.umask.toString(8).padStart(4, "0")}\n`;
  const base64 = (content: Uint8Array | string) => Buffer.from(content as string).toString("base64");
  return {
    workload: { apiVersion, kind: "Workload", metadata: { name, namespace }, spec },
    secret: {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, namespace, labels: { [labels.submission]: "true" } },
      type: "Opaque",
      immutable: true,
      data: {
        [submissionKeys.wrapper]: base64(umask + wrapperScript),
        [submissionKeys.script]: base64(context.script),
        [submissionKeys.environment]: base64(environmentFile(variables)),
        [submissionKeys.arguments]: base64(argumentsFile(context.arguments)),
      },
    },
    exportedEnvironment: exported,
    notes: [...resolved.notes, ...allocation.notes],
  };
}

/** The refusal of a partition that is not there, as the name stood on the command line. */
export function invalidPartition(name: string): SlurmError {
  return submissionFailed(refusals.partition, `error: invalid partition specified: ${name || "(null)"}`);
}

function checkOptions(options: SbatchOptions, context: SubmissionContext): void {
  for (const partition of options.partitions ?? []) if (!isObjectName(partition)) throw invalidPartition(partition);
  if (options.account !== undefined && !isObjectName(options.account)) throw submissionFailed(refusals.account);
  const { output, error, input, chdir, comment, mailUser } = options;
  const texts: [string | undefined, number][] = [
    [output, 4096],
    [error, 4096],
    [input, 4096],
    [chdir, 4096],
    [comment, 4096],
    [mailUser, 256],
    ...context.arguments.map((word): [string, number] => [word, 131_072]),
  ];
  if (texts.some(([text, length]) => text !== undefined && text.length > length) || context.arguments.length > 16_384) {
    throw submissionFailed(refusals.tooLong);
  }
  if (options.cluster !== undefined && options.cluster !== context.clusterName) {
    throw new SlurmError(
      1,
      `error: No cluster '${options.cluster}' known by database.`,
      `error: '${options.cluster}' can't be reached now, or it is an invalid entry for --cluster.  Use 'sacctmgr list clusters' to see available clusters.`,
    );
  }
  if (options.qos !== undefined && !isObjectName(options.qos)) throw submissionFailed(refusals.qos);
  if (options.reservation !== undefined && !isObjectName(options.reservation)) {
    throw submissionFailed(refusals.reservation);
  }
  if ((options.nice ?? 0) < 0 && !context.operator) throw submissionFailed(refusals.nice);
  if (options.deadline !== undefined && options.deadline <= context.nowSeconds) throw submissionFailed(refusals.time);
  if (options.minimumTime !== undefined && options.time !== undefined && options.minimumTime > options.time) {
    throw submissionFailed(refusals.minimumTime);
  }
}

function defaultJobName(context: SubmissionContext, options: SbatchOptions): string {
  if (context.scriptPath !== undefined) return posix.basename(context.scriptPath);
  return options.wrap !== undefined ? "wrap" : "sbatch";
}

/** The part of an object's name that tells people which job it is. */
function objectName(jobName: string): string {
  const name = jobName
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 24)
    .replace(/^-+|-+$/g, "");
  return name || "job";
}

function rfc3339(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}

type MakeTemplate = (share: NodeShare, role: PodSet["role"]) => PodTemplate;

function podTemplate(secretName: string, nodeSelector: Record<string, string>): MakeTemplate {
  const { volume, mount, command } = submissionContainer(secretName);
  return (share, role) => {
    const requests: Record<string, string> = { cpu: String(share.cpus) };
    const limits: Record<string, string> = {};
    if (share.memoryBytes !== undefined) {
      requests.memory = limits.memory = `${Math.ceil(share.memoryBytes / 1024 ** 2)}Mi`;
    }
    for (const [resource, count] of Object.entries(share.devices))
      requests[resource] = limits[resource] = String(count);
    return {
      spec: {
        restartPolicy: "Never",
        ...(Object.keys(nodeSelector).length > 0 && { nodeSelector }),
        containers: [
          {
            name: "main",
            image: hostImage,
            command: role === "Driver" ? command : [...workerCommand],
            resources: { requests, ...(Object.keys(limits).length > 0 && { limits }) },
            ...(role === "Driver" && { volumeMounts: [mount] }),
          },
        ],
        ...(role === "Driver" && { volumes: [volume] }),
      },
    };
  };
}

/** The first node is pod set `main`; the others are `worker`, and `worker-rest` where the last of them get less. */
function podSets(nodes: readonly NodeShare[], template: MakeTemplate): PodSet[] {
  const [first, ...others] = nodes;
  const sets: PodSet[] = [{ name: "main", role: "Driver", count: 1, template: template(first!, "Driver") }];
  const groups: { share: NodeShare; count: number }[] = [];
  for (const share of others) {
    const last = groups.at(-1);
    if (last && JSON.stringify(last.share) === JSON.stringify(share)) last.count++;
    else groups.push({ share, count: 1 });
  }
  // Tasks and GPUs that do not divide evenly change the share at most twice.
  const names = ["worker", "worker-rest", "worker-last"];
  groups.forEach(({ share, count }, index) => {
    sets.push({ name: names[index]!, role: "Worker", count, template: template(share, "Worker") });
  });
  return sets;
}

function describe(
  options: SbatchOptions,
  context: SubmissionContext,
  secretName: string,
  nodes: number,
): NonNullable<WorkloadSpec["submission"]> {
  const nothing = (pattern: string) => (/^none$/i.test(pattern) ? "/dev/null" : pattern);
  const submission: NonNullable<WorkloadSpec["submission"]> = {
    frontend: context.frontend ?? "sbatch",
    arguments: [...context.arguments],
    workingDirectory: posix.resolve(context.workingDirectory, options.chdir ?? "."),
    standardOutput: nothing(options.output || (options.array ? "slurm-%A_%a.out" : "slurm-%j.out")),
    openMode: options.openMode ?? "Truncate",
    host: context.host,
    secretName,
  };
  if (context.scriptPath !== undefined) {
    submission.command = posix.resolve(context.workingDirectory, context.scriptPath);
  }
  if (options.error) submission.standardError = nothing(options.error);
  if (options.input) submission.standardInput = nothing(options.input);
  if (options.tasks !== undefined) submission.tasks = options.tasks;
  if (options.tasksPerNode !== undefined) submission.tasksPerNode = options.tasksPerNode;
  if (options.cpusPerTask !== undefined) submission.cpusPerTask = options.cpusPerTask;
  if (options.nodes !== undefined) submission.nodes = nodes;
  if (options.memoryPerNode !== undefined) submission.memoryPerNodeBytes = options.memoryPerNode;
  if (options.memoryPerCpu !== undefined) submission.memoryPerCpuBytes = options.memoryPerCpu;
  if (options.comment !== undefined) submission.comment = options.comment;
  if (options.mailUser !== undefined) submission.mailUser = options.mailUser;
  if (options.mailTypes) submission.mailType = [...new Set(options.mailTypes)];
  return submission;
}

/** What srun goes by, inside the job: there only when it was asked for. */
function askedFor(options: SbatchOptions): Record<string, string> {
  const { distribution, hint, openMode, overcommit, profile } = options;
  const threads = options.threadsPerCore ?? (hint === "nomultithread" ? 1 : undefined);
  return {
    ...(distribution !== undefined && { SLURM_DISTRIBUTION: distribution }),
    ...(hint !== undefined && { SLURM_HINT: hint }),
    ...(openMode !== undefined && { SLURM_OPEN_MODE: openMode === "Append" ? "a" : "t" }),
    ...(overcommit === true && { SLURM_OVERCOMMIT: "1" }),
    ...(profile !== undefined && { SLURM_PROFILE: profile.replace(/(^|,)([a-z])/g, (word) => word.toUpperCase()) }),
    ...(threads !== undefined && { SLURM_THREADS_PER_CORE: String(threads) }),
  };
}

/** SLURM_GPUS and its kin repeat what was asked, in the words in which it was. */
function askedForGpus(options: SbatchOptions): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [variable, resources] of [
    ["SLURM_GPUS", options.gpus],
    ["SLURM_GPUS_PER_NODE", options.gpusPerNode],
    ["SLURM_GPUS_PER_TASK", options.gpusPerTask],
  ] as const) {
    if (resources) result[variable] = resources.map(({ type, count }) => (type ? `${type}:${count}` : count)).join(",");
  }
  return result;
}
