/** One of the two that are compared: real Slurm or Berth, both by their commands only. */
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Case, Observation, Question } from "./case.ts";

export interface Spoken {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a command by name (`sbatch`) against one of the two. */
export type Speak = (
  words: string[],
  options: { cwd: string; input?: string | undefined; environment?: Record<string, string> | undefined },
) => Promise<Spoken>;

/** @param resolve from the name of a command to the program and its first words */
export function speaker(resolve: (name: string) => string[], environment: NodeJS.ProcessEnv): Speak {
  return (words, { cwd, input, environment: more }) =>
    new Promise((done, reject) => {
      const [name = "", ...rest] = words;
      const [program = "", ...first] = resolve(name);
      const child = spawn(program, [...first, ...rest], { cwd, env: { ...environment, ...more }, stdio: "pipe" });
      const texts = { stdout: "", stderr: "" };
      const timer = setTimeout(() => child.kill("SIGKILL"), 120_000);
      for (const stream of ["stdout", "stderr"] as const)
        child[stream].setEncoding("utf8").on("data", (text: string) => (texts[stream] += text));
      child.stdin.on("error", () => {});
      child.stdin.end(input ?? "");
      child.on("error", reject);
      child.on("close", (code) => {
        clearTimeout(timer);
        done({ code, ...texts });
      });
    });
}

/** Fields of squeue that tell what was understood of a command line. */
const squeueFields = {
  JobName: "%j",
  Partition: "%P",
  Account: "%a",
  Qos: "%q",
  Cpus: "%C",
  Nodes: "%D",
  MinMemory: "%m",
  MinCpus: "%c",
  TimeLimit: "%l",
  Features: "%f",
  OverSubscribe: "%h",
  ReqNodes: "%n",
  ExcNodes: "%x",
  Dependency: "%E",
  Comment: "%k",
  Command: "%o",
  WorkDir: "%Z",
  TresPerNode: "%b",
  Nice: "%y",
  Reservation: "%v",
  WcKey: "%w",
  Licenses: "%W",
  MinTmpDisk: "%d",
  Reason: "%r",
  State: "%T",
  ArrayTask: "%K",
  JobId: "%i",
  SocketsCoresThreads: "%z",
} as const;

/** Fields of `scontrol show job` that are compared; the rest are times and ids, or stand in squeue's. */
const jobFields = new Set(
  "UserId GroupId Nice JobState Reason Dependency Requeue Restarts BatchFlag ExitCode TimeLimit TimeMin NumNodes NumCPUs NumTasks CPUs/Task TRES MinCPUsNode MinMemoryNode MinMemoryCPU MinTmpDiskNode Features OverSubscribe Contiguous Licenses Network Command WorkDir StdErr StdIn StdOut Comment ReqNodeList ExcNodeList TresPerNode TresPerJob TresPerTask MailUser MailType NtasksPerN:B:S:C ArrayTaskId ArrayTaskThrottle Deadline CpusPerTres MemPerTres KillOInInvalidDependent OpenMode Reservation Partition Account QOS".split(
    " ",
  ),
);

const sacctFields = ["JobName", "Partition", "Account", "State", "ExitCode", "NNodes", "ReqCPUS", "QOS", "Timelimit"];

/** Memory of each of Slurm's nodes: without DefMemPerCPU it counts all of it for jobs that ask for none, where Berth counts none. */
export const wholeNodeMebibytes = 1999;
const wholeNodes = new RegExp(`,mem=(${[1, 2, 3, 4].map((nodes) => nodes * wholeNodeMebibytes).join("|")})M`, "g");

/** What says where Slurm's own daemons are, or which process it is, and has no counterpart. */
const leftOut = new Set(["SLURM_CONF", "SLURM_WORKING_CLUSTER", "SLURM_NODE_ALIASES", "SLURM_TASK_PID"]);

/** Of what is looked at that which names jobs by their ids. */
const hasIds =
  /^(sbatch|file|act|variable SLURM_(JOB_?ID|ARRAY_JOB_ID)$|squeue (JobId|Dependency)|scontrol (Dependency|Std))/;

interface Submitted {
  id?: string;
  ids: Set<string>;
  observation: Observation;
  folder: string;
}

export class Side {
  readonly name: string;
  readonly folder: string;
  readonly #speak: Speak;
  readonly #submitted = new Map<string, Promise<Submitted>>();

