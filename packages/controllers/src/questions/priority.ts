/** The priority of a job that waits, by its factors. */
import type { PriorityFactor } from "@berth/kinds";
import { type ClusterState, explainPriority, priorityFactors } from "@berth/scheduling";

export interface JobPriority {
  value: number;
  factors: PriorityFactor[];
}

/** Of a job that waits; undefined of others, and where the site weighs nothing: jobs are then taken as they come. */
export function priorityOf(core: ClusterState, job: number, now: number): JobPriority | undefined {
  const { weights = {} } = core.policy.priority ?? {};
  if (!priorityFactors.some((name) => (weights[name] ?? 0) > 0)) return undefined;
  const found = explainPriority(core, job, now);
  if (found === undefined) return undefined;
  const factors = priorityFactors.map((name): PriorityFactor => ({
    name,
    factor: found.factors[name],
    weight: found.weights[name],
    points: found.parts[name],
  }));
  if (found.nice !== 0) factors.push({ name: "nice", points: -found.nice });
  return { value: found.priority, factors };
}
