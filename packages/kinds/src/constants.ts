/** The group of Berth's kinds; the only place where its name stands. */
export const group = "berth.dev";
export const version = "v1alpha1";
export const apiVersion = `${group}/${version}`;
/**
 * The group of the kinds that are answered and never stored. It is one of its own, because a kube-apiserver hands on a version of a
 * group as a whole: {@link group} it serves itself.
 */
export const questionsGroup = `questions.${group}`;
export const questionsApiVersion = `${questionsGroup}/${version}`;
/** The APIService by which a real cluster hands that group on, and the Service of the system namespace that it names. */
export const questionsApiService = `${version}.${questionsGroup}`;
export const questionsServiceName = "berth-questions";
/** The records of ended jobs, and below it `/estimates`; see the route of `accounting`. */
export const accountingPath = `/apis/${questionsApiVersion}/accounting`;

/** Labels on the pods (and the Secret) of a Workload, and on the Workload itself. */
export const labels = {
  /** Name of the Workload that a pod belongs to. */
  workload: `${group}/workload`,
  /** Decimal job id; of an array task its own id (first id + index). */
  jobId: `${group}/job-id`,
  /** Decimal index of an array task; absent outside arrays. */
  task: `${group}/task`,
  podSet: `${group}/pod-set`,
  /** Index of a pod within its pod set, from 0. */
  podIndex: `${group}/pod-index`,
  /** Decimal number of the attempt, from 1. */
  attempt: `${group}/attempt`,
  queue: `${group}/queue`,
  account: `${group}/account`,
  /** `true` on the Secret of a submission. */
  submission: `${group}/submission`,
} as const;

/** Annotations that the node reads from a pod, or that Berth writes on its objects. See docs/runtime.md. */
export const annotations = {
  /** Wall time in whole seconds, counted from the opening of the gate; the node ends the pod by itself then. */
  wallTimeSeconds: `${group}/wall-time-seconds`,
  /** `closed` while a gang is not complete, then `open`; absent: the pod starts at once. */
  gate: `${group}/gate`,
  /** RFC 3339 time at which the gate was opened: when the wall time began. */
  gateOpenedAt: `${group}/gate-opened-at`,
  /** On the pods of a gang: how many they are, for whoever finds them without having made them. */
  gangSize: `${group}/gang-size`,
  /** On a namespace: whose it is. */
  owner: `${group}/owner`,
  /** On a namespace with an owner: as whom its pods run, decimal; the groups besides the first one stand with commas. */
  uid: `${group}/uid`,
  gid: `${group}/gid`,
  groups: `${group}/groups`,
  /** On such a namespace: `Merge` where its nodes cannot keep the groups of an image out (supplementalGroupsPolicy). */
  groupsPolicy: `${group}/supplemental-groups-policy`,
  /** On a Workload: `WHO TIME` asks for its end (scancel). TIME is RFC 3339. */
  cancel: `${group}/cancel`,
  /** On the Workload of an array: an index list of elements to end; only grows. */
  cancelTasks: `${group}/cancel-tasks`,
  /** On a Workload: each new value asks that the running attempt be ended and begun again (scontrol requeue). */
  requeue: `${group}/requeue`,
  /**
   * On a Workload: `WHO TIME [INDICES]` has what runs of it stand still (scontrol suspend), of an array these tasks or all; taken away: it
   * goes on. Operators only. On a pod, for the node: `WHO`, and empty once it is to go on.
   */
  suspend: `${group}/suspend`,
  /**
   * On a Workload: `TIME [INDICES]`, when it last saved its state (RFC 3339); of an array which tasks did, absent: all that run. One task
   * tells by an annotation of its own, with `.INDEX` behind the name.
   */
  checkpointedAt: `${group}/checkpointed-at`,
  /** What tasks of an array told so, summed up by the controllers: `TIME INDICES; TIME INDICES …`. */
  checkpointedTasks: `${group}/checkpointed-tasks`,
  /** On a pod that carries several tasks of an array in turn: which, as an index list. */
  tasks: `${group}/tasks`,
  /** Such a pod begins no further task when so many seconds have passed since its first. */
  leaseSeconds: `${group}/lease-seconds`,
  /** JSON of `TaskVariables`: what differs from task to task in the environment of such a pod. */
  taskVariables: `${group}/task-variables`,
  /** On a Node that runs such pods: `Submissions` (of sbatch and berth run) or `Any`. */
  leases: `${group}/leases`,
  /** On a Node: JSON, `[{"id": 0, "cores": "0-7", "memory": "64Gi", "devices": {"nvidia.com/gpu": [0, 1]}}, …]`. */
  numaDomains: `${group}/numa-domains`,
  /** On a pod: JSON of the devices (resource, ids, thousandths of each), NUMA domain and cores that it was given. */
  grant: `${group}/grant`,
  /**
   * On pods that are ended before they have ended by themselves, what that end is: `Cancelled WHO`, `TimedOut`, or `Preempted JOB MODE
   * SECONDS`, the job that needs their place, what becomes of theirs, and the grace.
   */
  stopped: `${group}/stopped`,
  /** On a Workload whose pods somebody else makes: whose they are, `KIND.GROUP/NAME` of a Job or a group of pods. */
  podsOf: `${group}/pods-of`,
  /** On a Job that is held and released as one: the decimal number of the attempt that it is released for. */
  released: `${group}/released`,
  /** On simulated nodes: how long the pod runs, in seconds (decimal), and how it ends. */
  simulatedRunSeconds: `${group}/simulated-run-seconds`,
  simulatedExitCode: `${group}/simulated-exit-code`,
  /** Share of pods (0 to 1) that fail with exit code 1, chosen by a hash of the pod's name. */
  simulatedFailureRatio: `${group}/simulated-failure-ratio`,
  /**
   * Only read by `berth simulate --site`. Numbers of a trace's users and groups whose jobs are an Account's, and of its queues whose
   * jobs are a Queue's, as index lists; and how many nodes like this one there are.
   */
  traceUsers: `${group}/trace-users`,
  traceGroups: `${group}/trace-groups`,
  traceQueues: `${group}/trace-queues`,
  simulatedReplicas: `${group}/simulated-replicas`,
} as const;

/** Condition of a pod that carries several tasks: what became of them, see `LeaseReport`. */
export const leaseCondition = `${group}/Tasks`;
/** Condition of a pod that was suspended since it began: whether it is, and for how long it was, see `SuspensionReport`. */
export const suspensionCondition = `${group}/Suspended`;
/** Reason of a pod that found its only task taken by another pod: it did nothing, and tells nothing of the task. */
export const takenReason = "TaskTaken";
/** Most tasks that one pod carries in turn. */
export const maximumLeaseTasks = 256;

/** On Workloads and on pods that are stopped: holds them until their end is accounted. */
export const accountingFinalizer = `${group}/accounting`;
/** Namespace of Berth's own objects (leases, the job id counter). */
export const systemNamespace = "berth-system";
/** ConfigMap of that namespace: what keeps the records of ended jobs from being written (`trouble`, empty: nothing), `since` when. */
export const accountingStateName = "accounting";
/** The image that means: the machine's own file system, as on an HPC node. */
export const hostImage = "host";
export const defaultQueueName = "standard";
export const defaultAccountName = "default";
export const siteName = "site";
/** TERM, then this many seconds, then KILL, where nothing else is said (Slurm's KillWait). */
export const defaultGraceSeconds = 30;
/** How long the pods of a gang may take from creation until all are up. */
export const startAllowanceSeconds = 60;
/** Largest array: tasks of one Workload. */
export const maximumArrayTasks = 1_000_000;
