/** What a job finds in its environment, pod by pod. Pure. */
import { effectiveRequests } from "@berth/kinds";
import type { Amounts, PodSet, Queue, TaskNumber, TaskVariables, Workload } from "@berth/kinds";
import { fileEnvironment, jobEnvironment, jobFiles } from "@berth/slurm";

/** The SLURM_* environment is made for jobs of at most so many pods; its node list grows with them, in each of them. */
const largestListedGang = 2048;

export interface AttemptPlace {
  workload: Workload;
  queue: Queue;
  task: number | undefined;
  attempt: number;
  /** Of all pods, in their order. */
  nodes: readonly string[];
  /** What a node has for a job that takes it whole. */
  wholeNode: (node: string) => Amounts | undefined;
  clusterName: string | undefined;
}

function cpusPerNode({ workload, queue, nodes, wholeNode }: AttemptPlace): number[] {
  if (workload.spec.placement?.exclusive === true) {
    return nodes.map((node) => Math.floor((wholeNode(node)?.["cpu"] ?? 1000) / 1000));
  }
  return workload.spec.podSets
    .flatMap(({ count, template }) => {
      const cpus = Math.max(1, Math.ceil((effectiveRequests(template.spec, queue.spec)["cpu"] ?? 1000) / 1000));
      return Array<number>(count).fill(cpus);
    })
    .slice(0, nodes.length);
}

/** Environment of each pod of an attempt. What others put into a container of their own (HOSTNAME, TMPDIR …) stays theirs. */
export function attemptEnvironment(place: AttemptPlace): (podSet: PodSet, index: number) => Record<string, string> {
  const { workload, queue, task, attempt, nodes, clusterName } = place;
  if (nodes.length > largestListedGang) return () => ({});
  const cpus = cpusPerNode(place);
  const firstOf = new Map<string, number>();
  let before = 0;
  for (const { name, count } of workload.spec.podSets) {
    firstOf.set(name, before);
    before += count;
  }
  const isSubmission = workload.spec.submission?.secretName !== undefined;
  const files = isSubmission ? fileEnvironment(jobFiles(workload, task, nodes[0])) : {};
  return (podSet, index) => {
    const own = jobEnvironment(workload, {
      task,
      attempt,
      nodes,
      nodeIndex: (firstOf.get(podSet.name) ?? 0) + index,
      cpusPerNode: cpus,
      defaultMemoryPerCpuBytes: queue.spec.defaultMemoryPerCpuBytes,
      clusterName,
    });
    // The others run something else: the script's files are not theirs.
    if (isSubmission) return podSet.role === "Worker" ? own : { ...own, ...files };
    const kept = Object.fromEntries(Object.entries(own).filter(([name]) => /^(?:SLURM|BERTH)_/.test(name)));
    if (task !== undefined) kept["JOB_COMPLETION_INDEX"] = String(task);
    return kept;
  };
}

/** Marks a number of the task in a file name; no path has these characters of nobody's. */
const opening = "\u{e000}";
const closing = "\u{e001}";
const letters: Readonly<Record<string, TaskNumber["of"]>> = { a: "task", b: "digit", j: "job", J: "job" };

/** Whether the names of the job's files can be told for tasks not known yet. */
export function hasPlainFiles({ spec }: Workload): boolean {
  const { standardOutput = "", standardError = "", standardInput = "" } = spec.submission ?? {};
  return [standardOutput, standardError, standardInput].every((name) => !/[\u{e000}\u{e001}]/u.test(name));
}

/** What of {@link attemptEnvironment} differs between the tasks of an array, as a node can work it out for each. */
export function taskVariables(place: AttemptPlace): TaskVariables {
  const { workload, task, nodes } = place;
  const variables: TaskVariables = {
    SLURM_ARRAY_TASK_ID: [{ of: "task" }],
    SLURM_JOB_ID: [{ of: "job" }],
    SLURM_JOBID: [{ of: "job" }],
    BERTH_JOB_ID: [{ of: "job" }],
  };
  const { submission } = workload.spec;
  if (submission?.secretName === undefined) return { ...variables, JOB_COMPLETION_INDEX: [{ of: "task" }] };
  const marked = (pattern: string | undefined): string | undefined =>
    // A name with a backslash is taken as it stands.
    pattern === undefined || pattern.includes("\\")
      ? pattern
      : pattern.replace(/%(\d*)([A-Za-z%])/g, (whole, width: string, letter: string) =>
          letters[letter] === undefined ? whole : `${opening}${letters[letter]} ${width}${closing}`,
        );
  const { standardOutput = "slurm-%A_%a.out", standardError, standardInput } = submission;
  const files = jobFiles(
    {
      ...workload,
      spec: {
        ...workload.spec,
        submission: {
          ...submission,
          standardOutput: marked(standardOutput),
          standardError: marked(standardError),
          standardInput: marked(standardInput),
        },
      },
    },
    task,
    nodes[0],
  );
  for (const [name, text] of Object.entries(fileEnvironment(files))) {
    if (!text.includes(opening)) continue;
    variables[name] = text.split(/[\u{e000}\u{e001}]/u).flatMap((part, at): (string | TaskNumber)[] => {
      if (at % 2 === 0) return part === "" ? [] : [part];
      const [of, width] = part.split(" ") as [TaskNumber["of"], string];
      return [width === "" ? { of } : { of, width: Math.min(Number(width), 10) }];
    });
  }
  return variables;
}
