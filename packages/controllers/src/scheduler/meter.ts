/** What scheduling counts of itself. */
import type { Metrics } from "../metrics.ts";

export interface Meter {
  decided(seconds: number): void;
  started(pods: number): void;
  ended(phase: string): void;
}

const decisionSeconds = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10];

export function meterOf(metrics: Metrics | undefined): Meter {
  if (metrics === undefined) return { decided() {}, started() {}, ended() {} };
  const decided = metrics.histogram("berth_decision_seconds", "Time of one scheduling decision.", decisionSeconds);
  const started = metrics.counter("berth_pods_started_total", "Pods that were decided to start.");
  const ended = metrics.counter("berth_attempts_ended_total", "Attempts that ended, by how.");
  return { decided, started: (pods) => started({}, pods), ended: (phase) => ended({ phase }) };
}
