/** sinfo's command line. */
import { type Common, hosts, names, put, read, shown } from "./command-line-parts.ts";
import { sinfoOptions } from "./command-options.ts";
import { SlurmError } from "./errors.ts";

export interface SinfoQuery extends Common {
  byNode: boolean;
  summarize: boolean;
  listReasons: boolean;
  partitions?: string[];
  nodes?: string[];
  /** Words of sinfo (`idle`, `mixed`, `down`, …), lower case, long form. */
  states?: string[];
  /** --responding and --dead. */
  responding?: boolean;
  timeFormat?: string;
}

const nodeStateWords: Record<string, string> = {
  alloc: "allocated",
  comp: "completing",
  drain: "drain",
  drng: "draining",
  mix: "mixed",
  plnd: "planned",
  resv: "reserved",
  unk: "unknown",
};
const nodeStates =
  "allocated completing down drain drained draining fail idle maint mixed planned reserved unknown".split(" ");

/** @throws SlurmError 1 in sinfo's words */
export function readSinfoCommandLine(
  words: readonly string[],
  environment: Record<string, string | undefined> = {},
): SinfoQuery {
  const { given, operands } = read(words, sinfoOptions, "sinfo");
  if (operands.length > 0)
    throw new SlurmError(1, `error: Unrecognized option: ${operands[0]}`, 'Try "sinfo --help" for more information');
  const states = names(given.get("states"))
    ?.filter((word) => word.toLowerCase() !== "all")
    .map((word) => {
      const state = nodeStateWords[word.toLowerCase()] ?? word.toLowerCase();
      if (nodeStates.includes(state)) return state;
      throw new SlurmError(
        1,
        `error: Bad state string: "${word}"`,
        `error: Valid node states include: ${nodeStates.join(" ").toUpperCase()}`,
      );
    });
  const format = given.get("format") ?? (given.has("Format") ? undefined : environment.SINFO_FORMAT);
  return put<SinfoQuery>(
    {
      ...shown(given),
      notes: [],
      noHeader: given.has("noheader"),
      long: given.has("long"),
      byNode: given.has("Node"),
      summarize: given.has("summarize"),
      listReasons: given.has("list-reasons"),
    },
    {
      format,
      names: given.get("Format"),
      partitions: names(given.get("partition") ?? environment.SINFO_PARTITION),
      nodes: hosts(given.get("nodes")),
      states: states && states.length > 0 ? states : undefined,
      responding: given.has("responding") ? true : given.has("dead") ? false : undefined,
      timeFormat: environment.SLURM_TIME_FORMAT,
    },
  );
}
