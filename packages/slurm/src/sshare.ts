/** sshare: its command line and its table. */
import type { FairShare } from "@berth/kinds";
import { type Common, names, put, read, shown } from "./command-line-parts.ts";
import { sshareOptions } from "./command-options.ts";
import { SlurmError } from "./errors.ts";

export interface SshareQuery extends Common {
  accounts?: string[];
  users?: string[];
  /** -a: of all users; else of those that --users names, or of who asks. */
  all: boolean;
  /** -U: lines of users only. */
  usersOnly: boolean;
  parsable?: "ended" | "between";
  helpFormat: boolean;
}

/** @throws SlurmError 1 in sshare's words */
export function readSshareCommandLine(words: readonly string[]): SshareQuery {
  const { given, operands } = read(words, sshareOptions, "sshare");
  if (operands.length > 0)
    throw new SlurmError(1, `error: Unrecognized option: ${operands[0]}`, 'Try "sshare --help" for more information');
  return put<SshareQuery>(
    {
      ...shown(given),
      notes: [],
      noHeader: given.has("noheader"),
      long: given.has("long"),
      all: given.has("all"),
      usersOnly: given.has("Users"),
      helpFormat: given.has("helpformat"),
    },
    {
      format: given.get("format"),
      accounts: names(given.get("accounts")),
      users: names(given.get("users")),
      parsable: given.has("parsable2") ? "between" : given.has("parsable") ? "ended" : undefined,
    },
  );
}

interface SshareField {
  name: string;
  /** Negative: left. */
  width: number;
  value: (row: FairShare) => string;
}

const six = (value: number | undefined): string => (value === undefined ? "" : value.toFixed(6));
const isRoot = ({ spec }: FairShare): boolean => spec.depth === 0;

const fields: readonly SshareField[] = [
  { name: "Account", width: -20, value: ({ spec }) => " ".repeat(spec.depth) + spec.account },
  { name: "User", width: 10, value: ({ spec }) => spec.user ?? "" },
  { name: "RawShares", width: 10, value: (row) => (isRoot(row) ? "" : (row.spec.shares ?? "")) },
  { name: "NormShares", width: 11, value: (row) => six(isRoot(row) ? 0 : row.status?.normalizedShares) },
  { name: "RawUsage", width: 11, value: ({ status }) => String(Math.trunc(status?.billingSeconds ?? 0)) },
  { name: "NormUsage", width: 11, value: (row) => (isRoot(row) ? "" : six(row.status?.normalizedUsage)) },
  { name: "EffectvUsage", width: 13, value: (row) => six(isRoot(row) ? 1 : row.status?.effectiveUsage) },
  {
    name: "FairShare",
    width: 10,
    value: ({ spec, status }) => (spec.user === undefined ? "" : six(status?.fairShare)),
  },
  { name: "LevelFS", width: 10, value: (row) => (isRoot(row) ? "" : levelOf(row)) },
  { name: "GrpTRESMins", width: 30, value: ({ spec }) => trackedMinutes(spec.resourceMinutes) },
  { name: "TRESRunMins", width: 30, value: ({ status }) => runningMinutes(status) },
  { name: "Cluster", width: 10, value: () => "" },
  { name: "ID", width: 6, value: () => "" },
  { name: "Partition", width: 12, value: () => "" },
];

/** Minutes of trackable resources as Slurm writes and counts them: of memory in MiB. */
function trackedMinutes(minutes: Record<string, number> = {}): string {
  const { cpu, memory, ...devices } = minutes;
  const parts = [
    ...(cpu === undefined ? [] : [`cpu=${cpu}`]),
    ...(memory === undefined ? [] : [`mem=${memory * 1024}`]),
    ...Object.entries(devices).map(([name, count]) => `gres/${name.replace(/^.*\//, "")}=${count}`),
  ];
  return parts.join(",");
}

