/** When a job last saved its state, as it tells itself. */
import type { KubernetesObject } from "@berth/machinery";
import { annotations } from "./constants.ts";
import { parseIndexList } from "./index-list.ts";
import type { IndexSet } from "./index-list.ts";

export interface Checkpoint {
  /** Whole seconds since 1970. */
  time: number;
  /** Of an array; absent: all that ran then. */
  tasks?: IndexSet;
}

/** Undefined: it told nothing. Throws in words what cannot be read. */
export function checkpointOf({ metadata }: Pick<KubernetesObject, "metadata">): Checkpoint | undefined {
  const told = metadata.annotations?.[annotations.checkpointedAt];
  if (told === undefined) return undefined;
  const [text = "", indices] = told.trim().split(/\s+/);
  const time = Date.parse(text);
  if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(time))
    throw new Error(
      `annotation ${annotations.checkpointedAt}: ${told} does not begin with a time like 2026-11-21T14:05:00Z`,
    );
  return { time: Math.floor(time / 1000), ...(indices === undefined ? {} : { tasks: parseIndexList(indices) }) };
}
