import type { KubernetesObject } from "@berth/machinery";
import { humanDuration } from "@berth/machinery";

type Json = Record<string, unknown>;

const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);

interface ContainerStatus {
  ready?: boolean;
  restartCount?: number;
  state?: {
    waiting?: Json;
    running?: Json;
    terminated?: { reason?: string; exitCode?: number; signal?: number; finishedAt?: string };
  };
  lastState?: { terminated?: { finishedAt?: string } };
  started?: boolean;
}

/** Ready, Status, Restarts as kubectl shows a pod. */
export function podSummary(object: KubernetesObject, now: number): { ready: string; reason: string; restarts: string } {
  const status = (object.status ?? {}) as Json;
  const spec = object.spec ?? {};
  let reason = String(status["reason"] ?? status["phase"] ?? "");
  const conditions = list(status["conditions"]);
  if (conditions.some((one) => one["type"] === "PodScheduled" && one["reason"] === "SchedulingGated"))
    reason = "SchedulingGated";
  let restarts = 0;
  let ready = 0;
  let lastRestart = 0;
  const finished = (container: ContainerStatus): void => {
    const time = Date.parse(container.lastState?.terminated?.finishedAt ?? "");
    if (time > lastRestart) lastRestart = time;
  };
  const terminated = (state: { reason?: string; exitCode?: number; signal?: number }): string =>
    state.reason || (state.signal ? `Signal:${state.signal}` : `ExitCode:${state.exitCode ?? 0}`);
  let initializing = false;
  const initial = list(status["initContainerStatuses"]) as unknown as ContainerStatus[];
  for (const [index, container] of initial.entries()) {
    restarts += container.restartCount ?? 0;
    finished(container);
    const ended = container.state?.terminated;
    if (ended !== undefined && (ended.exitCode ?? 0) === 0) continue;
    if (ended !== undefined) reason = `Init:${terminated(ended)}`;
    else if (container.state?.waiting?.["reason"] && container.state.waiting["reason"] !== "PodInitializing") {
      reason = `Init:${String(container.state.waiting["reason"])}`;
    } else reason = `Init:${index}/${list(spec["initContainers"]).length}`;
    initializing = true;
    break;
  }
  if (!initializing) {
    restarts = 0;
    let running = false;
    for (const container of (list(status["containerStatuses"]) as unknown as ContainerStatus[]).toReversed()) {
      restarts += container.restartCount ?? 0;
      finished(container);
      const { waiting, terminated: ended, running: runs } = container.state ?? {};
      if (waiting?.["reason"]) reason = String(waiting["reason"]);
      else if (ended !== undefined) reason = terminated(ended);
      else if (container.ready === true && runs !== undefined) {
        running = true;
        ready++;
      }
    }
    if (reason === "Completed" && running) {
      reason = conditions.some((one) => one["type"] === "Ready" && one["status"] === "True") ? "Running" : "NotReady";
    }
  }
  const { deletionTimestamp } = object.metadata;
  const final = status["phase"] === "Succeeded" || status["phase"] === "Failed";
  if (deletionTimestamp !== undefined && status["reason"] === "NodeLost") reason = "Unknown";
  else if (deletionTimestamp !== undefined && !final) reason = "Terminating";
  return {
    ready: `${ready}/${list(spec["containers"]).length}`,
    reason,
    restarts:
      restarts > 0 && lastRestart > 0
        ? `${restarts} (${humanDuration((now - lastRestart) / 1000)} ago)`
        : String(restarts),
  };
}
