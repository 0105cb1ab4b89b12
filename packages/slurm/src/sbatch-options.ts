/** What an sbatch command asks for, put together from command line, environment and directives. */
import { parseArguments, type ParsedOption } from "./arguments.ts";
import { readScriptHead } from "./directives.ts";
import { parseTimeLimit } from "./durations.ts";
import { invalidSpecification, SlurmError } from "./errors.ts";
import { parseMemory } from "./memory.ts";
import { parseMomentOption } from "./moments.ts";
import { type OptionDefinition, sbatchOptions } from "./options.ts";
import {
  type ArraySpecification,
  type Dependencies,
  type GenericResource,
  type NodeCount,
  parseArray,
  parseConstraint,
  parseCount,
  parseDependencies,
  parseGenericResources,
  parseGpus,
  parseLicenses,
  parseMailTypes,
  parseNice,
  parseNodeCount,
  parseNodeNames,
  parseSignal,
} from "./values.ts";

/** The values of all options given, read. Times are seconds since 1970, durations seconds, memory bytes. */
export interface SbatchOptions {
  account?: string;
  array?: ArraySpecification;
  begin?: number;
  chdir?: string;
  cluster?: string;
  comment?: string;
  features?: string[];
  cpusPerGpu?: number;
  cpusPerTask?: number;
  deadline?: number;
  dependencies?: Dependencies;
  /** As given; the job sees it. */
  distribution?: string;
  error?: string;
  excludedNodes?: string[];
  exclusive?: boolean;
  /** As given: `ALL`, `NONE`, `NAME`, `NAME=value`, `ALL,NAME=value`, … */
  export?: string;
  gpus?: GenericResource[];
  gpusPerNode?: GenericResource[];
  gpusPerTask?: GenericResource[];
  gres?: GenericResource[];
  help?: boolean;
  hint?: string;
  hold?: boolean;
  input?: string;
  jobName?: string;
  cancelOnInvalidDependency?: boolean;
  mailTypes?: string[];
  mailUser?: string;
  /** 0: all memory of the nodes. */
  memoryPerNode?: number;
  memoryPerCpu?: number;
  memoryPerGpu?: number;
  minimumCpus?: number;
  nice?: number;
  nodeNames?: string[];
  nodes?: NodeCount;
  openMode?: "Append" | "Truncate";
  output?: string;
  overcommit?: boolean;
  parsable?: boolean;
  partitions?: string[];
  profile?: string;
  qos?: string;
  quiet?: boolean;
  requeue?: boolean;
  licenses?: Record<string, number>;
  reservation?: string;
  spread?: boolean;
  tasks?: number;
  tasksPerNode?: number;
  testOnly?: boolean;
  threadsPerCore?: number;
  time?: number;
  minimumTime?: number;
  usage?: boolean;
  verbose?: number;
  version?: boolean;
  wait?: boolean;
  wrap?: string;
}

/** The command line, split; what it asks for is known only together with script and environment. */
export interface SbatchCommandLine {
  options: ParsedOption[];
  /** Path of the script; absent: standard input, or `--wrap`. */
  script?: string;
  scriptArguments: string[];
  /** Command of `--wrap`. */
  wrap?: string;
  /** One of these asks for a text and nothing else. */
  show?: "help" | "usage" | "version";
}

/**
 * Reads sbatch's command line. The caller then finds the script and calls {@link resolveSbatch}.
 * @throws SlurmError 255 for unknown options; 1 for arguments behind --wrap
 */
export function readSbatchCommandLine(words: readonly string[]): SbatchCommandLine {
  const { options, operands } = parseArguments(words, sbatchOptions, "sbatch", true);
  if (operands[0] === ":") {
    throw new SlurmError(1, 'error: jobs of several components (":") are known to Slurm but not yet honoured by Berth');
  }
  const last = (name: string) => options.findLast(({ definition }) => definition.name === name);
  const wrap = last("wrap")?.value;
  if (wrap !== undefined && operands.length > 0) {
    throw new SlurmError(1, "error: Script arguments not permitted with --wrap option");
  }
  const show = (["help", "usage", "version"] as const).find((name) => last(name));
  const [script, ...scriptArguments] = operands;
  return {
    options,
    scriptArguments,
    ...(script !== undefined && { script }),
    ...(wrap !== undefined && { wrap }),
    ...(show && { show }),
  };
}

