/** Where embedded clusters of this machine lie and announce themselves. */
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";

/** Whom the paths are for; only what they depend on. */
export interface PlacesOptions {
  uid?: number;
  home?: string;
  env?: Record<string, string | undefined>;
}

/** The data folder of root's cluster, which is everybody's on this machine. */
export const machineDataFolder = "/var/lib/berth";

/** Readable by everybody; holds one folder for each cluster of root, and `current.json` for the machine's. */
const publicDirectory = "/run/berth";

/** The folder that `berth up` uses when none is named. */
export function defaultDataFolder(options: PlacesOptions = {}): string {
  const { uid, home, env } = filled(options);
  if (uid === 0) return machineDataFolder;
  return join(absolute(env["XDG_DATA_HOME"]) ?? join(home, ".local", "share"), "berth");
}

/** Names this user's running cluster: `{data}`. */
export function currentClusterFile(options: PlacesOptions = {}): string {
  const { home, env } = filled(options);
  return join(absolute(env["XDG_STATE_HOME"]) ?? join(home, ".local", "state"), "berth", "current.json");
}

/** What everybody may know of a cluster of root with this data folder, which others may not enter: address, CA, login. */
export function publicFolderOf(data: string): string {
  return join(publicDirectory, createHash("sha256").update(data).digest("hex").slice(0, 16));
}

/** Content of `endpoint.json` in {@link publicFolderOf}. */
export interface PublicEndpoint {
  url: string;
  /** PEM. */
  certificateAuthority: string;
  data: string;
}

function filled(options: PlacesOptions): Required<PlacesOptions> {
  return {
    uid: options.uid ?? process.getuid?.() ?? -1,
    home: options.home ?? homedir(),
    env: options.env ?? process.env,
  };
}

// The XDG rules: a relative path is to be ignored.
function absolute(path: string | undefined): string | undefined {
  return path?.startsWith("/") === true ? path : undefined;
}
