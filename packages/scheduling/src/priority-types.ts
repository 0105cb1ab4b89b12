/** The part of the interface that says in which order jobs are taken. */

export const priorityFactors = ["age", "fairShare", "jobSize", "queue", "qos"] as const;
export type PriorityFactor = (typeof priorityFactors)[number];

/**
 * Priority by factors, each between 0 and 1, times its weight: Slurm's multifactor priority. With all weights 0 (default) jobs are
 * taken as they come.
 */
export interface PriorityPolicy {
  /** From 0; absent: 0. */
  weights?: Partial<Record<PriorityFactor, number>>;
  /** Since its submission; the age factor is 1 from then on. Default 7 days. */
  maxAgeSeconds?: number;
  /** Usage counts half after this time. Default 7 days; `None`: it counts in full for ever. 0 is refused. */
  halfLifeSeconds?: number | "None";
  /** The size factor is 1 for the smallest job instead of the largest. Default false. */
  favorSmall?: boolean;
}

/** What Slurm's `sprio` prints of a job. */
export interface PriorityExplanation {
  job: number;
  /** Of its first queue; goes before all priority. */
  tier: number;
  /** The parts together less `nice`; or what an operator set. */
  priority: number;
  /** An operator set the priority: the factors do not count. */
  isSet: boolean;
  factors: Record<PriorityFactor, number>;
  weights: Record<PriorityFactor, number>;
  /** Factor × weight. */
  parts: Record<PriorityFactor, number>;
  nice: number;
}
