/** sinfo's table: nodes that look alike in what is shown share a line. */
import { type Field, formatTable, type Layout, parseCodes, parseNames } from "./columns.ts";
import { formatDuration, formatLimit } from "./durations.ts";
import { compressHostlist } from "./hostlist.ts";
import { mebibytes } from "./memory.ts";
import { formatDateLine, formatMoment } from "./moments.ts";
import type { NodeRow, NodeState, PartitionRow } from "./rows.ts";

export interface SinfoLayout {
  format?: string;
  names?: string;
  /** -N: one line a node and partition. */
  byNode?: boolean;
  long?: boolean;
  summarize?: boolean;
  listReasons?: boolean;
  noHeader?: boolean;
  timeFormat?: string;
  nowSeconds: number;
}

const compactStates: Record<NodeState, string> = {
  idle: "idle",
  allocated: "alloc",
  mixed: "mix",
  completing: "comp",
  planned: "plnd",
  draining: "drng",
  drained: "drain",
  down: "down",
  reserved: "resv",
  maint: "maint",
  unknown: "unk",
};

/** Order of lines within a partition: marked nodes before plain ones, busy before idle. */
const stateOrder: NodeState[] = [
  "maint",
  "reserved",
  "planned",
  "completing",
  "draining",
  "drained",
  "mixed",
  "allocated",
  "idle",
  "down",
  "unknown",
];

/** One line: nodes of one partition. Empty where a partition has none. */
interface Group {
  partition: PartitionRow | undefined;
  nodes: NodeRow[];
}

interface GroupField extends Field<Group> {
  /** `partition`: says something of the partition; `sum`: adds over nodes, so that it does not tell lines apart. */
  of: "partition" | "node" | "sum";
}

function counts(nodes: readonly NodeRow[]): [number, number, number, number] {
  let [allocated, idle, other] = [0, 0, 0];
  for (const node of nodes) {
    if (["allocated", "mixed", "completing", "draining"].includes(node.state)) allocated++;
    else if (["idle", "planned", "reserved"].includes(node.state)) idle++;
    else other++;
  }
  return [allocated, idle, other, nodes.length];
}

function cpuCounts(nodes: readonly NodeRow[]): [number, number, number, number] {
  let [allocated, idle, other, total] = [0, 0, 0, 0];
  for (const node of nodes) {
    const free = node.cpus - node.cpusAllocated;
    allocated += node.cpusAllocated;
    total += node.cpus;
    if (["down", "drained", "draining", "maint", "unknown"].includes(node.state)) other += free;
    else idle += free;
  }
  return [allocated, idle, other, total];
}