export interface ResolvedSbatch {
  options: SbatchOptions;
  /** Lines for standard error (without `sbatch: `): what was accepted without effect, and why. */
  notes: string[];
}

export interface ResolveContext {
  environment: Record<string, string | undefined>;
  /** Seconds since 1970. */
  nowSeconds: number;
  /** The script's text and its name in errors; absent with --wrap. */
  script?: { name: string; text: string };
}

type Origin = "directive" | "environment" | "command line";

/**
 * Puts together what is asked: directives, over them the SBATCH_* environment, over that the command line; the last value
 * wins, only mail types add up.
 * @throws SlurmError 255 or 1, in Slurm's words
 */
export function resolveSbatch(commandLine: SbatchCommandLine, context: ResolveContext): ResolvedSbatch {
  const options: SbatchOptions = {};
  const notes = new Set<string>();
  const memoryOrigins = new Map<string, Origin>();
  const apply = ({ definition, value }: ParsedOption, origin: Origin) => {
    if (definition.status === "refused") throw refuse(definition, value);
    if (definition.status === "accepted") checkAccepted(definition.name, value ?? "");
    const set = setters[definition.name];
    if (set) set(options, value ?? "", context.nowSeconds);
    if (definition.status === "accepted" && definition.note && !isDefault(definition.name, value)) {
      notes.add(definition.note);
    }
    if (definition.name.startsWith("mem") && definition.name !== "mem-bind") {
      memoryOrigins.set(definition.name, origin);
    }
  };

  if (context.script) {
    const { name, text } = context.script;
    const head = readScriptHead(text, name);
    const words = head.directives.flatMap((directive) => directive.words);
    const parsed = parseArguments(words, sbatchOptions, "sbatch", false);
    if (parsed.operands.length > 0) {
      throw new SlurmError(255, `error: Invalid directive found in batch script: ${parsed.operands[0]}`);
    }
    for (const option of parsed.options) apply(option, "directive");
    if (head.foreignLines > 0 && !parsed.options.some(({ definition }) => definition.name === "ignore-pbs")) {
      notes.add("#PBS lines are not read: say it in #SBATCH lines");
    }
  }
  for (const definition of sbatchOptions) {
    const value = definition.environment === undefined ? undefined : context.environment[definition.environment];
    if (value === undefined) continue;
    apply({ definition, ...(definition.value !== "none" && { value }) }, "environment");
  }
  for (const option of commandLine.options) apply(option, "command line");

  resolveMemory(options, memoryOrigins);
  if (options.partitions && options.partitions.length > 1) {
    notes.add(`several partitions are asked for: the first, ${options.partitions[0]}, is used`);
  }
  return { options, notes: [...notes].map((note) => `warning: ${note}`) };
}

function refuse(definition: OptionDefinition, value: string | undefined): SlurmError {
  // What would not do in Slurm either is refused in Slurm's words.
  if (definition.name === "signal") parseSignal(value ?? "");
  const more = definition.note === undefined ? "" : `: ${definition.note}`;
  return new SlurmError(255, `error: --${definition.name} is known to Slurm but not yet honoured by Berth${more}`);
}

/** Asked for nothing: no effect is what the user expects. */
function isDefault(name: string, value: string | undefined): boolean {
  if (name === "mail-type") return /^none$/i.test(value ?? "");
  if (name === "threads-per-core" || name === "switches") return value === "1" || value === "0";
  if (name === "tmp") return (value ?? "").startsWith("0");
  return false;
}

const resourceLimits = new Set(
  "ALL NONE AS CORE CPU DATA FSIZE MEMLOCK NOFILE NPROC RSS STACK"
    .split(" ")
    .flatMap((name) => [name, `RLIMIT_${name}`]),
);

