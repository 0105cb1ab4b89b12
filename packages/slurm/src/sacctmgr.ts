/** sacctmgr's everyday part: its command line, what it changes, and its tables. Accounts, users and QOS are Berth's own kinds. */
import type { AccountSpec, Limits, MembershipSpec, QualityOfServiceSpec } from "@berth/kinds";
import { type Column, formatTable } from "./columns.ts";
import { formatFullDuration, parseTimeLimit } from "./durations.ts";
import { SlurmError } from "./errors.ts";
import { parseMemory } from "./memory.ts";

export type SacctmgrEntity = "account" | "user" | "qos" | "association" | "cluster";

export interface SacctmgrCommand {
  verb: "show" | "add" | "modify" | "delete";
  entity: SacctmgrEntity;
  /** By lower-case name; `names` are those without one. */
  where: Record<string, string[]>;
  set: Record<string, string>;
  noHeader: boolean;
  /** `-p` ends each line with a bar, `-P` does not. */
  parsable?: "Ended" | "Plain";
  quiet: boolean;
  format?: string;
}

/** Only its own keys: words of users are looked up. */
function own<Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

const verbs: Record<string, SacctmgrCommand["verb"]> = {
  show: "show",
  list: "show",
  add: "add",
  create: "add",
  modify: "modify",
  update: "modify",
  delete: "delete",
  remove: "delete",
};
const entities: [RegExp, SacctmgrEntity][] = [
  [/^acc(ou?n?t?s?)?$/i, "account"],
  [/^users?$/i, "user"],
  [/^qos$/i, "qos"],
  [/^assoc(iations?)?$/i, "association"],
  [/^clusters?$/i, "cluster"],
];

/** @throws SlurmError 1, in words */
export function readSacctmgrCommand(words: readonly string[]): SacctmgrCommand {
  const options = { noHeader: false, quiet: false } as Pick<SacctmgrCommand, "noHeader" | "quiet" | "parsable">;
  const rest: string[] = [];
  for (const word of words) {
    const long: Record<string, string> = {
      "--noheader": "n",
      "--parsable": "p",
      "--parsable2": "P",
      "--immediate": "i",
      "--quiet": "Q",
    };
    const letters = own(long, word) ?? (/^-[A-Za-z]+$/.test(word) ? word.slice(1) : undefined);
    if (letters === undefined) {
      if (word.startsWith("-")) throw new SlurmError(1, `: unrecognized option '${word}'`);
      rest.push(word);
      continue;
    }
    for (const letter of letters) {
      if (letter === "n") options.noHeader = true;
      else if (letter === "p") options.parsable = "Ended";
      else if (letter === "P") options.parsable = "Plain";
      else if (letter === "Q") options.quiet = true;
      else if (letter !== "i") throw new SlurmError(1, `: invalid option -- '${letter}'`);
    }
  }
  const [verbWord = "", entityWord = "", ...terms] = rest;
  const verb = own(verbs, verbWord.toLowerCase());
  if (verb === undefined)
    throw new SlurmError(
      1,
      verbWord === "" ? "error: say what to do: sacctmgr show|add|modify|delete ..." : `invalid keyword: ${verbWord}`,
    );
  const entity = entities.find(([pattern]) => pattern.test(entityWord))?.[1];
  if (entity === undefined)
    throw new SlurmError(
      1,
      `error: sacctmgr ${verbWord} ${entityWord}: there are account, user, qos, association and cluster`,
    );
  const command: SacctmgrCommand = { verb, entity, where: {}, set: {}, ...options };
  let isSet = verb === "add";
  for (const term of terms) {
    if (/^where$/i.test(term)) isSet = false;
    else if (/^set$/i.test(term)) isSet = true;
    else addTerm(command, term, isSet);
  }
  return command;
}

/** What says which objects are meant, also where things are added. */
const selecting = new Set(["name", "names", "account", "accounts", "acct", "user", "users", "cluster", "clusters"]);

