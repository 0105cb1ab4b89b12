/** The process `node`. */
import type { RunningRole } from "./child.ts";
import type { Log } from "./json-log.ts";
import type { RoleSettings } from "./messages.ts";

export async function runNode(_settings: RoleSettings, _log: Log, _signal: AbortSignal): Promise<RunningRole> {
  return { stop: async () => {} };
}
