/** May this Workload in, and as what: pure, so that every refusal can be tested by its words. */
import type {
  Account,
  Amounts,
  Membership,
  PodSpec,
  QualityOfService,
  Queue,
  Reservation,
  Site,
  Workload,
} from "@berth/kinds";
import {
  annotations,
  defaultMaxJobsPerUser,
  defaultMaxWallTimeSeconds,
  defaultWallTimeSeconds,
  hostImage,
  maximumArrayTasks,
  parseIndexList,
  partedGpu,
  partialGpu,
  podRequests,
} from "@berth/kinds";
import type { Identity } from "../context.ts";
import { rulesProblem } from "../scheduler/pod-rules.ts";
import { wrappedPodOf } from "../model/wrapped-pod.ts";
import { associationsOf, type NamedObjects } from "./associations.ts";
import { oversize } from "./oversize.ts";
import { listOf, type Refusal, refuse } from "./refusal.ts";

export interface AdmissionInput {
  workload: Workload;
  /** `berth.dev/owner` of the namespace, or whom namespaces without one belong to. */
  owner: string | undefined;
  identity: Identity | undefined;
  /** What was asked who that is; absent: this cluster's machine. */
  userSource?: string;
  /** Names of the user's groups. */
  groupNames: readonly string[];
  queues: NamedObjects<Queue>;
  accounts: NamedObjects<Account>;
  /** Those of the user. */
  memberships: readonly Membership[];
  qualitiesOfService: NamedObjects<QualityOfService>;
  reservations: NamedObjects<Reservation>;
  site: Site | undefined;
  /** Seconds since 1970. */
  now: number;
  /** Unfinished jobs that the user has already. */
  jobsOfUser: number;
  /** Kinds of nodes that a queue may use, up or not, the distinct ones; empty while there is no node at all. */
  nodeKinds: (queue: Queue) => readonly NodeKind[];
  hasNode: (name: string) => boolean;
  /** What claims of its pods ask for that is not supported, in words. */
  unsupportedClaim?: string;
  /** Whether a job of this id exists or existed. */
  hasJob: (jobId: number) => boolean;
  /** The limit that speaks against its submission as it would be admitted, in words; undefined: none does. */
  limit: (admission: Admission) => string | undefined;
  /** Why an account cannot be used as it stands, in words. */
  accountProblem: (account: string) => string | undefined;
}

/** Nodes that are equal to every selector and of the same size. */
export interface NodeKind {
  nodeClass: string;
  capacity: Amounts;
  /** Of the nodes, up or not. */
  names: ReadonlySet<string>;
  /** Nodes of Berth's own, on which image `host` is the machine itself. */
  isEmbedded: boolean;
}

export interface Admission {
  queue: string;
  account: string;
  qos?: string;
  wallTimeSeconds: number;
}

/** The user whose work this is meant to be: `spec.user`, else the owner of the namespace. */
export function userOf(workload: Workload, owner: string | undefined): string | undefined {
  return workload.spec.user ?? owner;
}

function formatDuration(total: number): string {
  const days = Math.floor(total / 86_400);
  const clock = [Math.floor((total % 86_400) / 3600), Math.floor((total % 3600) / 60), total % 60]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
  return days > 0 ? `${days}-${clock}` : clock;
}

function ownership({ workload, owner, identity, userSource }: AdmissionInput): Refusal | undefined {
  const { namespace = "" } = workload.metadata;
  const user = userOf(workload, owner);
  if (owner === undefined) {
    return refuse(
      "NoOwner",
      `namespace ${namespace} belongs to nobody; annotate it with ${annotations.owner}: USER, or use your own namespace`,
    );
  }
  if (user !== owner) {
    return refuse("NotTheOwner", `namespace ${namespace} belongs to ${owner}; jobs of ${user} cannot run there`);
  }
  if (identity === undefined) {
    return refuse("UnknownUser", `${userSource ?? "this cluster's machine"} knows no user named ${user}`);
  }
  return undefined;
}