  constructor(name: string, folder: string, speak: Speak) {
    this.name = name;
    this.folder = folder;
    this.#speak = speak;
    mkdirSync(folder, { recursive: true });
    // Jobs of other users write there too.
    chmodSync(folder, 0o755);
  }

  speak(words: string[], options: { input?: string | undefined } = {}): Promise<Spoken> {
    return this.#speak(words, { cwd: this.folder, ...options });
  }

  /** Submits all cases, some at a time, and looks at those that are held or refused; then waits for the rest to end, and looks at them. */
  async play(cases: readonly Case[], atOnce: number): Promise<Map<string, Observation>> {
    const waiting = [...cases];
    const turns = new Map(cases.map((each) => [each.name, Promise.withResolvers<Submitted>()]));
    for (const [name, { promise }] of turns) {
      this.#submitted.set(name, promise);
      promise.catch(() => {});
    }
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const turn = turns.get(next.name)!;
        await this.#submit(next).then(turn.resolve, turn.reject);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    await this.#lookAtHeld(cases.filter(({ kind }) => kind === "Held"));
    await this.#act(cases.filter(({ acts }) => acts !== undefined));
    await this.#endHeld(cases.filter(({ kind }) => kind === "Held"));
    await this.#lookAtEnded(cases.filter(({ kind }) => kind === "Run"));
    const observations = new Map<string, Observation>();
    for (const { name, words, acts = [] } of cases) {
      const { observation, folder, ids: own } = await this.#submitted.get(name)!;
      const ids = new Map([...own].map((id) => [id, "JOB"]));
      for (const [, other = ""] of [...words, ...acts.flat()].join(" ").matchAll(/\{id:([^}]+)\}/g)) {
        const { id } = await this.#submitted.get(other)!;
        if (id !== undefined) ids.set(id, `JOB(${other})`);
      }
      const masked = Object.entries(observation).map(([key, text]) => [
        key.startsWith("file ") ? mask(key, ids) : key,
        this.#mask(text, hasIds.test(key) ? ids : new Map(), folder),
      ]);
      observations.set(name, Object.fromEntries(masked) as Observation);
    }
    return observations;
  }

