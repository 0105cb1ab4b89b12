import { join } from "node:path";

/** Where Node.js keeps what it made of the TypeScript; the launcher names the same folder. */
export function compileCacheFolder(): string {
  const { HOME = "/tmp", XDG_CACHE_HOME = "" } = process.env;
  return join(XDG_CACHE_HOME === "" ? join(HOME, ".cache") : XDG_CACHE_HOME, "berth", "compiled");
}
