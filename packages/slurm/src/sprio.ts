/** sprio: its command line and its table. What it does not print of a job, its parts make no difference to. */
import { type Field, formatTable, type Layout, parseCodes } from "./columns.ts";
import { type Common, type JobSelector, jobSelectors, names, put, read, shown } from "./command-line-parts.ts";
import { sprioOptions } from "./command-options.ts";
import { SlurmError } from "./errors.ts";
import type { JobRow } from "./rows.ts";

export interface SprioQuery extends Common {
  jobs?: JobSelector[];
  users?: string[];
  partitions?: string[];
  /** Factors between 0 and 1 instead of points. */
  normalized: boolean;
  /** The weights only. */
  weights: boolean;
  sort?: string;
}

/** @throws SlurmError 1 in sprio's words */
export function readSprioCommandLine(words: readonly string[]): SprioQuery {
  const { given, operands } = read(words, sprioOptions, "sprio");
  if (operands.length > 0)
    throw new SlurmError(1, `error: Unrecognized option: ${operands[0]}`, 'Try "sprio --help" for more information');
  const jobs = given.get("jobs");
  return put<SprioQuery>(
    {
      ...shown(given),
      notes: [],
      noHeader: given.has("noheader"),
      long: given.has("long"),
      normalized: given.has("norm"),
      weights: given.has("weights"),
    },
    {
      format: given.get("format"),
      jobs: jobs ? jobSelectors(jobs, (word) => new SlurmError(1, `error: Invalid job id: ${word}`)) : undefined,
      users: names(given.get("user")),
      partitions: names(given.get("partition")),
      sort: given.get("sort"),
    },
  );
}

/** Weights of a site by the names of the factors. */
export type PriorityWeightsByName = Readonly<Record<string, number | undefined>>;

/** A job, or the line of weights. */
type Line = JobRow | { weights: PriorityWeightsByName };

/** As C prints with `%.0f`: halves to the even neighbour. */
function rounded(value: number): string {
  const floor = Math.floor(value);
  const half = value - floor === 0.5;
  return String(half ? (floor % 2 === 0 ? floor : floor + 1) : Math.round(value));
}

function factorOf(row: JobRow, name: string): { factor: number; points: number } {
  const found = row.priorityFactors?.find((one) => one.name === name);
  return { factor: found?.factor ?? 0, points: found?.points ?? 0 };
}

/** Of a double: as many digits as fit the column are kept by the cut. */
const largestPriority = 2 ** 32 - 1;

const fields: Record<string, Field<Line>> = (() => {
  const field = (
    header: string,
    ofJob: (row: JobRow) => string,
    ofWeights: (weights: PriorityWeightsByName) => string,
  ) => ({
    header,
    value: (line: Line) => ("weights" in line ? ofWeights(line.weights) : ofJob(line)),
  });
  const none = (): string => "";
  const points = (header: string, name: string) =>
    field(
      header,
      (row) => rounded(factorOf(row, name).points),
      (weights) => String(weights[name] ?? 0),
    );
  const factor = (header: string, name: string) =>
    field(
      header,
      (row) => factorOf(row, name).factor.toFixed(7),
      (weights) => String(weights[name] ?? 0),
    );
  const zero = (header: string, text: string, weight = "0") =>
    field(
      header,
      () => text,
      () => weight,
    );
  return {
    a: factor("AGE", "age"),
    A: points("AGE", "age"),
    b: zero("ASSOC", "0.0000000"),
    B: zero("ASSOC", "0"),
    c: field("CLUSTER", none, none),
    f: factor("FAIRSHARE", "fairShare"),
    F: points("FAIRSHARE", "fairShare"),
    i: field(
      "JOBID",
      (row) => String(row.arrayJobId ?? row.jobId),
      () => "Weights",
    ),
    j: factor("JOBSIZE", "jobSize"),
    J: points("JOBSIZE", "jobSize"),
    N: field("NICE", (row) => String(row.nice), none),
    o: field("ACCOUNT", (row) => row.account, none),
    n: field("QOSNAME", (row) => row.qos, none),
    p: factor("PARTITION", "queue"),
    P: points("PARTITION", "queue"),
    q: factor("QOS", "qos"),
    Q: points("QOS", "qos"),
    r: field("PARTITION", (row) => row.partition, none),
    S: zero("SITE", "0", "1"),
    t: field("TRES", none, none),
    T: field("TRES", none, none),
    u: field("USER", (row) => row.user, none),
    y: field("PRIORITY", (row) => ((row.priority ?? 0) / largestPriority).toFixed(14), none),
    Y: field("PRIORITY", (row) => String(Math.trunc(row.priority ?? 0)), none),
  };
})();

/** Columns of factors that the site weighs, in sprio's order: letter of the factor, letter of the points. */
const weighed = [
  ["age", "a", "A"],
  ["fairShare", "f", "F"],
  ["jobSize", "j", "J"],
  ["queue", "p", "P"],
  ["qos", "q", "Q"],
] as const;

function layoutOf({ format, long, normalized, users }: SprioQuery, weights: PriorityWeightsByName): Layout<Line> {
  if (format !== undefined) return parseCodes(format, fields, "job");
  if (long) {
    const own = normalized
      ? "%.15i %9r %.8u %.10y %.10S %.10a %.10b %.10f %.10j %.10p %.10q %.11N %.20t"
      : "%.15i %9r %.8u %.10Y %.10S %.10A %.10B %.10F %.10J %.10P %.10Q %.11N %.20T";
    return parseCodes(own, fields, "job");
  }
  const of = weighed.filter(([name]) => (weights[name] ?? 0) > 0);
  const columns = of.map(([, factor, points]) => ` %.10${normalized ? factor : points}`).join("");
  const user = users === undefined ? "" : " %.8u";
  return parseCodes(`%.15i %9r${user} %.10${normalized ? "y" : "Y"} %.10S${columns}`, fields, "job");
}

/** Reasons of jobs whose turn it is not, whatever their priority: sprio passes them over. */
const notYet: ReadonlySet<string> = new Set([
  "BeginTime",
  "Dependency",
  "DependencyNeverSatisfied",
  "JobHeldUser",
  "JobHeldAdmin",
]);

/** Whether sprio knows of the job: it waits, and for nothing but its turn. */
export function hasPriority(row: JobRow): boolean {
  return row.state === "PENDING" && !notYet.has(row.reason);
}

/**
 * sprio's output for rows that are already filtered.
 * @throws SlurmError 1 for codes that sprio does not know
 */
export function formatSprio(rows: readonly JobRow[], query: SprioQuery, weights: PriorityWeightsByName): string {
  const layout = layoutOf(query, weights);
  const lines: Line[] = query.weights ? [{ weights }] : sorted(rows, query.sort);
  return formatTable(layout, lines, !query.noHeader);
}

/** By id, or by the letters of `--sort`, `-` for descending. */
function sorted(rows: readonly JobRow[], sort: string | undefined): JobRow[] {
  const keys = [...(sort ?? "i").matchAll(/([+-]?)([A-Za-z])/g)].map(([, sign, letter]) => {
    const field = fields[letter!];
    if (field === undefined) throw new SlurmError(1, `error: Invalid sort specification: ${letter}`);
    return { field, factor: sign === "-" ? -1 : 1 };
  });
  const collator = new Intl.Collator("en", { numeric: true });
  return rows.toSorted((a, b) => {
    for (const { field, factor } of keys) {
      const order = collator.compare(field.value(a), field.value(b));
      if (order !== 0) return order * factor;
    }
    return a.jobId - b.jobId;
  });
}
