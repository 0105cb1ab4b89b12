/** Slurm's hostlists: `n[1-3,07],login`. */

/** Larger lists are refused: no cluster has them, and a slip of the hand should not take the memory of the machine. */
const maximumHosts = 200_000;

/**
 * The names behind a hostlist, in its order, each once. Empty parts (a trailing comma) are passed over.
 * @throws RangeError in words where brackets do not match or a range is none
 */
export function expandHostlist(text: string): string[] {
  const names = new Set<string>();
  for (const part of splitOutsideBrackets(text)) {
    if (part === "") continue;
    for (const name of expandOne(part)) {
      names.add(name);
      if (names.size > maximumHosts) throw new RangeError(`"${text}" names more than ${maximumHosts} nodes`);
    }
  }
  return [...names];
}

function splitOutsideBrackets(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "[") depth++;
    else if (character === "]") depth--;
    else if (character === "," && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
    if (depth < 0 || depth > 1) throw new RangeError(`"${text}": brackets do not match`);
  }
  if (depth !== 0) throw new RangeError(`"${text}": brackets do not match`);
  parts.push(text.slice(start));
  return parts.map((part) => part.trim());
}

function* expandOne(part: string): Generator<string> {
  const match = /^([^[]*)\[([^\]]*)\](.*)$/.exec(part);
  if (!match) {
    yield part;
    return;
  }
  const [, prefix = "", list = "", suffix = ""] = match;
  for (const range of list.split(",")) {
    const bounds = /^(\d+)(?:-(\d+))?$/.exec(range.trim());
    if (!bounds) throw new RangeError(`"${range}" in "${part}" is no number or range`);
    const [, first = "", last = first] = bounds;
    if (Number(last) < Number(first)) throw new RangeError(`"${range}" in "${part}" ends before it begins`);
    if (Number(last) - Number(first) >= maximumHosts) {
      throw new RangeError(`"${part}" names more than ${maximumHosts} nodes`);
    }
    for (let number = Number(first); number <= Number(last); number++) {
      for (const rest of expandOne(suffix)) yield prefix + String(number).padStart(first.length, "0") + rest;
    }
  }
}

/** The shortest hostlist: names that differ in their last number only share brackets, in the order of first appearance. */
export function compressHostlist(names: readonly string[]): string {
  const groups = new Map<string, Set<string>>();
  for (const name of names) {
    const digits = /\d{1,15}$/.exec(name)?.[0] ?? "";
    const prefix = name.slice(0, name.length - digits.length);
    const key = digits === "" ? `${prefix}\n` : prefix;
    const group = groups.get(key);
    if (group) group.add(digits);
    else groups.set(key, new Set([digits]));
  }
  const parts: string[] = [];
  for (const [key, group] of groups) {
    if (key.endsWith("\n")) {
      parts.push(key.slice(0, -1));
      continue;
    }
    const numbers = [...group].sort((a, b) => a.length - b.length || Number(a) - Number(b));
    numbers.sort((a, b) => Number(a) - Number(b));
    if (numbers.length === 1) parts.push(key + numbers[0]);
    else parts.push(`${key}[${numberRanges(numbers)}]`);
  }
  return parts.join(",");
}

function numberRanges(numbers: readonly string[]): string {
  const ranges: string[] = [];
  let first = numbers[0]!;
  let last = first;
  const close = () => ranges.push(first === last ? first : `${first}-${last}`);
  for (const number of numbers.slice(1)) {
    const next = String(Number(last) + 1).padStart(first.length, "0");
    if (number === next) last = number;
    else {
      close();
      first = last = number;
    }
  }
  close();
  return ranges.join(",");
}

/** A hostlist of the names in their own order, as `scontrol show hostlist` prints it: `n[3,1-2],m02`. */
export function compressInOrder(names: readonly string[]): string {
  const parts: { prefix: string; numbers: string[] }[] = [];
  for (const name of names) {
    const digits = /\d{1,15}$/.exec(name)?.[0] ?? "";
    const prefix = name.slice(0, name.length - digits.length);
    const last = parts.at(-1);
    if (digits !== "" && last?.prefix === prefix && last.numbers.length > 0) last.numbers.push(digits);
    else parts.push({ prefix, numbers: digits === "" ? [] : [digits] });
  }
  return parts
    .map(({ prefix, numbers }) =>
      numbers.length < 2 ? `${prefix}${numbers[0] ?? ""}` : `${prefix}[${numberRanges(numbers)}]`,
    )
    .join(",");
}