/** What a job may not ask for: to be another than its owner, or more than a process of its owner can be. In words, with its path. */
function forbiddenRight(spec: PodSpec, identity: Identity | undefined): string | undefined {
  for (const field of ["hostPID", "hostIPC", "hostNetwork"]) {
    if (spec[field] === true) return `${field}: jobs have namespaces of their own`;
  }
  // The second is its former name, which Kubernetes takes for it still.
  for (const field of ["serviceAccountName", "serviceAccount"]) {
    if (spec[field] !== undefined) return `${field}: jobs have no account of the API`;
  }
  const isOther = (wanted: unknown, own: number | undefined): boolean => wanted !== undefined && wanted !== own;
  const otherIdentity = (context: Record<string, unknown> | undefined): string | undefined => {
    if (isOther(context?.["runAsUser"], identity?.uid))
      return `runAsUser: jobs run as their owner, uid ${identity?.uid}`;
    if (isOther(context?.["runAsGroup"], identity?.gid))
      return `runAsGroup: jobs run as their owner, gid ${identity?.gid}`;
    return undefined;
  };
  const { fsGroup } = spec.securityContext ?? {};
  if (fsGroup !== undefined && identity?.uid !== 0) {
    if (identity?.groups.includes(fsGroup as number) !== true)
      return `securityContext.fsGroup: jobs have the groups of their owner, ${identity?.groups.join(", ")}`;
    if (spec.volumes?.some((volume) => volume["persistentVolumeClaim"] !== undefined) === true)
      return "securityContext.fsGroup: a claim outlives the job, and would become that group's as a whole";
  }
  const ofPod = otherIdentity(spec.securityContext);
  if (ofPod !== undefined) return `securityContext.${ofPod}`;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    const context = container.securityContext;
    const path = `containers[${container.name}].securityContext`;
    const other = otherIdentity(context);
    if (other !== undefined) return `${path}.${other}`;
    if (context?.["privileged"] === true) return `${path}.privileged: jobs have no more rights than their owner`;
    const added = (context?.["capabilities"] as { add?: unknown[] } | undefined)?.add;
    if (added !== undefined && added.length > 0)
      return `${path}.capabilities.add: jobs have no more rights than their owner`;
  }
  // A mount leads past the folders above it, whoever may not enter those.
  if (identity?.uid !== 0 && spec.volumes?.some((volume) => volume["hostPath"] !== undefined) === true) {
    return "volumes: hostPath is for queues (podDefaults) and root; image host shows the machine's files where they are";
  }
  return undefined;
}

function unsupported(input: AdmissionInput): Refusal | undefined {
  const { spec } = input.workload;
  if (spec.type === "Service" && wrappedPodOf(input.workload) === undefined) {
    return refuse("UnsupportedField", "spec.type Service is not supported yet; use Batch");
  }
  if (spec.placement?.requiredTopology !== undefined && spec.placement.preferredTopology !== undefined) {
    return refuse("UnsupportedField", "spec.placement: requiredTopology and preferredTopology exclude each other");
  }
  for (const { name, template } of spec.podSets) {
    const right = forbiddenRight(template.spec, input.identity);
    if (right !== undefined) {
      return refuse("UnsupportedField", `spec.podSets[${name}].template.spec.${right}; leave it out`);
    }
    const problem = rulesProblem(template.spec) ?? partsProblem(template.spec);
    if (problem !== undefined) return refuse("UnsupportedField", `spec.podSets[${name}].template.spec.${problem}`);
  }
  return input.unsupportedClaim === undefined ? undefined : refuse("UnsupportedField", input.unsupportedClaim);
}

/** As Slurm, which lets nobody wait for licences that there are not. */
function impossibleLicence({ spec }: Workload, site: Site | undefined): string | undefined {
  const all = site?.spec.licences ?? {};
  for (const [name, needed] of Object.entries(spec.licences ?? {})) {
    const total = all[name];
    if (total === undefined) return `there is no licence ${name}; ${listOf(Object.keys(all))}`;
    if (needed > total) return `needs ${needed} of licence ${name}; the cluster has ${total}`;
  }
  return undefined;
}

/** Parts of a GPU are of one, and not beside whole ones. */
function partsProblem(spec: PodSpec): string | undefined {
  const { [partialGpu]: parts = 0, [partedGpu]: whole = 0 } = podRequests(spec);
  if (parts === 0) return undefined;
  if (parts <= 1000 && whole === 0) return undefined;
  return `containers: ${partialGpu} is a part of one GPU, at most 1000, and not beside ${partedGpu}; ask for whole ones by ${partedGpu}`;
}

/** Image `host`, which a job has that names none, is the machine's own file system: a kubelet has no such image. */
function missingImage({ spec }: Workload, queue: Queue, kinds: readonly NodeKind[]): string | undefined {
  if (queue.spec.podDefaults?.spec?.containers?.[0]?.image !== undefined) return undefined;
  if (kinds.length === 0 || kinds.some(({ isEmbedded }) => isEmbedded)) return undefined;
  for (const { name, template } of spec.podSets) {
    const bare = [...template.spec.containers, ...(template.spec.initContainers ?? [])].find(
      ({ image = hostImage }) => image === hostImage,
    );
    if (bare === undefined) continue;
    return `spec.podSets[${name}]: container ${bare.name} names no image, and the nodes of queue ${queue.metadata.name} have none of their own; name one, or have an operator set spec.podDefaults.spec.containers[0].image of the queue`;
  }
  return undefined;
}

