/** YAML documents of which each field knows its line, so that what is wrong can be named where it stands. */
import { constructFromEvents, EVENT_ID, getScalarValue, parseEvents, YAMLException } from "js-yaml";

export interface YamlDocument {
  value: unknown;
  /** Of a field by its path as the API names it (`spec.limits.perUser`, `items[2].kind`), or of the nearest that is there. */
  lineOf: (path: string) => number;
}

/** A text that is no YAML: where, and why. */
export class YamlError extends Error {
  override name = "YamlError";
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

interface Open {
  path: string;
  /** Of a sequence the next index; of a mapping the key whose value comes next. */
  index?: number;
  key?: string;
  isMapping: boolean;
}

type Event = ReturnType<typeof parseEvents>[number];

/** @throws YamlError */
export function parseYamlDocuments(text: string): YamlDocument[] {
  try {
    const events = parseEvents(text, {});
    const values = constructFromEvents(events, { source: text });
    const lines = new Lines(text);
    const documents: YamlDocument[] = [];
    let begin = 0;
    for (const value of values) {
      const { places, end } = placesOf(events, begin, text, lines);
      begin = end;
      documents.push({ value, lineOf: (path) => nearest(places, path) });
    }
    return documents;
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    throw new YamlError((error.mark?.line ?? 0) + 1, error.reason);
  }
}

/** Lines of all fields of the document whose events begin at `begin`. */
function placesOf(
  events: readonly Event[],
  begin: number,
  text: string,
  lines: Lines,
): { places: Map<string, number>; end: number } {
  const places = new Map<string, number>();
  const open: Open[] = [];
  let depth = 0;
  const note = (paths: readonly string[], position: number): void => {
    for (const path of paths) if (!places.has(path)) places.set(path, lines.at(position));
  };
  for (let at = begin; at < events.length; at += 1) {
    const event = events[at]!;
    if (event.type === EVENT_ID.POP) {
      open.pop();
      depth -= 1;
      if (depth === 0) return { places, end: at + 1 };
      continue;
    }
    if (event.type === EVENT_ID.DOCUMENT) {
      depth += 1;
      continue;
    }
    const parent = open.at(-1);
    const isKey = parent !== undefined && depth > 1 && parent.isMapping && parent.key === undefined;
    if (isKey) {
      // Keys that are no texts name no field.
      const key = event.type === EVENT_ID.SCALAR ? getScalarValue(text, event) : "";
      parent.key = key;
      if (event.type === EVENT_ID.SCALAR) note(pathsOf(parent.path, key), event.valueStart);
    } else {
      const path = parent === undefined ? "" : pathWithin(parent);
      if ("start" in event) note([path], event.start);
      else if ("valueStart" in event) note([path], event.valueStart);
      if (parent !== undefined) {
        if (parent.isMapping) parent.key = undefined;
        else parent.index = (parent.index ?? 0) + 1;
      }
      if (event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE) {
        open.push({ path, isMapping: event.type === EVENT_ID.MAPPING });
        depth += 1;
        continue;
      }
    }
    if (isKey && (event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE)) {
      open.push({ path: "", isMapping: event.type === EVENT_ID.MAPPING });
      depth += 1;
    }
  }
  return { places, end: events.length };
}

function pathWithin(parent: Open): string {
  if (!parent.isMapping) return `${parent.path}[${parent.index ?? 0}]`;
  return pathsOf(parent.path, parent.key ?? "")[0]!;
}

/** A field of an object, or an entry of a map. */
function pathsOf(parent: string, key: string): [string, string] {
  return [parent === "" ? key : `${parent}.${key}`, `${parent}[${key}]`];
}

function nearest(places: ReadonlyMap<string, number>, path: string): number {
  for (let part = path; ;) {
    const line = places.get(part);
    if (line !== undefined) return line;
    const cut = Math.max(part.lastIndexOf("."), part.lastIndexOf("["));
    if (cut <= 0) return places.get("") ?? 1;
    part = part.slice(0, cut);
  }
}

class Lines {
  readonly #starts: number[] = [0];

  constructor(text: string) {
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.#starts.push(at + 1);
  }

  /** From 1. */
  at(position: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle]! <= position) low = middle;
      else high = middle;
    }
    return low + 1;
  }
}