function sinfoFields(layout: SinfoLayout): { codes: Record<string, GroupField>; names: Record<string, GroupField> } {
  const partition = (header: string, value: (row: PartitionRow) => string): GroupField => ({
    header,
    of: "partition",
    value: (group) => (group.partition ? value(group.partition) : ""),
  });
  const node = (header: string, value: (row: NodeRow) => string, empty = ""): GroupField => ({
    header,
    of: "node",
    value: (group) => (group.nodes[0] ? value(group.nodes[0]) : empty),
  });
  const sum = (header: string, value: (group: Group) => string): GroupField => ({ header, of: "sum", value });
  const mark = (row: NodeRow) => (row.responding ? "" : "*");
  const all = {
    activeFeatures: node("ACTIVE_FEATURES", (row) => row.features.join(",") || "(null)"),
    allocMem: node("ALLOCMEM", (row) => String(mebibytes(row.memoryAllocatedBytes)), "0"),
    available: partition("AVAIL", (row) => row.available),
    cpus: node("CPUS", (row) => String(row.cpus), "0"),
    cpusState: sum("CPUS(A/I/O/T)", (group) => cpuCounts(group.nodes).join("/")),
    defaultTime: partition("DEFAULTTIME", (row) => formatLimit(row.defaultTimeSeconds, formatDuration, "n/a")),
    disk: node("TMP_DISK", (row) => String(mebibytes(row.temporaryDiskBytes ?? 0)), "0"),
    features: node("AVAIL_FEATURES", (row) => row.features.join(",") || "(null)"),
    freeMem: node("FREE_MEM", (row) =>
      row.freeMemoryBytes === undefined ? "N/A" : String(mebibytes(row.freeMemoryBytes)),
    ),
    gres: node("GRES", (row) => row.gres ?? "(null)"),
    gresUsed: node("GRES_USED", (row) => row.gresUsed ?? "(null)"),
    groups: partition("GROUPS", (row) => row.groups?.join(",") ?? "all"),
    host: node("HOSTNAMES", (row) => row.hostName ?? row.name),
    jobSize: partition("JOB_SIZE", (row) => `1-${row.maxNodesPerJob ?? "infinite"}`),
    memory: node("MEMORY", (row) => String(mebibytes(row.memoryBytes)), "0"),
    nodeList: sum("NODELIST", (group) => compressHostlist(group.nodes.map((row) => row.name))),
    nodes: sum("NODES", (group) => String(group.nodes.length)),
    nodesAI: sum("NODES(A/I)", (group) => counts(group.nodes).slice(0, 2).join("/")),
    nodesState: sum("NODES(A/I/O/T)", (group) => counts(group.nodes).join("/")),
    overSubscribe: partition("OVERSUBSCRIBE", () => "NO"),
    partition: partition("PARTITION", (row) => row.name + (row.default ? "*" : "")),
    partitionName: partition("PARTITION", (row) => row.name),
    priorityTier: partition("PRIO_TIER", (row) => String(row.priorityTier ?? 1)),
    reason: node("REASON", (row) => row.reason ?? "none", "none"),
    reasonTime: node("TIMESTAMP", (row) =>
      formatMoment(row.reasonTime, "Unknown", layout.timeFormat, layout.nowSeconds),
    ),
    reasonUser: node("USER", (row) => row.reasonUser ?? "Unknown"),
    root: partition("ROOT", () => "no"),
    sockets: node("S:C:T", (row) => `1:${row.cpus}:1`),
    state: node("STATE", (row) => compactStates[row.state] + mark(row), "n/a"),
    stateLong: node("STATE", (row) => row.state + mark(row), "n/a"),
    timeLimit: partition("TIMELIMIT", (row) => formatLimit(row.timeLimitSeconds, formatDuration, "infinite")),
    version: node("VERSION", (row) => row.version ?? ""),
    weight: node("WEIGHT", (row) => String(row.weight ?? 1)),
  };
  const codes: Record<string, GroupField> = {
    a: all.available,
    A: all.nodesAI,
    b: all.activeFeatures,
    c: all.cpus,
    C: all.cpusState,
    d: all.disk,
    D: all.nodes,
    e: all.freeMem,
    E: all.reason,
    f: all.features,
    F: all.nodesState,
    g: all.groups,
    G: all.gres,
    h: all.overSubscribe,
    H: all.reasonTime,
    l: all.timeLimit,
    L: all.defaultTime,
    m: all.memory,
    n: all.host,
    N: all.nodeList,
    o: all.host,
    p: all.priorityTier,
    P: all.partition,
    r: all.root,
    R: all.partitionName,
    s: all.jobSize,
    t: all.state,
    T: all.stateLong,
    u: all.reasonUser,
    U: all.reasonUser,
    v: all.version,
    w: all.weight,
    z: all.sockets,
  };
  const names: Record<string, GroupField> = {
    allocmem: all.allocMem,
    available: all.available,
    cpus: all.cpus,
    cpusstate: all.cpusState,
    defaulttime: all.defaultTime,
    disk: all.disk,
    features: all.features,
    features_act: all.activeFeatures,
    freemem: all.freeMem,
    gres: all.gres,
    gresused: all.gresUsed,
    groups: all.groups,
    memory: all.memory,
    nodeai: all.nodesAI,
    nodeaiot: all.nodesState,
    nodehost: all.host,
    nodelist: all.nodeList,
    nodes: all.nodes,
    oversubscribe: all.overSubscribe,
    partition: all.partition,
    partitionname: all.partitionName,
    prioritytier: all.priorityTier,
    reason: all.reason,
    root: all.root,
    size: all.jobSize,
    socketcorethread: all.sockets,
    statecompact: all.state,
    statelong: all.stateLong,
    time: all.timeLimit,
    timestamp: all.reasonTime,
    user: all.reasonUser,
    userlong: all.reasonUser,
    version: all.version,
    weight: all.weight,
  };
  return { codes, names };
}