function invalidArray(workload: Workload): Refusal | undefined {
  if (workload.spec.array === undefined) return undefined;
  try {
    if (parseIndexList(workload.spec.array.indices).size > 0) return undefined;
  } catch (error) {
    return refuse(
      "InvalidArray",
      `spec.array.indices: ${(error as Error).message}; at most ${maximumArrayTasks} tasks`,
    );
  }
  return refuse("InvalidArray", "spec.array.indices is empty");
}

/**
 * Slurm's admission (24.11): what can never run is refused at once, what may run later waits. The one exception to its
 * defaults: a wall time over the queue's longest is refused (as with EnforcePartLimits), because nothing the user waits for
 * would ever let it run.
 */
export function admit(input: AdmissionInput): Admission | Refusal {
  const { workload, site } = input;
  const refusal = ownership(input) ?? unsupported(input) ?? invalidArray(workload);
  if (refusal !== undefined) return refusal;
  const identity = input.identity!;
  const associations = associationsOf({ ...input, identity });
  if ("reason" in associations) return associations;
  const { queue, account, qos } = associations;
  const problem = input.accountProblem(account);
  if (problem !== undefined) return refuse("InvalidAccount", `account ${account} ${problem}`);
  const queueName = queue.metadata.name;
  if (workload.spec.type === "Service" && queue.spec.services === false) {
    return refuse(
      "QueueNotAllowed",
      `queue ${queueName} takes no services, which run without an end (services: false)`,
    );
  }
  const longest = queue.spec.maxWallTimeSeconds ?? defaultMaxWallTimeSeconds;
  const wallTimeSeconds =
    workload.spec.wallTimeSeconds ?? Math.min(queue.spec.defaultWallTimeSeconds ?? defaultWallTimeSeconds, longest);
  if (wallTimeSeconds > longest) {
    return refuse(
      "WallTimeTooLong",
      `asks for ${formatDuration(wallTimeSeconds)}; queue ${queueName} allows at most ${formatDuration(longest)}`,
    );
  }
  if ((workload.spec.minWallTimeSeconds ?? 0) > wallTimeSeconds) {
    return refuse(
      "WallTimeTooLong",
      `minWallTimeSeconds ${formatDuration(workload.spec.minWallTimeSeconds!)} is more than the wall time ${formatDuration(wallTimeSeconds)}`,
    );
  }
  const { nodes = [], excludedNodes = [] } = workload.spec.placement ?? {};
  const unknownNode = [...nodes, ...excludedNodes].find((name) => !input.hasNode(name));
  if (unknownNode !== undefined) return refuse("UnknownNode", `there is no node ${unknownNode}`);
  const licence = impossibleLicence(workload, site);
  if (licence !== undefined) return refuse("UnknownLicence", licence);
  const unknownJob = workload.spec.dependencies?.of.find(({ job }) => job !== undefined && !input.hasJob(job));
  if (unknownJob !== undefined) {
    return refuse("UnknownDependency", `depends on job ${unknownJob.job}, which there never was`);
  }
  const limit = site?.spec.maxJobsPerUser ?? defaultMaxJobsPerUser;
  if (input.jobsOfUser >= limit) {
    return refuse(
      "TooManyJobs",
      `${identity.name} has ${input.jobsOfUser} jobs already; the site allows ${limit}. An array counts as one`,
    );
  }
  const kinds = input.nodeKinds(queue);
  const image = missingImage(workload, queue, kinds);
  if (image !== undefined) return refuse("NoImage", image);
  const owned = workload.spec.podSets.find(({ template }) => template.spec.securityContext?.["fsGroup"] !== undefined);
  if (owned !== undefined && (queue.spec.sharedTrees ?? []).length > 0) {
    return refuse(
      "UnsupportedField",
      `spec.podSets[${owned.name}].template.spec.securityContext.fsGroup: the trees of queue ${queueName} outlive the job, and would become that group's; leave it out`,
    );
  }
  const size = oversize(workload, queue, kinds);
  if (size !== undefined) return refuse("NodeConfigurationUnavailable", size);
  const admission: Admission = { queue: queueName, account, ...(qos === undefined ? {} : { qos }), wallTimeSeconds };
  const reached = input.limit(admission);
  return reached === undefined ? admission : refuse("LimitExceeded", reached);
}
