/**
 * When jobs last saved their state, as they tell themselves, by annotations of their Workload. A job, or several tasks of an array at
 * once, by one that each overwrites; one task of an array by one of its own, so that none overwrites another's whoever reads them when.
 * What tasks have told is summed up in one annotation of bounded length.
 */
import type { KubernetesObject } from "@berth/machinery";
import { annotations } from "./constants.ts";
import { formatIndexListCompact, IndexSet, parseIndexList } from "./index-list.ts";

export interface Checkpoint {
  /** Whole seconds since 1970. */
  time: number;
  /** Of an array; absent: all that ran then. */
  tasks?: IndexSet;
}

const ownPrefix = `${annotations.checkpointedAt}.`;

/** The annotation by which one task of an array tells. */
export function taskCheckpointKey(task: number): string {
  return `${ownPrefix}${task}`;
}

/** Whether it is the annotation of one task. */
export function isTaskCheckpoint(key: string): boolean {
  return key.startsWith(ownPrefix);
}

/** What one annotation tells; nothing where it is for something else. Throws in words what cannot be read. */
export function readCheckpoints(key: string, text: string): Checkpoint[] {
  if (key === annotations.checkpointedAt) return [readOne(key, text)];
  if (key === annotations.checkpointedTasks)
    return text
      .split(";")
      .filter((part) => part.trim() !== "")
      .map((part) => readOne(key, part));
  if (!isTaskCheckpoint(key)) return [];
  const { time } = readOne(key, text);
  return [{ time, tasks: parseIndexList(key.slice(ownPrefix.length)) }];
}

function readOne(key: string, told: string): Checkpoint {
  const [text = "", indices] = told.trim().split(/\s+/);
  const time = Date.parse(text);
  if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(time))
    throw new Error(`annotation ${key}: ${told.trim()} does not begin with a time like 2026-11-21T14:05:00Z`);
  return { time: Math.floor(time / 1000), ...(indices === undefined ? {} : { tasks: parseIndexList(indices) }) };
}

/** All that a Workload tells; what cannot be read means nothing. */
export function checkpointsOf({ metadata }: Pick<KubernetesObject, "metadata">): Checkpoint[] {
  return Object.entries(metadata.annotations ?? {}).flatMap(([key, text]) => {
    try {
      return readCheckpoints(key, text);
    } catch {
      return [];
    }
  });
}

const mostTimes = 32;
/** Where it is longer, tasks share fewer times; of one time it is about as long as the list of tasks that run. */
const mostCharacters = 32_768;

/**
 * The annotation that sums up when tasks saved their state. Where they did at more than {@link mostTimes} times some count as saved
 * somewhat earlier than they were, never later.
 * @param times seconds since 1970 by task
 */
export function formatCheckpoints(times: Iterable<readonly [task: number, time: number]>): string {
  const latestFirst = [...times].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  if (latestFirst.length === 0) return "";
  for (let groups = mostTimes; ; groups = Math.floor(groups / 2)) {
    const text = grouped(latestFirst, groups)
      .map(({ from, to }) => {
        const tasks = new IndexSet();
        for (const [task] of latestFirst.slice(from, to)) tasks.add(task);
        const time = new Date(latestFirst[to - 1]![1] * 1000).toISOString().replace(".000Z", "Z");
        return `${time} ${formatIndexListCompact(tasks)}`;
      })
      .join("; ");
    if (text.length <= mostCharacters || groups === 1) return text;
  }
}

interface Group {
  from: number;
  to: number;
  /** Where to part it, and how many seconds of work would then no longer count as lost. */
  split: number;
  gain: number;
}

/** Parts the tasks, the latest first, into so many groups of one time each, always where most is gained. */
function grouped(latestFirst: readonly (readonly [task: number, time: number])[], most: number): Group[] {
  const make = (from: number, to: number): Group => {
    const earliest = latestFirst[to - 1]![1];
    const group = { from, to, split: to, gain: 0 };
    for (let split = from + 1; split < to; split += 1) {
      const gain = (split - from) * (latestFirst[split - 1]![1] - earliest);
      if (gain > group.gain) Object.assign(group, { split, gain });
    }
    return group;
  };
  const groups = [make(0, latestFirst.length)];
  while (groups.length < most) {
    const widest = groups.reduce((best, group) => (group.gain > best.gain ? group : best));
    if (widest.gain === 0) break;
    groups.splice(groups.indexOf(widest), 1, make(widest.from, widest.split), make(widest.split, widest.to));
  }
  return groups;
}
