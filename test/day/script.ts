/** What is submitted on the scripted day, second by second: the same on every run. */
import { annotations, apiVersion } from "@berth/kinds";
import type { PodSet, Workload } from "@berth/kinds";
import { seededRandom } from "../support/random.ts";

/** A Monday. The first submission is at eight. */
export const dayBegin = Date.parse("2026-11-16T08:00:00Z");
export const maintenance = {
  from: Date.parse("2026-11-16T14:00:00Z"),
  to: Date.parse("2026-11-16T16:00:00Z"),
  nodes: Array.from({ length: 8 }, (_, index) => `node-${index}`),
};
export const nodeCount = 72;
export const cpusPerNode = 8;
export const gangNodes = 64;
export const accounts = { emmy: "physics", rosalind: "biology", ada: "students", alan: "students", grace: "students" };
export type User = keyof typeof accounts;

export interface Submission {
  /** Milliseconds since 1970. */
  at: number;
  workload: Workload;
}

const minute = 60;
const hour = 3600;

interface Shape {
  user: User;
  name: string;
  /** Pods of `cpus` each; more than one pod is one on each node. */
  pods?: number;
  cpus: number;
  wallSeconds: number;
  runSeconds: number;
  /** Elements of an array. */
  tasks?: number;
  /** The only nodes that will do. */
  nodes?: string[];
}

function workload({ user, name, pods = 1, cpus, wallSeconds, runSeconds, tasks, nodes }: Shape): Workload {
  const podSet = (set: string, role: "Driver" | "Worker", count: number): PodSet => ({
    name: set,
    role,
    count,
    template: {
      metadata: { annotations: { [annotations.simulatedRunSeconds]: String(runSeconds) } },
      spec: {
        restartPolicy: "Never",
        containers: [
          {
            name: "main",
            image: "host",
            command: ["true"],
            resources: { requests: { cpu: String(cpus), memory: `${cpus * 2}Gi` } },
          },
        ],
      },
    },
  });
  return {
    apiVersion,
    kind: "Workload",
    metadata: { name, namespace: user },
    spec: {
      type: "Batch",
      jobName: name,
      user,
      wallTimeSeconds: wallSeconds,
      podSets:
        pods === 1
          ? [podSet("main", "Driver", 1)]
          : [podSet("main", "Driver", 1), podSet("worker", "Worker", pods - 1)],
      ...(pods === 1 ? {} : { placement: { podsPerNode: 1 } }),
      ...(nodes === undefined ? {} : { placement: { nodes } }),
      ...(tasks === undefined ? {} : { array: { indices: `0-${tasks - 1}` } }),
    },
  };
}

/** In order of time. */
export function script(seed: number): Submission[] {
  const random = seededRandom(seed);
  const between = (least: number, most: number): number => least + Math.floor(random() * (most - least + 1));
  const all: Submission[] = [];
  const submit = (seconds: number, shape: Shape): void => {
    all.push({ at: dayBegin + seconds * 1000, workload: workload(shape) });
  };
  // Biology: sequences by the hundred; a second batch after lunch.
  submit(0, { user: "rosalind", name: "reads", cpus: 4, wallSeconds: hour, runSeconds: 40 * minute, tasks: 120 });
  submit(4.5 * hour, {
    user: "rosalind",
    name: "assembly",
    cpus: 8,
    wallSeconds: 2 * hour,
    runSeconds: 70 * minute,
    tasks: 40,
  });
  // Physics: jobs of some nodes, then the large one.
  for (let index = 0; index < 6; index += 1) {
    const wallSeconds = between(60, 120) * minute;
    const runSeconds = Math.floor(wallSeconds * 0.8);
    submit((10 + 12 * index) * minute, {
      user: "emmy",
      name: `field-${index}`,
      pods: between(6, 12),
      cpus: 8,
      wallSeconds,
      runSeconds,
    });
  }
  submit(2 * hour, {
    user: "emmy",
    name: "gang",
    pods: gangNodes,
    cpus: 8,
    wallSeconds: 1.5 * hour,
    runSeconds: 75 * minute,
  });
  // Bound to a node on which work begins before it could end.
  submit(4.25 * hour, {
    user: "emmy",
    name: "calibration",
    cpus: 8,
    wallSeconds: 2.5 * hour,
    runSeconds: 2 * hour,
    nodes: ["node-3"],
  });
  submit(5 * hour, { user: "emmy", name: "long", pods: 20, cpus: 8, wallSeconds: 3 * hour, runSeconds: 2.5 * hour });
  // Students: small jobs all day, which fill what is left.
  const students = ["ada", "alan", "grace"] as const;
  for (let seconds = 0, number = 0; seconds < 9 * hour; seconds += between(20, 140), number += 1) {
    const wallSeconds = between(20, 90) * minute;
    submit(seconds, {
      user: students[number % students.length]!,
      name: `exercise-${number}`,
      cpus: between(1, 8),
      wallSeconds,
      runSeconds: Math.floor(wallSeconds * (0.3 + 0.7 * random())),
    });
  }
  return all.sort((a, b) => a.at - b.at);
}