function checkAccepted(name: string, value: string): void {
  switch (name) {
    case "distribution":
      if (!/^(\*|block|cyclic|arbitrary|plane=\d+)(:(\*|block|cyclic|fcyclic)){0,2}(,(no)?pack)?$/i.test(value)) {
        throw invalidSpecification(name);
      }
      break;
    case "acctg-freq":
      if (!/^(\d+|(energy|filesystem|network|task)=\d+)(,(energy|filesystem|network|task)=\d+)*$/i.test(value))
        throw new SlurmError(255, `error: Invalid --acctg-freq specification: ${value}`);
      break;
    case "cpu-freq": {
      const word = "(\\d+|low|medium|high|highm1)";
      const governors = "(conservative|ondemand|performance|powersave|userspace|schedutil)(,\\w+)*";
      if (!new RegExp(`^(${word}(-${word}(:${governors})?)?|${governors})$`, "i").test(value))
        throw new SlurmError(
          255,
          `error: unrecognized --cpu-freq argument "${value}"`,
          "error: Invalid --cpu-freq argument",
        );
      break;
    }
    case "delay-boot":
      parseTimeLimit(value, name);
      break;
    case "get-user-env":
      if (!/^(\d+[LS]?|[LS])?$/i.test(value)) throw invalidSpecification(name);
      break;
    case "gpu-bind":
      if (!/^(verbose,|v,)?(closest|none|single:\d+|per_task:\d+|(map|mask)_gpu:[\w,*]+)$/i.test(value))
        throw new SlurmError(255, `error: Invalid --gpu-bind argument: gpu:${value}`);
      break;
    case "switches":
      if (!/^\d+(@[\d:-]+)?$/.test(value))
        throw new SlurmError(1, `error: Invalid numeric value "${value}" for --${name}.`);
      break;
    case "wait-all-nodes":
      parseCount(value, name, 0);
      break;
    case "hint":
      for (const hint of value.split(",")) {
        if (!/^(compute_bound|memory_bound|(no)?multithread|help)$/.test(hint)) {
          throw new SlurmError(1, `error: unrecognized --hint argument "${value}", see --hint=help`);
        }
      }
      break;
    case "mem-bind":
      if (!/^(((no)?verbose|quiet|v|q|none|no|rank|local|prefer|(no)?sort|(map|mask)_mem:.*),?)+$/i.test(value)) {
        throw new SlurmError(255, `error: unrecognized --mem-bind argument "${value}"`);
      }
      break;
    case "profile":
      if (!/^((all|none|energy|task|lustre|filesystem|network),?)+$/i.test(value)) {
        throw new SlurmError(255, `error: invalid --profile=${value} option`);
      }
      break;
    case "propagate":
      for (const limit of value === "" ? [] : value.split(",")) {
        if (!resourceLimits.has(limit.toUpperCase())) {
          throw new SlurmError(1, `error: Bad rlimit name: ${limit}`, `error: --propagate=${value} is not valid.`);
        }
      }
      break;
    case "ntasks-per-core":
    case "ntasks-per-socket":
    case "threads-per-core":
      parseCount(value, name);
      break;
    case "tmp":
      parseMemory(value, name);
      break;
  }
}

type Setter = (options: SbatchOptions, value: string, nowSeconds: number) => void;

/** Assigns, or forgets an earlier value where the new one is none. */
function put<K extends keyof SbatchOptions>(options: SbatchOptions, key: K, value: SbatchOptions[K]): void {
  if (value === undefined) delete options[key];
  else options[key] = value;
}

