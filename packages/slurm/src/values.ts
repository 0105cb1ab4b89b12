/** The values of sbatch's options, each read by a pure function with Slurm's words for what is wrong. */
import {
  type Dependency,
  type DependencyType,
  formatIndexList,
  type IndexSet,
  maximumArrayTasks,
  parseIndexList,
} from "@berth/kinds";
import { invalidSpecification, refusals, SlurmError, submissionFailed } from "./errors.ts";
import { expandHostlist } from "./hostlist.ts";

/** A whole number of at least `minimum`. @throws SlurmError exit code 1 */
export function parseCount(text: string, option: string, minimum = 1): number {
  const value = /^\+?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= minimum && value <= 0x7fff_ffff)) {
    throw new SlurmError(1, `error: Invalid numeric value "${text}" for --${option}.`);
  }
  return value;
}

export interface NodeCount {
  minimum: number;
  maximum: number;
}

/** `N` or `MIN-MAX`, each with an optional k (1024) or m. @throws SlurmError 255, and 1 for 0 nodes */
export function parseNodeCount(text: string): NodeCount {
  const dash = text.indexOf("-");
  const read = (part: string): number => {
    const match = /^(\d{1,9})([km]?)$/i.exec(part);
    if (!match) throw new SlurmError(255, `error: "${part}" is not a valid node count`);
    return Number(match[1]) * { "": 1, k: 1024, m: 1024 ** 2 }[match[2]!.toLowerCase()]!;
  };
  const minimum = read(dash > 0 ? text.slice(0, dash) : text);
  const maximum = dash > 0 ? read(text.slice(dash + 1)) : minimum;
  if (maximum < minimum) {
    throw new SlurmError(255, `error: Maximum node count ${maximum} is less than minimum node count ${minimum}`);
  }
  if (minimum === 0) throw submissionFailed(refusals.nodeCount);
  return { minimum, maximum };
}

/** Longest text of `array.indices` in a Workload. */
const longestIndexList = 65_536;

export interface ArraySpecification {
  /** In shortest form, ascending. */
  indices: string;
  maxRunning?: number;
}

/** `0-4,7,9-15:2%3`, also in brackets; an empty text is no array; `%0` is no limit. @throws SlurmError 1 */
export function parseArray(text: string): ArraySpecification | undefined {
  const match = /^\[?([^%\]]*)\]?(?:%(\d+))?$/.exec(text.trim());
  if (!match) throw submissionFailed(refusals.array);
  const [, list = "", limit] = match;
  if (list === "" && limit === undefined) return undefined;
  let indices: IndexSet;
  try {
    indices = parseIndexList(list);
  } catch (error) {
    // The first line stays Slurm's own word for word, for those who match on it.
    throw new SlurmError(1, ...submissionFailed(refusals.array).lines, `: ${(error as Error).message}`);
  }
  if (indices.size === 0) throw submissionFailed(refusals.array);
  const maxRunning = Math.min(Number(limit ?? 0), maximumArrayTasks);
  const written = formatIndexList(indices, longestIndexList);
  if (written.length > longestIndexList) {
    throw new SlurmError(
      1,
      ...submissionFailed(refusals.array).lines,
      `: written out it is longer than ${longestIndexList} characters`,
    );
  }
  return { indices: written, ...(maxRunning > 0 && { maxRunning }) };
}

const dependencyTypes: Record<string, DependencyType> = {
  after: "After",
  afterany: "AfterAny",
  afterok: "AfterOk",
  afternotok: "AfterNotOk",
  aftercorr: "AfterCorr",
  afterburstbuffer: "AfterBurstBuffer",
  singleton: "Singleton",
};

export interface Dependencies {
  any: boolean;
  of: Dependency[];
}

/**
 * `TYPE:JOB[+MINUTES][:JOB…]` or `singleton`, joined by `,` (all) or `?` (one is enough); a bare job id means afterany. A job
 * may be an array's element, `JOB_TASK`, or all of it, `JOB_*`. An empty text is none.
 * @throws SlurmError `Job dependency problem`, 1; also for a mix of `,` and `?`, whose meaning Slurm leaves open
 */
export function parseDependencies(text: string): Dependencies | undefined {
  if (text.trim() === "") return undefined;
  const problem = (term = text) =>
    new SlurmError(
      1,
      ...submissionFailed(refusals.dependency).lines,
      `: "${term}" is none of afterok:JOB[:JOB...], afterany:, afternotok:, aftercorr:, after:JOB[+MINUTES], singleton`,
    );
  const any = text.includes("?");
  if (any && text.includes(",")) {
    throw new SlurmError(
      1,
      ...submissionFailed(refusals.dependency).lines,
      `: "${text}" mixes "," and "?"; use one of them`,
    );
  }
  const of: Dependency[] = [];
  for (const term of text.split(any ? "?" : ",")) {
    const [word = "", ...jobs] = term.trim().split(":");
    if (/^\d+(_(\d+|\*))?$/.test(word) && jobs.length === 0) {
      of.push({ type: "AfterAny", ...parseJob(word, () => problem(term)) });
      continue;
    }
    if (word.toLowerCase() === "expand") throw submissionFailed(refusals.notSupported);
    const type = dependencyTypes[word.toLowerCase()];
    if (type === undefined) throw problem(term);
    if (type === "Singleton") {
      if (jobs.length > 0) throw problem(term);
      of.push({ type });
      continue;
    }
    if (jobs.length === 0) throw problem(term);
    for (const entry of jobs) {
      const [job = "", delay] = entry.split("+");
      if (delay !== undefined && (type !== "After" || !/^\d{1,6}$/.test(delay))) throw problem(term);
      of.push({
        type,
        ...parseJob(job, () => problem(term)),
        ...(delay !== undefined && { delaySeconds: Number(delay) * 60 }),
      });
    }
  }
  if (of.length > 256)
    throw new SlurmError(1, ...submissionFailed(refusals.dependency).lines, ": a job can depend on 256 others at most");
  return { any, of };
}