function addTerm(command: SacctmgrCommand, term: string, isSet: boolean): void {
  const match = /^([A-Za-z]+)[+-]?=(.*)$/s.exec(term);
  const name = match?.[1]?.toLowerCase() ?? "names";
  const value = match?.[2] ?? term;
  if (name === "format") command.format = value;
  else if (!match && /^with/i.test(term)) return;
  else if (isSet && !selecting.has(name)) command.set[name] = value;
  else {
    const key = name === "name" ? "names" : name.replace(/s$/, "").replace(/^acct$/, "account");
    const list = key === "name" ? "names" : key;
    (command.where[list] ??= []).push(...value.split(",").filter((each) => each !== ""));
  }
}

/** null takes a field away (`-1` in sacctmgr). */
type Change<Spec> = { [Key in keyof Spec]?: Spec[Key] | null | object };

const clears = (value: string): boolean => value === "-1" || value === "";

function count(name: string, value: string): number | null {
  if (clears(value)) return null;
  if (!/^\d{1,9}$/.test(value)) throw new SlurmError(1, `error: Bad value for ${name}: ${value}`);
  return Number(value);
}

function shares(value: string): number | "Parent" | null {
  return /^parent$/i.test(value) ? "Parent" : count("fairshare", value);
}

/** `cpu=4,mem=10G,gres/gpu=2` by the names of resources. */
function resources(value: string): Record<string, string | null> {
  const result: Record<string, string | null> = {};
  for (const entry of value.split(",").filter((each) => each !== "")) {
    const [name = "", amount = ""] = entry.split("=");
    const resource = own({ cpu: "cpu", mem: "memory", "gres/gpu": "nvidia.com/gpu" }, name.toLowerCase());
    if (resource === undefined)
      throw new SlurmError(1, `error: ${name} is not counted by Berth; cpu, mem and gres/gpu are`);
    if (clears(amount)) result[resource] = null;
    else if (resource === "memory") result[resource] = `${Math.ceil((parseMemory(amount, "mem") ?? 0) / 2 ** 20)}Mi`;
    else result[resource] = String(count(name, amount));
  }
  return result;
}

const wallTime = (value: string): number | null => (clears(value) ? null : parseTimeLimit(value));

/** What all entities' limits have in common, by sacctmgr's names. */
function limitOf(name: string, value: string): object | undefined {
  switch (name) {
    case "grpjobs":
      return { runningJobs: count(name, value) };
    case "grpsubmit":
    case "grpsubmitjobs":
      return { submittedJobs: count(name, value) };
    case "grptres":
      return { resources: resources(value) };
    case "maxwall":
    case "maxwalldurationperjob":
      return { perJob: { wallTimeSeconds: wallTime(value) } };
    case "maxtres":
    case "maxtresperjob":
    case "maxtrespj":
      return { perJob: { resources: resources(value) } };
    case "maxjobspu":
    case "maxjobsperuser":
      return { perUser: { runningJobs: count(name, value) } };
    case "maxsubmitpu":
    case "maxsubmitjobspu":
    case "maxsubmitjobsperuser":
      return { perUser: { submittedJobs: count(name, value) } };
    case "maxtrespu":
    case "maxtresperuser":
      return { perUser: { resources: resources(value) } };
    default:
      return undefined;
  }
}

function merge(into: Record<string, unknown>, from: object): void {
  for (const [key, value] of Object.entries(from)) {
    const old = into[key];
    if (typeof value === "object" && value !== null && typeof old === "object" && old !== null)
      merge(old as Record<string, unknown>, value as object);
    else into[key] = value;
  }
}

/**
 * What `set` makes of a spec, as a merge patch.
 * @throws SlurmError 1 for what Berth has no counterpart for
 */
export function sacctmgrChanges(
  entity: SacctmgrEntity,
  set: Readonly<Record<string, string>>,
): Change<AccountSpec & MembershipSpec & QualityOfServiceSpec> {
  const changes: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(set)) {
    const ofKind = entity === "qos" ? ofQos(name, value) : ofShares(entity, name, value);
    const limit = ofKind === undefined ? limitOf(name, value) : undefined;
    if (ofKind === undefined && limit === undefined)
      throw new SlurmError(
        1,
        ` Unknown option: ${name}=${value}`,
        `: what Berth has is told by kubectl explain ${entity === "user" ? "membership" : entity}.spec`,
      );
    merge(changes, ofKind ?? { limits: limit });
  }
  return changes;
}