/** In Slurm's order, whole minutes, with what Slurm can track and never gives to a job; of memory in MiB. */
function runningMinutes(status: FairShare["status"]): string {
  if (status?.runningResourceMinutes === undefined) return "";
  const { cpu = 0, memory = 0, ...devices } = status.runningResourceMinutes;
  const amounts: [string, number][] = [
    ["cpu", cpu],
    ["mem", memory * 1024],
    ["energy", 0],
    ["node", status.runningNodeMinutes ?? 0],
    ["billing", status.runningBillingMinutes ?? 0],
    ["fs/disk", 0],
    ["vmem", 0],
    ["pages", 0],
    ...Object.entries(devices).map(([name, count]): [string, number] => [`gres/${name.replace(/^.*\//, "")}`, count]),
  ];
  return amounts.map(([name, amount]) => `${name}=${Math.trunc(amount)}`).join(",");
}

/** Who used nothing is ahead of all; who shares the account's place competes with nobody. */
function levelOf({ status }: FairShare): string {
  if (status?.levelFairShare !== undefined) return six(status.levelFairShare);
  return (status?.effectiveUsage ?? 0) === 0 ? "inf" : "";
}

const standardFormat = "Account,User,RawShares,NormShares,RawUsage,EffectvUsage,FairShare";
const longFormat =
  "Account,User,RawShares,NormShares,RawUsage,NormUsage,EffectvUsage,FairShare,LevelFS,GrpTRESMins,TRESRunMins";

interface SshareColumn {
  field: SshareField;
  width: number;
}

/** @throws SlurmError 1 for an unknown field */
function readFormat(format: string): SshareColumn[] {
  return format
    .split(",")
    .filter((word) => word.trim() !== "")
    .map((entry) => {
      const match = /^\s*([A-Za-z]+)(?:%(-?\d+))?\s*$/.exec(entry);
      const name = match?.[1]?.toLowerCase() ?? "";
      // As in Slurm, the beginning of a name is enough.
      const field = fields.find((one) => name !== "" && one.name.toLowerCase().startsWith(name));
      if (!match || !field) throw new SlurmError(1, `error: Invalid field requested: "${entry.trim()}"`);
      return { field, width: match[2] === undefined ? field.width : Number(match[2]) };
    });
}

/** Names of all fields, for `--helpformat`. */
export function sshareFieldNames(): string {
  return `${fields.map(({ name }) => name).join(" ")}\n`;
}

/** What of the tree is shown, in its order. */
function selectShares(rows: readonly FairShare[], query: SshareQuery, asker: string): FairShare[] {
  const users = query.all ? undefined : (query.users ?? [asker]);
  return rows.filter(({ spec }) => {
    if (query.accounts !== undefined && !query.accounts.includes(spec.account)) return false;
    if (spec.user === undefined) return !query.usersOnly;
    return users === undefined || users.includes(spec.user);
  });
}

/**
 * sshare's output for the whole tree.
 * @param asker whose lines are shown unasked
 * @throws SlurmError 1 for an unknown field
 */
export function formatSshare(rows: readonly FairShare[], query: SshareQuery, asker: string): string {
  const columns = readFormat(query.format ?? (query.long ? longFormat : standardFormat));
  const selected = selectShares(rows, query, asker);
  let text = "";
  if (query.parsable !== undefined) {
    const end = query.parsable === "ended" ? "|\n" : "\n";
    if (!query.noHeader) text += columns.map(({ field }) => field.name).join("|") + end;
    for (const row of selected) text += columns.map(({ field }) => field.value(row)).join("|") + end;
    return text;
  }
  const line = (value: (column: SshareColumn) => string): string =>
    `${columns.map((column) => cell(value(column), column.width)).join("")}\n`;
  if (!query.noHeader) {
    text += line(({ field }) => field.name);
    text += `${columns.map(({ width }) => `${"-".repeat(Math.abs(width))} `).join("")}\n`;
  }
  for (const row of selected) text += line(({ field }) => field.value(row));
  return text;
}

function cell(text: string, width: number): string {
  const size = Math.abs(width);
  const cut = text.length > size ? `${text.slice(0, Math.max(0, size - 1))}+` : text;
  return `${width < 0 ? cut.padEnd(size) : cut.padStart(size)} `;
}