function parseJob(text: string, problem: () => SlurmError): { job: number; task?: number } {
  const match = /^(\d{1,15})(?:_(\d{1,9}|\*))?$/.exec(text);
  // Ids begin at 1.
  if (!match || Number(match[1]) === 0) throw problem();
  return {
    job: Number(match[1]),
    ...(match[2] !== undefined && match[2] !== "*" && { task: Number(match[2]) }),
  };
}

/**
 * Dependencies as squeue's %E and scontrol print them: `afterok:322(unfulfilled),after:5+1(unfulfilled)`.
 * @param state what is known of each: `satisfied` ones are left out
 * @param isArray whether a job named without an element is an array (printed `337_*`)
 */
export function formatDependencies(
  dependencies: { any?: boolean; of: readonly Dependency[] } | undefined,
  state: (dependency: Dependency) => "unfulfilled" | "failed" | "satisfied" = () => "unfulfilled",
  isArray: (job: number) => boolean = () => false,
): string {
  const terms: string[] = [];
  for (const dependency of dependencies?.of ?? []) {
    const known = state(dependency);
    if (known === "satisfied") continue;
    let term = dependency.type.toLowerCase();
    if (dependency.job !== undefined) {
      term += `:${dependency.job}`;
      if (dependency.task !== undefined) term += `_${dependency.task}`;
      else if (isArray(dependency.job)) term += "_*";
    }
    if (dependency.delaySeconds) term += `+${dependency.delaySeconds / 60}`;
    terms.push(`${term}(${known})`);
  }
  return terms.length === 0 ? "(null)" : terms.join(dependencies?.any ? "?" : ",");
}

/** One generic resource of --gres or --gpus*. */
export interface GenericResource {
  /** Name of the pod's resource: `nvidia.com/gpu`, of a slice `nvidia.com/mig-2g.24gb`, of a share `nvidia.com/gpu.shared`. */
  resource: string;
  /** Model of the device as the user named it (`a100`). */
  type?: string;
  count: number;
}

const genericResources: Record<string, string> = {
  gpu: "nvidia.com/gpu",
  "nvidia.com/gpu": "nvidia.com/gpu",
  shard: "nvidia.com/gpu.shared",
};

/** `gpu:2`, `gpu:a100:2`, `gpu:a100`, `gpu`, `shard:4`, joined by commas; `none` is none. @throws SlurmError 1 */
export function parseGenericResources(text: string): GenericResource[] {
  const bad = () => new SlurmError(1, "error: Invalid generic resource (gres) specification");
  if (text === "" || text.toLowerCase() === "none") return [];
  return text.split(",").map((entry) => {
    const match = /^(?:gres[:/])?([^:]+)((?::[^:]*)*)$/.exec(entry.trim());
    const resource = match ? genericResources[match[1]!] : undefined;
    if (!match || resource === undefined) throw bad();
    const [first, second, ...more] = match[2] === "" ? [] : match[2]!.slice(1).split(":");
    if (more.length > 0) throw bad();
    if (second !== undefined) return genericResource(resource, first!, readCount(second, bad));
    if (first === undefined) return genericResource(resource, undefined, 1);
    return /^\d/.test(first) && /^\d+[kmg]?$/i.test(first)
      ? genericResource(resource, undefined, readCount(first, bad))
      : genericResource(resource, first, 1);
  });
}

/** The value of --gpus, --gpus-per-node, --gpus-per-task: `2`, `a100:2`, lists. @throws SlurmError 255 */
export function parseGpus(text: string, option: string): GenericResource[] {
  return text.split(",").map((entry) => {
    const match = /^(?:(?:gpu|nvidia\.com\/gpu):)?(?:([^:]+):)?(\d{1,6})$/.exec(entry.trim());
    if (!match || Number(match[2]) === 0) throw invalidSpecification(option);
    return genericResource("nvidia.com/gpu", match[1], Number(match[2]));
  });
}