  async ask(question: Question): Promise<Observation> {
    const said = await this.#speak(question.words, {
      cwd: this.folder,
      input: question.input,
      environment: question.environment,
    });
    const { only } = question;
    const lines = said.stdout.split("\n").map((line) => line.trimEnd());
    const shown = only === undefined ? lines : lines.filter((line) => new RegExp(only).test(line));
    return {
      code: String(said.code),
      stdout: this.#mask(shown.join("\n"), new Map(), this.folder),
      ...(said.code === 0 ? {} : { stderr: this.#mask(said.stderr, new Map(), this.folder) }),
    };
  }

  async #replace(text: string, own: { folder: string; id?: string }): Promise<string> {
    let result = text.replaceAll("{folder}", own.folder);
    if (own.id !== undefined) result = result.replaceAll("{id}", own.id);
    for (const [whole, name = ""] of text.matchAll(/\{id:([^}]+)\}/g)) {
      const other = await this.#submitted.get(name);
      if (other?.id === undefined) throw new Error(`${this.name}: case ${name} was not submitted`);
      result = result.replaceAll(whole, other.id);
    }
    return result;
  }

  async #submit(each: Case): Promise<Submitted> {
    const folder = join(this.folder, each.name.replaceAll(/[^\w.-]+/g, "_"));
    mkdirSync(folder, { recursive: true });
    const replaced = (text: string): Promise<string> => this.#replace(text, { folder });
    const words = [...(each.kind === "Held" ? ["--hold"] : []), ...(await Promise.all(each.words.map(replaced)))];
    for (const [name, text] of Object.entries(each.files ?? {})) writeFileSync(join(folder, name), text);
    if (each.script !== undefined) {
      writeFileSync(join(folder, "job.sh"), await replaced(each.script));
      words.push("job.sh", ...(each.arguments ?? []));
    } else if (each.wrap !== undefined) words.push(`--wrap=${each.wrap}`);
    const said = await this.#speak(["sbatch", ...words], {
      cwd: folder,
      input: each.input,
      environment: each.environment,
    });
    const id = /\d+/.exec(said.stdout)?.[0];
    const observation: Observation = { "sbatch code": String(said.code), "sbatch stdout": said.stdout };
    if (said.code !== 0 || each.kind === "Refused") observation["sbatch stderr"] = said.stderr;
    return { ids: new Set(id === undefined ? [] : [id]), observation, folder, ...(id === undefined ? {} : { id }) };
  }

  async #lookAtHeld(cases: readonly Case[]): Promise<void> {
    const codes = Object.values(squeueFields);
    const [rows, jobs] = await Promise.all([
      this.speak(["squeue", "-h", "-o", `%F\u001F${codes.join("\u001F")}\u001E`]),
      this.speak(["scontrol", "show", "job"]),
    ]);
    const byId = new Map(
      rows.stdout
        .split("\u001E")
        .map((row) => row.trim().split("\u001F"))
        .map(([id = "", ...values]) => [id, values]),
    );
    const shown = readShownJobs(jobs.stdout);
    for (const each of cases) {
      const { id, observation } = await this.#submitted.get(each.name)!;
      if (id === undefined) continue;
      const values = byId.get(id);
      Object.keys(squeueFields).forEach((field, at) => (observation[`squeue ${field}`] = values?.[at] ?? "(no row)"));
      const fields = shown.get(id);
      if (fields === undefined) observation["scontrol"] = "(not shown)";
      for (const [field, value] of Object.entries(fields ?? {}))
        if (jobFields.has(field)) observation[`scontrol ${field}`] = value;
    }
  }

  async #act(cases: readonly Case[]): Promise<void> {
    const one = async (each: Case): Promise<void> => {
      const { id, observation, folder } = await this.#submitted.get(each.name)!;
      if (id === undefined) return;
      if (each.kind === "Run") await this.#until(`${each.name} to run`, () => existsSync(join(folder, "running")), 300);
      for (const [index, act] of (each.acts ?? []).entries()) {
        const words = await Promise.all(act.map((word) => this.#replace(word, { folder, id })));
        if (words[0] === "sleep") {
          await sleep(1000 * Number(words[1]));
          continue;
        }
        const said = await this.#speak(words, { cwd: folder });
        const label = `act ${index + 1}, ${act[0]}`;
        Object.assign(observation, {
          [`${label} code`]: String(said.code),
          [`${label} stdout`]: said.stdout,
          [`${label} stderr`]: said.stderr,
        });
      }
    };
    const waiting = [...cases];
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await one(next);
    };
    await Promise.all([worker(), worker(), worker()]);
  }

  async #endHeld(cases: readonly Case[]): Promise<void> {
    const ids = await Promise.all(cases.map(async ({ name }) => (await this.#submitted.get(name)!).id));
    const known = ids.filter((id) => id !== undefined);
    if (known.length > 0) await this.speak(["scancel", ...known]);
  }

  async #lookAtEnded(cases: readonly Case[]): Promise<void> {
    const jobs = await Promise.all(cases.map(async (each) => ({ each, ...(await this.#submitted.get(each.name)!) })));
    const known = jobs.filter(({ id }) => id !== undefined);
    if (known.length === 0) return;
    const list = known.map(({ id }) => id).join(",");
    const fields = ["JobID", "JobIDRaw", ...sacctFields];
    let rows: string[][] = [];
    await this.#until(
      "the jobs to end",
      async () => {
        const said = await this.speak(["sacct", "-n", "-P", "-j", list, "-o", fields.join(",")]);
        rows = said.stdout
          .trim()
          .split("\n")
          .map((line) => line.split("|"));
        const state = fields.indexOf("State");
        const seen = new Set(rows.map(([job = ""]) => /^\d+/.exec(job)?.[0]));
        const open = rows.filter((row) =>
          /^(PENDING|RUNNING|COMPLETING|CONFIGURING|SUSPENDED|REQUEUED)/.test(row[state]!),
        );
        return open.length === 0 && known.every(({ id }) => seen.has(id));
      },
      300,
      // Then what has not ended is a difference, and the others are told all the same.
    ).catch((error: unknown) => console.error((error as Error).message));
    for (const { id, ids, observation, folder, each } of known) {
      for (const [job = "", raw = "", ...values] of rows) {
        if (/^\d+/.exec(job)?.[0] !== id) continue;
        ids.add(/^\d+/.exec(raw)![0]);
        const row = job.slice(id!.length);
        sacctFields.forEach((field, at) => (observation[`sacct${row} ${field}`] = values[at] ?? ""));
      }
      for (const path of filesBelow(folder)) {
        const name = relative(folder, path);
        if (["job.sh", "running", "environment", ...Object.keys(each.files ?? {})].includes(name)) continue;
        observation[`file ${name}`] = readFileSync(path, "utf8");
      }
      if (each.seesEnvironment !== true) continue;
      const path = join(folder, "environment");
      for (const line of existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : []) {
        const equals = line.indexOf("=");
        const variable = line.slice(0, equals);
        if (!leftOut.has(variable)) observation[`variable ${variable}`] = line.slice(equals + 1);
      }
    }
  }

  async #until(what: string, isSo: () => boolean | Promise<boolean>, seconds: number): Promise<void> {
    const end = Date.now() + seconds * 1000;
    while (!(await isSo())) {
      if (Date.now() > end)
        throw new Error(`${this.name}: waited ${seconds} s for ${what}\n${(await this.speak(["squeue"])).stdout}`);
      await sleep(300);
    }
  }

  #mask(text: string, ids: ReadonlyMap<string, string>, folder: string): string {
    return mask(text.replaceAll(folder, "FOLDER").replaceAll(this.folder, "FOLDER"), ids);
  }
}

/** What may differ without being a difference: ids, times, which of equal nodes it was, where the script lies. */
function mask(text: string, ids: ReadonlyMap<string, string>): string {
  let result = text
    .replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\b/g, "TIME")
    .replaceAll(/\bnode-[1-4](?![\d-])/g, "NODE")
    .replaceAll(/\bnode-\[[1-4][-,][1-4]\]/g, "NODES")
    .replaceAll(wholeNodes, "")
    .replaceAll(/\S+\/slurm_script\b/g, "SCRIPT");
  for (const [id, name] of ids) {
    result = result.replaceAll(new RegExp(`(?<![\\d:])${id}(?![\\d:])`, "g"), name);
    result = result.replaceAll(new RegExp(`(?<=[a-z]:)${id}(?=[(_+])`, "g"), name);
    for (const width of [5, 8]) result = result.replaceAll(id.padStart(width, "0"), `0${name}`);
  }
  return result.trimEnd();
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}

/** `scontrol show job`: the fields of each job, by its id; of an array its first record. */
function readShownJobs(text: string): Map<string, Observation> {
  const jobs = new Map<string, Observation>();
  for (const record of text.split(/\n\s*\n/)) {
    const fields: Observation = {};
    for (const line of record.split("\n")) {
      // What may have blanks in it stands alone on its line.
      const alone = /^\s*(Command|WorkDir|StdErr|StdIn|StdOut|Comment)=(.*)$/.exec(line);
      if (alone) fields[alone[1]!] = alone[2]!;
      else for (const [, name = "", value = ""] of line.matchAll(/(\S+?)=(\S*)/g)) fields[name] = value;
    }
    const id = fields["ArrayJobId"] ?? fields["JobId"];
    if (id !== undefined && !jobs.has(id)) jobs.set(id, fields);
  }
  return jobs;
}
