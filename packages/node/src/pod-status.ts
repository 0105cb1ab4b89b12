import type {
  Container,
  ContainerStatus,
  ContainerTerminated,
  LeaseReport,
  Pod,
  PodStatus,
  SuspensionReport,
} from "@berth/kinds";
import { formatLeaseReport, leaseCondition, suspensionConditionOf } from "@berth/kinds";

/** What is known of one container of a pod. */
export interface ContainerState {
  readonly container: Container;
  restartCount: number;
  running?: { startedAt: number };
  terminated?: ContainerTerminated;
  /** The end before this one, of a container that was started again. */
  lastTerminated?: ContainerTerminated;
  waiting?: { reason: string; message?: string };
}

/** What is known of a pod as a whole. Times in milliseconds since 1970. */
export interface PodFacts {
  pod: Pod;
  startedAt: number;
  init: ContainerState[];
  main: ContainerState[];
  /** Whether a gang's gate is (or never was) open; undefined for pods without one. */
  gateOpen?: boolean;
  /** Of a pod that carries several tasks of an array: what became of them so far. */
  lease?: () => LeaseReport;
  /** Of a pod that stands still, or did. */
  suspension?: () => SuspensionReport | undefined;
  /** Set when the pod ended as a whole and not by its containers. */
  ended?: { reason: string; message: string };
}

export function timestamp(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

export function isFinished(facts: PodFacts): boolean {
  return facts.ended !== undefined || phaseOf(facts) === "Succeeded" || phaseOf(facts) === "Failed";
}

/** Kubernetes' rules for the phase, of a pod whose containers are not started again once `terminated` stays set. */
export function phaseOf(facts: PodFacts): NonNullable<PodStatus["phase"]> {
  if (facts.ended !== undefined) return allStopped(facts) ? "Failed" : "Running";
  const policy = facts.pod.spec.restartPolicy ?? "Always";
  if (facts.init.some((state) => (state.terminated?.exitCode ?? 0) !== 0) && policy === "Never") return "Failed";
  if (
    facts.main.every((state) => state.terminated !== undefined && state.waiting === undefined) &&
    policy !== "Always"
  ) {
    const failed = facts.main.some((state) => state.terminated!.exitCode !== 0);
    if (!failed) return "Succeeded";
    return policy === "Never" ? "Failed" : "Running";
  }
  const begun = facts.main.some(
    (state) => state.running !== undefined || state.terminated !== undefined || state.restartCount > 0,
  );
  return begun || facts.gateOpen === false ? "Running" : "Pending";
}

function allStopped(facts: PodFacts): boolean {
  return [...facts.init, ...facts.main].every((state) => state.running === undefined);
}

/** The status of core/v1 Pod that these facts make. */
export function podStatus(facts: PodFacts): PodStatus {
  const phase = phaseOf(facts);
  const startTime = timestamp(facts.startedAt);
  const ready =
    phase === "Running" && facts.gateOpen !== false && facts.main.every((state) => state.running !== undefined);
  const initialized = facts.init.every((state) => state.terminated?.exitCode === 0);
  const finished = phase === "Succeeded" || phase === "Failed";
  const readyReason = phase === "Succeeded" ? "PodCompleted" : phase === "Failed" ? "PodFailed" : "ContainersNotReady";
  const suspension = facts.suspension?.();
  const condition = (type: string, holds: boolean, reason?: string) => ({
    type,
    status: holds ? "True" : "False",
    ...(holds || reason === undefined ? {} : { reason }),
    lastTransitionTime: startTime,
  });
  return {
    phase,
    ...(facts.ended !== undefined && finished ? facts.ended : {}),
    startTime,
    hostIP: "127.0.0.1",
    hostIPs: [{ ip: "127.0.0.1" }],
    podIP: "127.0.0.1",
    podIPs: [{ ip: "127.0.0.1" }],
    conditions: [
      condition("PodScheduled", true),
      condition("Initialized", initialized, "ContainersNotInitialized"),
      condition("ContainersReady", ready, readyReason),
      condition("Ready", ready, readyReason),
      ...(facts.gateOpen === undefined ? [] : [condition("berth.dev/Started", facts.gateOpen, "GateClosed")]),
      ...(facts.lease === undefined
        ? []
        : [{ ...condition(leaseCondition, finished, "UnderWay"), message: formatLeaseReport(facts.lease()) }]),
      ...(suspension === undefined ? [] : [suspensionConditionOf(suspension)]),
    ],
    containerStatuses: facts.main.map((state) => containerStatus(state, facts)),
    ...(facts.init.length === 0
      ? {}
      : { initContainerStatuses: facts.init.map((state) => containerStatus(state, facts)) }),
  };
}

function containerStatus(state: ContainerState, facts: PodFacts): ContainerStatus & Record<string, unknown> {
  const { container } = state;
  const id = `berth://${facts.pod.metadata.uid}/${container.name}.${state.restartCount}`;
  const known = state.running !== undefined || state.terminated !== undefined;
  const image = container.image ?? "";
  return {
    name: container.name,
    image,
    imageID: known ? image : "",
    restartCount: state.restartCount,
    ready: state.running !== undefined && facts.gateOpen !== false,
    started: state.running !== undefined,
    ...(known ? { containerID: id } : {}),
    state:
      state.running !== undefined
        ? { running: { startedAt: timestamp(state.running.startedAt) } }
        : state.waiting !== undefined
          ? { waiting: state.waiting }
          : state.terminated !== undefined
            ? { terminated: state.terminated }
            : { waiting: { reason: facts.init.length > 0 ? "PodInitializing" : "ContainerCreating" } },
    ...(state.lastTerminated === undefined ? {} : { lastState: { terminated: state.lastTerminated } }),
  };
}