function ofShares(entity: SacctmgrEntity, name: string, value: string): object | undefined {
  switch (name) {
    case "fairshare":
    case "share":
    case "shares":
      return { shares: shares(value) };
    case "defaultqos":
      return { qos: clears(value) ? null : value };
    case "maxjobs":
      return {
        limits:
          entity === "user" ? { runningJobs: count(name, value) } : { perUser: { runningJobs: count(name, value) } },
      };
    case "maxsubmit":
    case "maxsubmitjobs":
      return {
        limits:
          entity === "user"
            ? { submittedJobs: count(name, value) }
            : { perUser: { submittedJobs: count(name, value) } },
      };
    case "parent":
      return entity === "account" ? { parent: clears(value) || value === "root" ? null : value } : undefined;
    case "description":
    case "descr":
      return entity === "account" ? { description: value } : undefined;
    case "organization":
    case "org":
      return entity === "account" ? {} : undefined;
    case "adminlevel":
      return entity === "user" ? { operator: /^(admin|operator)/i.test(value) } : undefined;
    default:
      return undefined;
  }
}

function ofQos(name: string, value: string): object | undefined {
  switch (name) {
    case "priority":
      return { priority: count(name, value) };
    case "usagefactor":
      if (!/^\d+(\.\d+)?$/.test(value)) throw new SlurmError(1, `error: Bad value for usagefactor: ${value}`);
      return { usageFactor: Number(value) };
    case "preempt":
      return { preempts: value.split(",").filter((each) => each !== "") };
    case "preemptmode": {
      const mode = own({ requeue: "Requeue", cancel: "Cancel", suspend: "Suspend" }, value.toLowerCase());
      if (mode === undefined) throw new SlurmError(1, `error: Bad value for preemptmode: ${value}`);
      return { preemption: { mode } };
    }
    case "gracetime":
      return { preemption: { graceSeconds: count(name, value) } };
    default:
      return undefined;
  }
}

/** One line of a table: an account, a user, an association or a QOS. */
export interface SacctmgrRow {
  cluster?: string;
  account?: string;
  user?: string;
  parent?: string;
  description?: string;
  defaultAccount?: string;
  operator?: boolean;
  shares?: number | "Parent";
  qos?: string;
  name?: string;
  priority?: number;
  usageFactor?: number;
  preempts?: readonly string[];
  preemptMode?: string;
  graceSeconds?: number;
  limits?: Limits;
}

const text = (value: string | number | undefined): string => (value === undefined ? "" : String(value));

function tres(list: Readonly<Record<string, string | number>> | undefined): string {
  const names: Record<string, string> = { memory: "mem", "nvidia.com/gpu": "gres/gpu" };
  return Object.entries(list ?? {})
    .map(([resource, amount]) => `${names[resource] ?? resource}=${String(amount).replace(/^(\d+)([KMGT])i$/, "$1$2")}`)
    .join(",");
}

type Shown = [header: string, width: number, value: (row: SacctmgrRow) => string];