const setters: Record<string, Setter> = {
  account: (options, value) => put(options, "account", value.trim() || undefined),
  array: (options, value) => put(options, "array", parseArray(value)),
  begin: (options, value, now) => put(options, "begin", parseMomentOption(value, now, "begin")),
  chdir: (options, value) => put(options, "chdir", value),
  clusters: (options, value) => put(options, "cluster", value),
  comment: (options, value) => put(options, "comment", value),
  constraint: (options, value) => put(options, "features", parseConstraint(value)),
  "cpus-per-gpu": (options, value) => put(options, "cpusPerGpu", parseCount(value, "cpus-per-gpu")),
  "cpus-per-task": (options, value) => put(options, "cpusPerTask", parseCount(value, "cpus-per-task")),
  deadline: (options, value, now) => put(options, "deadline", parseMomentOption(value, now, "deadline")),
  dependency: (options, value) => put(options, "dependencies", parseDependencies(value)),
  error: (options, value) => put(options, "error", value),
  exclude: (options, value) => put(options, "excludedNodes", parseNodeNames(value, "exclude")),
  exclusive: (options, value) => {
    if (!/^(|user|mcs|topo)$/.test(value)) throw invalidSpecification("exclusive");
    put(options, "exclusive", true);
  },
  export: (options, value) => put(options, "export", value),
  gpus: (options, value) => put(options, "gpus", parseGpus(value, "gpus")),
  "gpus-per-node": (options, value) => put(options, "gpusPerNode", parseGpus(value, "gpus-per-node")),
  "gpus-per-task": (options, value) => put(options, "gpusPerTask", parseGpus(value, "gpus-per-task")),
  gres: (options, value) => put(options, "gres", parseGenericResources(value)),
  help: (options) => put(options, "help", true),
  hold: (options) => put(options, "hold", true),
  input: (options, value) => put(options, "input", value),
  "job-name": (options, value) => put(options, "jobName", value),
  "kill-on-invalid-dep": (options, value) => {
    if (!/^(yes|no)$/i.test(value)) throw invalidSpecification("kill-on-invalid-dep");
    put(options, "cancelOnInvalidDependency", value.toLowerCase() === "yes");
  },
  "mail-type": (options, value) => {
    const types = parseMailTypes(value);
    put(options, "mailTypes", types.includes("NONE") ? ["NONE"] : [...(options.mailTypes ?? []), ...types]);
  },
  "mail-user": (options, value) => put(options, "mailUser", value),
  mem: (options, value) => put(options, "memoryPerNode", parseMemory(value, "mem")),
  "mem-per-cpu": (options, value) => put(options, "memoryPerCpu", parseMemory(value, "mem-per-cpu")),
  "mem-per-gpu": (options, value) => put(options, "memoryPerGpu", parseMemory(value, "mem-per-gpu")),
  mincpus: (options, value) => put(options, "minimumCpus", parseCount(value, "mincpus")),
  nice: (options, value) => put(options, "nice", parseNice(value)),
  "no-requeue": (options) => put(options, "requeue", false),
  licenses: (options, value) => put(options, "licenses", parseLicenses(value)),
  nodelist: (options, value) => put(options, "nodeNames", parseNodeNames(value, "nodelist")),
  nodes: (options, value) => put(options, "nodes", parseNodeCount(value)),
  ntasks: (options, value) => put(options, "tasks", parseCount(value, "ntasks")),
  "ntasks-per-node": (options, value) =>
    put(options, "tasksPerNode", parseCount(value, "ntasks-per-node", 0) || undefined),
  "open-mode": (options, value) => {
    if (!/^(a|append|t|truncate)$/i.test(value)) throw invalidSpecification("open-mode");
    put(options, "openMode", /^a/i.test(value) ? "Append" : "Truncate");
  },
  output: (options, value) => put(options, "output", value),
  parsable: (options) => put(options, "parsable", true),
  partition: (options, value) => {
    const partitions = value.split(",").filter((name) => name !== "");
    put(options, "partitions", partitions.length > 0 ? partitions : [""]);
  },
  qos: (options, value) => put(options, "qos", value),
  quiet: (options) => put(options, "quiet", true),
  requeue: (options) => put(options, "requeue", true),
  reservation: (options, value) => put(options, "reservation", value),
  "spread-job": (options) => put(options, "spread", true),
  distribution: (options, value) => put(options, "distribution", value),
  hint: (options, value) => put(options, "hint", value),
  overcommit: (options) => put(options, "overcommit", true),
  profile: (options, value) => put(options, "profile", value),
  "threads-per-core": (options, value) => put(options, "threadsPerCore", Number(value)),
  "test-only": (options) => put(options, "testOnly", true),
  time: (options, value) => put(options, "time", parseTimeLimit(value, "time")),
  "time-min": (options, value) => put(options, "minimumTime", parseTimeLimit(value, "time-min")),
  usage: (options) => put(options, "usage", true),
  verbose: (options) => put(options, "verbose", (options.verbose ?? 0) + 1),
  version: (options) => put(options, "version", true),
  wait: (options) => put(options, "wait", true),
  wrap: (options, value) => put(options, "wrap", value),
};

const memoryKeys = { mem: "memoryPerNode", "mem-per-cpu": "memoryPerCpu", "mem-per-gpu": "memoryPerGpu" } as const;

/** One memory option only: what the user wrote goes before the environment; two written ones exclude each other. */
function resolveMemory(options: SbatchOptions, origins: Map<string, Origin>): void {
  const written = [...origins].filter(([, origin]) => origin !== "environment");
  const candidates = written.length > 0 ? written : [...origins];
  if (candidates.length > 1) {
    throw new SlurmError(1, "fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.");
  }
  for (const [name, key] of Object.entries(memoryKeys)) {
    if (candidates.length === 1 && candidates[0]![0] !== name) delete options[key];
  }
}
