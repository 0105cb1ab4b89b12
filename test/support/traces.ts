/** The recorded workloads that lie beside the repository where they may be had; they are not ours to commit. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parseTrace } from "@berth/simulator";
import type { Trace } from "@berth/simulator";
import { repository } from "./berth.ts";

/** Undefined where it is absent. */
export function readTrace(name: string, processors: number): Trace | undefined {
  const path = join(repository, "..", "shared", "traces", `${name}.swf.gz`);
  return existsSync(path) ? parseTrace(gunzipSync(readFileSync(path)).toString("latin1"), { processors }) : undefined;
}