const fields: Record<string, Shown> = {
  account: ["Account", 10, (row) => text(row.account)],
  cluster: ["Cluster", 10, (row) => text(row.cluster)],
  user: ["User", 10, (row) => text(row.user)],
  descr: ["Descr", 20, (row) => text(row.description)],
  description: ["Descr", 20, (row) => text(row.description)],
  organization: ["Org", 20, (row) => text(row.description)],
  parentname: ["Par Name", 10, (row) => text(row.parent)],
  defaultaccount: ["Def Acct", 10, (row) => text(row.defaultAccount)],
  adminlevel: ["Admin", 9, (row) => (row.operator === true ? "Administ+" : "None")],
  share: ["Share", 9, (row) => (row.shares === "Parent" ? "parent" : text(row.shares ?? 1))],
  fairshare: ["Share", 9, (row) => (row.shares === "Parent" ? "parent" : text(row.shares ?? 1))],
  qos: ["QOS", 20, (row) => row.qos ?? "normal"],
  defaultqos: ["Def QOS", 9, (row) => text(row.qos)],
  name: ["Name", 10, (row) => text(row.name)],
  priority: ["Priority", 10, (row) => text(row.priority ?? 0)],
  usagefactor: ["UsageFactor", 11, (row) => (row.usageFactor ?? 1).toFixed(6)],
  preempt: ["Preempt", 10, (row) => (row.preempts ?? []).join(",")],
  preemptmode: ["PreemptMode", 11, (row) => (row.preemptMode ?? "cluster").toLowerCase()],
  gracetime: ["GraceTime", 10, (row) => formatFullDuration(row.graceSeconds ?? 0)],
  grpjobs: ["GrpJobs", 7, (row) => text(row.limits?.runningJobs)],
  grpsubmit: ["GrpSubmit", 9, (row) => text(row.limits?.submittedJobs)],
  grptres: ["GrpTRES", 13, (row) => tres(row.limits?.resources)],
  maxjobs: [
    "MaxJobs",
    7,
    (row) => text(row.user === undefined ? row.limits?.perUser?.runningJobs : row.limits?.runningJobs),
  ],
  maxsubmit: [
    "MaxSubmit",
    9,
    (row) => text(row.user === undefined ? row.limits?.perUser?.submittedJobs : row.limits?.submittedJobs),
  ],
  maxwall: [
    "MaxWall",
    11,
    (row) =>
      row.limits?.perJob?.wallTimeSeconds === undefined ? "" : formatFullDuration(row.limits.perJob.wallTimeSeconds),
  ],
  maxtres: ["MaxTRES", 13, (row) => tres(row.limits?.perJob?.resources)],
  maxjobspu: ["MaxJobsPU", 9, (row) => text(row.limits?.perUser?.runningJobs)],
  maxsubmitpu: ["MaxSubmitPU", 11, (row) => text(row.limits?.perUser?.submittedJobs)],
  maxtrespu: ["MaxTRESPU", 13, (row) => tres(row.limits?.perUser?.resources)],
};

const standard: Record<SacctmgrEntity, string> = {
  account: "account,descr,organization",
  user: "user,defaultaccount,adminlevel",
  qos: "name,priority,gracetime,preempt,preemptmode,usagefactor,grptres,grpjobs,grpsubmit,maxtres,maxwall,maxtrespu,maxjobspu,maxsubmitpu",
  association: "cluster,account,user,share,grpjobs,grptres,grpsubmit,maxjobs,maxtres,maxsubmit,maxwall,qos,defaultqos",
  cluster: "cluster",
};

/** @throws SlurmError 1 for a field that there is not */
export function formatSacctmgr(rows: readonly SacctmgrRow[], command: SacctmgrCommand): string {
  const columns = (command.format ?? standard[command.entity]).split(",").map((entry): Shown => {
    const [given = "", width] = entry.trim().split("%");
    const name = given.toLowerCase();
    const key = Object.hasOwn(fields, name)
      ? name
      : Object.keys(fields).find((each) => name.length >= 3 && each.startsWith(name));
    if (key === undefined) throw new SlurmError(1, `Unknown field '${given}'`);
    const [header, usual, value] = fields[key]!;
    return [header, width === undefined ? usual : Number(width), value];
  });
  if (command.parsable !== undefined) {
    const end = command.parsable === "Ended" ? "|\n" : "\n";
    const line = (cells: string[]): string => cells.join("|") + end;
    return (
      (command.noHeader ? "" : line(columns.map(([header]) => header))) +
      rows.map((row) => line(columns.map(([, , value]) => value(row)))).join("")
    );
  }
  const table = columns.map(([header, width, value]): Column<SacctmgrRow> => ({
    field: { header, value: (row) => cut(value(row), width) },
    width: Math.abs(width),
    right: width > 0,
    before: "",
  }));
  table.forEach((column, index) => (column.before = index === 0 ? "" : " "));
  const ruler = table.map(({ width }) => "-".repeat(width)).join(" ");
  const body = formatTable({ columns: table, after: " " }, rows, !command.noHeader);
  return command.noHeader ? body : body.replace("\n", `\n${ruler} \n`);
}

function cut(value: string, width: number): string {
  const length = Math.abs(width);
  return value.length <= length ? value : `${value.slice(0, length - 1)}+`;
}
