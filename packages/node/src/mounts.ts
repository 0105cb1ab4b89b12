import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { briefly } from "./briefly.ts";

export interface BindMount {
  source: string;
  target: string;
  readOnly: boolean;
}

/** What a sandbox's file system has beside the machine's own, read-only one. */
export interface MountNeeds {
  /** Directories that the job may write, where the machine's permissions let it. */
  writable: string[];
  volumes: BindMount[];
  /** Directories and sockets that must not be seen. */
  hidden: string[];
}

const alwaysWritable = ["/tmp", "/var/tmp", "/dev/shm"];
const neverWritable = [
  "/etc",
  "/usr",
  "/bin",
  "/sbin",
  "/boot",
  "/proc",
  "/sys",
  "/run",
  "/lib",
  "/lib32",
  "/lib64",
  "/libx32",
  "/dev",
];

/** Sockets and folders by which a job could leave its sandbox through a container engine. */
export const containerEngines = [
  "/run/docker.sock",
  "/run/containerd",
  "/run/crio",
  "/run/podman",
  "/run/k3s",
  "/run/buildkit",
];

/** The rule of docs/runtime.md for the job's own directories: `/` and the system's never become writable. */
export function mayBeWritable(path: string): boolean {
  if (path === "/" || path === "/var" || alwaysWritable.includes(path)) return path !== "/" && path !== "/var";
  return !neverWritable.some((system) => path === system || path.startsWith(`${system}/`));
}

/** The deepest directory on the way to `path` that exists, with links resolved; undefined where nothing may be written. */
export const writableRoot = briefly((path): string | undefined => {
  let candidate = resolve(path);
  for (;;) {
    try {
      const real = realpathSync(candidate);
      const directory = statSync(real).isDirectory() ? real : dirname(real);
      return mayBeWritable(directory) ? directory : undefined;
    } catch {
      if (candidate === "/") return undefined;
      candidate = dirname(candidate);
    }
  }
});

/**
 * Arguments of bubblewrap for the file system. Where a volume's mount point does not exist on the machine, the deepest
 * directory above it is rebuilt on a tmpfs, entry by entry, since nothing may be created on the machine itself.
 */
export function mountArguments(needs: MountNeeds): string[] {
  const rebuilt = new Set<string>();
  const made = new Set<string>();
  for (const { source, target } of needs.volumes) {
    const asDirectory = statSync(source).isDirectory();
    if (fits(target, asDirectory)) continue;
    let above = dirname(target);
    for (; !isDirectory(above); above = dirname(above)) made.add(above);
    rebuilt.add(above);
  }
  const words: string[] = [];
  const closing = [...rebuilt].flatMap((path) => ["--remount-ro", path]);
  if (rebuilt.delete("/")) words.push(...entries("/", ["/dev", "/proc"]));
  else words.push("--ro-bind", "/", "/");
  words.push("--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc");
  const writable = [...new Set([...alwaysWritable.filter(isDirectory), ...needs.writable])];
  type Step = { path: string; order: number; words: string[] };
  const steps: Step[] = [
    ...[...rebuilt].map((path) => ({ path, order: 0, words: ["--tmpfs", path, ...entries(path, [])] })),
    ...[...made].map((path) => ({ path, order: 0, words: ["--dir", path] })),
    ...writable.map((path) => ({ path, order: 1, words: ["--bind", path, path] })),
    ...needs.hidden.filter(existsSync).map((path) => ({ path, order: 2, words: hide(path) })),
    ...needs.volumes.map(({ source, target, readOnly }) => ({
      path: target,
      order: 3,
      words: [readOnly ? "--ro-bind" : "--bind", source, target],
    })),
  ];
  // A mount must come after those that it lies within, or they would cover it.
  steps.sort((a, b) => depth(a.path) - depth(b.path) || a.order - b.order);
  for (const step of steps) words.push(...step.words);
  return [...words, ...closing];
}

function depth(path: string): number {
  return path.split("/").length;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function fits(target: string, asDirectory: boolean): boolean {
  try {
    return statSync(target).isDirectory() === asDirectory;
  } catch {
    return false;
  }
}

function entries(directory: string, except: string[]): string[] {
  const words: string[] = [];
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (except.includes(path)) continue;
    if (lstatSync(path).isSymbolicLink()) words.push("--symlink", readlinkSync(path), path);
    else words.push("--ro-bind", path, path);
  }
  return words;
}

function hide(path: string): string[] {
  return isDirectory(path) ? ["--tmpfs", path] : ["--ro-bind", "/dev/null", path];
}
