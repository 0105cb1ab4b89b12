/**
 * Domains of nodes (block, rack, node, or those of any label), and how a gang is put into them: one domain where that is asked
 * for, the one that leaves the least over, and within it the fewest smaller ones.
 */
import type { NodeRecord, NodeTable } from "./nodes.ts";

export type Pick = [node: NodeRecord, pods: number];

/** The domains of all nodes under some keys together. */
export class DomainTable {
  readonly keys: readonly string[];
  /** By node index; -1: it lacks one of the keys. */
  of: Int32Array = new Int32Array(0);
  /** By domain: its values, as one string by which ties are broken. */
  readonly paths: string[] = [];
  readonly #byPath = new Map<string, number>();
  #epoch = -1;
  #read = 0;

  constructor(keys: readonly string[]) {
    this.keys = keys;
  }

  /** Brings {@link of} up to date with nodes that came or changed. */
  refresh({ nodes, shapes }: NodeTable): this {
    const from = this.#epoch === shapes.epoch && this.of.length >= nodes.length ? this.#read : undefined;
    if (this.of.length < nodes.length) {
      const of = new Int32Array(Math.max(64, 2 * nodes.length)).fill(-1);
      of.set(this.of);
      this.of = of;
    }
    if (from === undefined) for (const node of nodes) this.of[node.index] = this.#domainOf(node);
    else {
      for (let at = from; at < shapes.entries.length; at += 1) {
        const index = shapes.entries[at]!;
        this.of[index] = this.#domainOf(nodes[index]!);
      }
    }
    this.#epoch = shapes.epoch;
    this.#read = shapes.entries.length;
    return this;
  }

  /** Domain of a value, for a table of one key. */
  domain(path: string): number | undefined {
    return this.#byPath.get(path);
  }

  /** Value under the last key, for people. */
  nameOf(domain: number): string {
    return this.paths[domain]!.slice(this.paths[domain]!.lastIndexOf("\n") + 1);
  }

  #domainOf({ input, state }: NodeRecord): number {
    if (state === "Gone") return -1;
    let path = "";
    for (const key of this.keys) {
      const value = input.domains?.[key];
      if (value === undefined) return -1;
      path = path === "" ? value : `${path}\n${value}`;
    }
    let domain = this.#byPath.get(path);
    if (domain === undefined) {
      domain = this.paths.length;
      this.paths.push(path);
      this.#byPath.set(path, domain);
    }
    return domain;
  }
}

/** The levels of the cluster and the tables of domains that somebody asked for. */
export class Topology {
  levels: readonly string[] = [];
  readonly #nodes: NodeTable;
  readonly #tables = new Map<string, DomainTable>();

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  /** Keys that name a domain of a level: all levels down to it; of a key that is no level, it alone. */
  path(level: string): readonly string[] {
    const at = this.levels.indexOf(level);
    return at < 0 ? [level] : this.levels.slice(0, at + 1);
  }

  /** Domains of a level (its whole path), up to date. */
  domains(level: string): DomainTable {
    return this.#table(this.path(level));
  }

  /** Domains of one key alone. */
  domainsOfKey(key: string): DomainTable {
    return this.#table([key]);
  }

  /** The level and those above it, the smallest domains first. */
  upwards(level: string): DomainTable[] {
    const at = this.levels.indexOf(level);
    if (at < 0) return [this.domains(level)];
    return this.levels
      .slice(0, at + 1)
      .map((one) => this.domains(one))
      .reverse();
  }

  /** The levels below one; below nothing: all of them. */
  below(level: string | undefined): DomainTable[] {
    if (level === undefined) return this.levels.map((one) => this.domains(one));
    const at = this.levels.indexOf(level);
    return at < 0 ? [] : this.levels.slice(at + 1).map((one) => this.domains(one));
  }

  #table(keys: readonly string[]): DomainTable {
    const name = JSON.stringify(keys);
    let table = this.#tables.get(name);
    if (table === undefined) this.#tables.set(name, (table = new DomainTable(keys)));
    return table.refresh(this.#nodes);
  }
}

/** Pods that some nodes hold, summed by domain. */
export function roomByDomain(domains: DomainTable, options: readonly Pick[]): Map<number, number> {
  const room = new Map<number, number>();
  for (const [node, pods] of options) {
    const domain = domains.of[node.index]!;
    if (domain >= 0) room.set(domain, (room.get(domain) ?? 0) + pods);
  }
  return room;
}

/** The most that one domain holds of what each node holds. */
export function mostInOneDomain(domains: DomainTable, counts: Int32Array, nodes: number): number {
  const sums = new Int32Array(domains.paths.length);
  let most = 0;
  for (let index = 0; index < nodes; index += 1) {
    const domain = domains.of[index]!;
    if (domain < 0 || counts[index] === 0) continue;
    sums[domain]! += counts[index]!;
    if (sums[domain]! > most) most = sums[domain]!;
  }
  return most;
}

interface Part {
  room: number;
  name: string;
  options: Pick[];
}

/**
 * Takes `pods` from options that hold at least so many: of each level the fewest domains, and of these the last one the one that
 * it leaves least over in. Nodes by the same rule; of equal ones the fullest, then the first.
 */
export function pickNested(
  options: readonly Pick[],
  levels: readonly DomainTable[],
  pods: number,
  score: Float64Array,
): Pick[] {
  const [level, ...below] = levels;
  if (level === undefined) return pickFewest(options, pods, score);
  const parts = new Map<number, Part>();
  for (const option of options) {
    const domain = level.of[option[0].index]!;
    let part = parts.get(domain);
    if (part === undefined) {
      parts.set(domain, (part = { room: 0, name: domain < 0 ? "" : level.paths[domain]!, options: [] }));
    }
    part.room += option[1];
    part.options.push(option);
  }
  const sorted = [...parts.values()].sort((a, b) => b.room - a.room || (a.name < b.name ? -1 : 1));
  const picks: Pick[] = [];
  for (const { part, taken } of fewest(sorted, pods)) picks.push(...pickNested(part.options, below, taken, score));
  return picks;
}

function pickFewest(options: readonly Pick[], pods: number, score: Float64Array): Pick[] {
  const sorted = options
    .map((option) => ({ room: option[1], option }))
    .sort((a, b) => {
      const [first, second] = [a.option[0].index, b.option[0].index];
      return b.room - a.room || score[first]! - score[second]! || first - second;
    });
  return fewest(sorted, pods).map(({ part, taken }): Pick => [part.option[0], taken]);
}

/** The fewest parts that hold so many, the last one the smallest that holds the rest. `parts`: the largest first. */
function fewest<P extends { room: number }>(parts: readonly P[], pods: number): { part: P; taken: number }[] {
  const result: { part: P; taken: number }[] = [];
  let missing = pods;
  for (let index = 0; index < parts.length && missing > 0; index += 1) {
    let at = index;
    if (parts[index]!.room >= missing) {
      // The last part that still holds the rest; of equal ones the first.
      while (at + 1 < parts.length && parts[at + 1]!.room >= missing) at += 1;
      while (at > index && parts[at - 1]!.room === parts[at]!.room) at -= 1;
    }
    const taken = Math.min(missing, parts[at]!.room);
    result.push({ part: parts[at]!, taken });
    missing -= taken;
  }
  return result;
}