function standardFormat(layout: SinfoLayout): string {
  if (layout.listReasons) return layout.long ? "%20E %12U %19H %6t %N" : "%20E %9u %19H %N";
  if (layout.summarize) return "%9P %.5a %.10l %.16F %N";
  if (layout.byNode) {
    return layout.long ? "%9N %.6D %.9P %.11T %4c %.8z %.6m %.8d %.6w %.8f %20E" : "%9N %.6D %.9P %6t";
  }
  return layout.long ? "%9P %.5a %.10l %.10s %.4r %.8h %.10g %.6D %.11T %N" : "%9P %.5a %.10l %.6D %.6t %N";
}

/**
 * sinfo's output for partitions in their order and nodes that are already filtered.
 * @throws SlurmError 1 for codes or names that sinfo does not know
 */
export function formatSinfo(
  partitions: readonly PartitionRow[],
  nodes: readonly NodeRow[],
  layout: SinfoLayout,
): string {
  const { codes, names } = sinfoFields(layout);
  const own = layout.format === undefined && layout.names === undefined;
  const columns =
    layout.names === undefined
      ? parseCodes(layout.format ?? standardFormat(layout), codes, "node")
      : parseNames(layout.names, names, "node");
  const shown = columns.columns.map((column) => column.field as GroupField);
  const groups = makeGroups(partitions, nodes, shown, layout);
  if (own) widen(columns, groups);
  const dateLine = layout.long && own && !layout.noHeader ? `${formatDateLine(layout.nowSeconds)}\n` : "";
  return dateLine + formatTable(columns, groups, !layout.noHeader);
}

function makeGroups(
  partitions: readonly PartitionRow[],
  nodes: readonly NodeRow[],
  shown: readonly GroupField[],
  layout: SinfoLayout,
): Group[] {
  const inPartitions = new Set(partitions.flatMap((partition) => partition.nodes));
  const relevant = nodes.filter(
    (row) => inPartitions.has(row.name) && (!layout.listReasons || row.reason !== undefined),
  );
  const byName = new Map(relevant.map((row) => [row.name, row]));
  const perPartition = layout.listReasons ? false : shown.some((field) => field.of === "partition");
  const keyFields = shown.filter((field) => field.of === "node");
  const sets: Group[] = perPartition
    ? partitions.map((partition) => ({
        partition,
        nodes: partition.nodes.map((name) => byName.get(name)).filter((row) => row !== undefined),
      }))
    : [{ partition: undefined, nodes: relevant }];
  const groups: Group[] = [];
  for (const { partition, nodes: members } of sets) {
    if (members.length === 0) {
      if (partition && !layout.byNode) groups.push({ partition, nodes: [] });
      continue;
    }
    const lines = new Map<string, Group>();
    for (const row of members) {
      const single = { partition, nodes: [row] };
      const key = layout.byNode ? row.name : JSON.stringify(keyFields.map((field) => field.value(single)));
      const line = lines.get(key);
      if (line) line.nodes.push(row);
      else lines.set(key, single);
    }
    const sorted = [...lines.values()];
    if (!layout.byNode) {
      const order = (group: Group) => stateOrder.indexOf(group.nodes[0]!.state);
      sorted.sort((a, b) => order(a) - order(b));
    }
    groups.push(...sorted);
  }
  if (layout.byNode) {
    const order = new Map(nodes.map((row, index) => [row.name, index]));
    groups.sort((a, b) => order.get(a.nodes[0]!.name)! - order.get(b.nodes[0]!.name)!);
  }
  return groups;
}

/** In sinfo's own layouts names and limits are never cut: their columns grow with them. */
function widen(layout: Layout<Group>, groups: readonly Group[]): void {
  for (const column of layout.columns) {
    if (column.width === 0 || !["PARTITION", "NODELIST", "TIMELIMIT"].includes(column.field.header)) continue;
    for (const group of groups) column.width = Math.max(column.width, column.field.value(group).length);
  }
}
