/** JSON with duplicate fields told, for `fieldValidation=Strict` and `Warn`. */
import { badRequest } from "./status-error.ts";

export interface StrictJson {
  /** As JSON.parse gives it: of duplicates the last counts. */
  value: unknown;
  /** Paths of fields that appear more than once, `spec.containers[0].name`, each once, in the order found. */
  duplicates: string[];
}

interface Level {
  path: string;
  /** Keys seen so far; undefined in a list. */
  keys: Set<string> | undefined;
  index: number;
}

/** @throws ApiError BadRequest for what is no JSON */
export function parseJsonStrict(text: string): StrictJson {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badRequest(`the body is no JSON: ${(error as Error).message}`);
  }
  return { value, duplicates: duplicateFields(text) };
}

/** The text is known to be good JSON, so that only strings and brackets need to be looked at. */
function duplicateFields(text: string): string[] {
  const duplicates = new Set<string>();
  const levels: Level[] = [];
  let path = "";
  let expectsKey = false;
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],]/g;
  for (let match = tokens.exec(text); match !== null; match = tokens.exec(text)) {
    const token = match[0];
    const level = levels.at(-1);
    switch (token) {
      case "{":
        levels.push({ path, keys: new Set(), index: 0 });
        expectsKey = true;
        break;
      case "[":
        levels.push({ path, keys: undefined, index: 0 });
        path = `${path}[0]`;
        expectsKey = false;
        break;
      case "}":
      case "]":
        path = levels.pop()!.path;
        expectsKey = false;
        break;
      case ",":
        if (level!.keys === undefined) path = `${level!.path}[${++level!.index}]`;
        expectsKey = level!.keys !== undefined;
        break;
      default: {
        if (!expectsKey || level?.keys === undefined) break;
        const key = JSON.parse(token) as string;
        path = level.path === "" ? key : `${level.path}.${key}`;
        if (level.keys.has(key)) duplicates.add(path);
        level.keys.add(key);
        expectsKey = false;
      }
    }
  }
  return [...duplicates];
}