/** `matlab:2,fluent` (also `matlab=2`): how many of each. @throws SlurmError 1 */
export function parseLicenses(text: string): Record<string, number> {
  const bad = (why: string): SlurmError => submissionFailed(refusals.license, `: ${why}`);
  if (/[|;@]/.test(text))
    throw bad("alternatives (|) and databases (@) are not supported; join what is needed by commas");
  const licenses: Record<string, number> = {};
  for (const entry of text.split(",").filter((part) => part !== "")) {
    const match = /^([^:=]{1,316})(?:[:=](\d{1,9}))?$/.exec(entry.trim());
    const count = Number(match?.[2] ?? 1);
    if (match === null || count === 0) throw bad(`"${entry}" is not NAME or NAME:COUNT`);
    licenses[match[1]!] = (licenses[match[1]!] ?? 0) + count;
  }
  return licenses;
}

function readCount(text: string, bad: () => SlurmError): number {
  const match = /^(\d{1,9})([kmg]?)$/i.exec(text);
  if (!match) throw bad();
  return Number(match[1]) * { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[match[2]!.toLowerCase()]!;
}

function genericResource(resource: string, type: string | undefined, count: number): GenericResource {
  if (type === undefined) return { resource, count };
  // A Kubernetes label value: what is none cannot be the type of any node.
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(type)) {
    throw submissionFailed(refusals.nodeConfiguration, `: "${type}" cannot be the name of a GPU type`);
  }
  const slice = /(?:^|_)(\d+g\.\d+gb)$/i.exec(type)?.[1];
  return { resource: slice ? `nvidia.com/mig-${slice.toLowerCase()}` : resource, type, count };
}

/** Names of features that all must be there: `a&b`. @throws SlurmError 1 for `|`, brackets and counts, in words */
export function parseConstraint(text: string): string[] {
  if (/[|[\]*()]/.test(text)) {
    throw new SlurmError(
      1,
      `error: --constraint=${text}: "|", "[ ]", "( )" and "*" are known to Slurm but not yet honoured by Berth; features joined by "&" are`,
    );
  }
  const features = text.split(/[&,]/).map((feature) => feature.trim());
  for (const feature of features) {
    if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,53}[A-Za-z0-9])?$/.test(feature)) throw submissionFailed(refusals.feature);
  }
  return features;
}

/** Names of nodes from --nodelist and --exclude. @throws SlurmError 1 */
export function parseNodeNames(text: string, option: string): string[] {
  if (text.includes("/")) {
    throw new SlurmError(
      1,
      `error: --${option}=${text}: a file of node names is known to Slurm but not yet honoured by Berth`,
    );
  }
  let names: string[];
  try {
    names = expandHostlist(text);
  } catch (error) {
    throw submissionFailed(refusals.nodeName, `: ${(error as Error).message}`);
  }
  for (const name of names) if (!isObjectName(name)) throw submissionFailed(refusals.nodeName);
  if (names.length > 1024) {
    throw submissionFailed(refusals.nodeName, `: --${option} can name 1024 nodes at most, not ${names.length}`);
  }
  return names;
}

/** What can be the name of a Kubernetes object; no node, queue or account has any other. */
export function isObjectName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(text);
}

const signalNames = [
  ..."HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU".split(
    " ",
  ),
  ..."URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(" "),
];

/** Number of a signal given by number or by name, with or without SIG; undefined when there is none. */
export function parseSignalName(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return Number(text) <= 64 ? Number(text) : undefined;
  const number = signalNames.indexOf(text.toUpperCase().replace(/^SIG/, "")) + 1;
  return number > 0 ? number : undefined;
}

export interface SignalSpecification {
  signal: number;
  secondsBefore: number;
  batchOnly: boolean;
  reservation: boolean;
}

/** `[R][B]:SIGNAL[@SECONDS]`, 60 seconds where none are said. @throws SlurmError 255 */
export function parseSignal(text: string): SignalSpecification {
  const match = /^(?:([RB]{1,2}):)?([A-Za-z0-9]+)(?:@(\d{1,6}))?$/i.exec(text);
  const signal = match ? parseSignalName(match[2]!) : undefined;
  const secondsBefore = Number(match?.[3] ?? 60);
  if (!match || signal === undefined || secondsBefore > 65_535) throw invalidSpecification("signal");
  const flags = (match[1] ?? "").toUpperCase();
  return { signal, secondsBefore, batchOnly: flags.includes("B"), reservation: flags.includes("R") };
}

const mailTypes = new Set(
  "NONE BEGIN END FAIL REQUEUE ALL INVALID_DEPEND STAGE_OUT TIME_LIMIT TIME_LIMIT_90 TIME_LIMIT_80 TIME_LIMIT_50 ARRAY_TASKS".split(
    " ",
  ),
);

/** Upper case. @throws SlurmError 255 */
export function parseMailTypes(text: string): string[] {
  const types = text.split(",").map((type) => type.trim().toUpperCase());
  if (types.some((type) => !mailTypes.has(type))) throw invalidSpecification("mail-type");
  return types;
}

/** 100 where none is said. @throws SlurmError 255 when out of range or no number */
export function parseNice(text: string | undefined): number {
  if (text === undefined || text === "") return 100;
  if (!/^[+-]?\d+$/.test(text)) throw invalidSpecification("nice");
  const nice = Number(text);
  if (Math.abs(nice) > 2_147_483_645) {
    throw new SlurmError(255, "error: Invalid --nice value, out of range (+/- 2147483645)");
  }
  return nice;
}
