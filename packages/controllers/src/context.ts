/** What every controller is given. */
import type { Accounting } from "@berth/accounting";
import type { Client } from "@berth/client";
import type { LocalUser, UserDirectory } from "@berth/identity";
import type { Metrics } from "./metrics.ts";

export type Log = (
  level: "debug" | "info" | "warn" | "error",
  message: string,
  fields?: Record<string, unknown>,
) => void;

export type Identity = LocalUser;

export interface Context {
  client: Client;
  accounting: Accounting;
  /** Who is who. */
  users: UserDirectory;
  /** Milliseconds since 1970. */
  now: () => number;
  log: Log;
  /** Whose work is what stands in namespaces without an owner; absent: such work is refused. */
  defaultUser?: string;
  /** Takes each line of the journal of decisions (`createJournalledState` of scheduling); absent: none is written. */
  journal?: (line: string) => void;
  /** Takes what is counted; absent: nothing is. */
  metrics?: Metrics;
  signal: AbortSignal;
}

/** RFC 3339 UTC in whole seconds, as Kubernetes writes times. */
export function timestamp(milliseconds: number): string {
  const second = Math.floor(milliseconds / 1000);
  if (second !== lastSecond) {
    lastTimestamp = timestampOf(second);
    lastSecond = second;
  }
  return lastTimestamp;
}

/** Thousands of tasks end within one second. */
let lastSecond = NaN;
let lastTimestamp = "";

function timestampOf(second: number): string {
  return new Date(second * 1000).toISOString().replace(".000Z", "Z");
}

/** Whole seconds since 1970; undefined stays undefined. */
export function seconds(time: string): number;
export function seconds(time: string | undefined): number | undefined;
export function seconds(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Math.floor(Date.parse(time) / 1000);
}
