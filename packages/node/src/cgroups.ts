import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** Control group of one launcher: what it runs inherits it, so that no task has to be moved. */
export interface Cgroup {
  /** Files into which a process writes `0` to join. */
  readonly join: string[];
  /** Of memory, and of cpu. */
  readonly folders: string[];
  /** File by which all in it stand still (`freezer.state`, `cgroup.freeze`), where there is one. */
  readonly freezer?: string;
  /** False where the peak of memory cannot be set back: then a group serves one task. */
  readonly reusable: boolean;
  /**
   * Prepares the group for the next task and says what its counters show before it. Bytes; no limit where undefined. Throws where the
   * kernel does not take a limit.
   */
  prepare(limits: { memoryBytes?: number; cores?: number[] }): CgroupBaseline;
  /** Of the task that began at `baseline`. */
  usage(baseline: CgroupBaseline): { cpuMilliseconds?: number; peakMemoryBytes?: number; outOfMemoryKills: number };
  remove(): void;
}

/** Counters that only grow. */
export interface CgroupBaseline {
  outOfMemoryKills: number;
  cpuMicroseconds: number;
}

export interface Cgroups {
  readonly version: 1 | 2;
  readonly limitsMemory: boolean;
  readonly bindsCores: boolean;
  /** Makes the group of this name, or takes it as it is. */
  group(name: string): Cgroup;
  /** The group of this name if it is still there: that of a launcher of an earlier agent. */
  existing(name: string): Cgroup | undefined;
  /** Removes groups that nobody uses any more, those of `keep` left out. */
  tidy(keep: Set<string>): void;
  /** Removes the agent's own group, if nothing is in it any more. */
  leave(): void;
}

const usualMountPoint = "/sys/fs/cgroup";

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function write(path: string, value: string): boolean {
  try {
    writeFileSync(path, value);
    return true;
  } catch {
    return false;
  }
}

function notLimited(memoryBytes: number | undefined): Error {
  return new Error(`the kernel does not take a limit of ${memoryBytes ?? "no"} bytes of memory`);
}

function field(text: string | undefined, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text ?? "")?.[1] ?? 0);
}

/** Finds what this process may use of control groups; undefined where that is nothing. `name` is the agent's own folder there. */
export function findCgroups(name: string, cores: number[], mountPoint = usualMountPoint): Cgroups | undefined {
  return existsSync(join(mountPoint, "cgroup.controllers"))
    ? unified(name, mountPoint)
    : legacy(name, cores, mountPoint);
}

function legacy(name: string, cores: number[], mountPoint: string): Cgroups | undefined {
  const own = (controller: string): string | undefined => {
    const directory = join(mountPoint, controller, name);
    try {
      mkdirSync(directory, { recursive: true });
    } catch {
      return undefined;
    }
    return write(join(directory, "cgroup.procs"), "") || existsSync(join(directory, "cgroup.procs"))
      ? directory
      : undefined;
  };
  const memory = own("memory");
  const cpu = own("cpuacct");
  let set = own("cpuset");
  if (set !== undefined) {
    const nodes = read(join(mountPoint, "cpuset", "cpuset.mems"))?.trim() ?? "0";
    const usable = write(join(set, "cpuset.cpus"), cores.join(",")) && write(join(set, "cpuset.mems"), nodes);
    if (!usable) set = undefined;
  }
  const writable = memory !== undefined && probe(join(memory, "probe"));
  if (!writable) return undefined;
  const freezer = own("freezer");
  const roots = [memory, cpu, set, freezer].filter((directory) => directory !== undefined);
  return {
    version: 1,
    limitsMemory: true,
    bindsCores: set !== undefined,
    existing(child) {
      return existsSync(join(memory, child)) ? this.group(child) : undefined;
    },
    tidy: (keep) => roots.forEach((root) => tidy(root, keep)),
    leave: () => roots.forEach(removeDirectory),
    group(child) {
      const directories = roots.map((root) => join(root, child));
      for (const directory of directories) mkdirSync(directory, { recursive: true });
      const memoryGroup = join(memory, child);
      const cpuGroup = cpu === undefined ? undefined : join(cpu, child);
      const setGroup = set === undefined ? undefined : join(set, child);
      const freezerState = freezer === undefined ? undefined : join(freezer, child, "freezer.state");
      if (setGroup !== undefined && read(join(setGroup, "cpuset.cpus"))?.trim() === "") {
        write(join(setGroup, "cpuset.mems"), read(join(set!, "cpuset.mems"))!.trim());
        write(join(setGroup, "cpuset.cpus"), cores.join(","));
      }
      let limit = "-1";
      let bound = cores.join(",");
      return {
        reusable: true,
        join: directories.map((directory) => join(directory, "cgroup.procs")),
        folders: [memoryGroup, ...(cpuGroup === undefined ? [] : [cpuGroup])],
        ...(freezerState !== undefined && existsSync(freezerState) ? { freezer: freezerState } : {}),
        prepare({ memoryBytes, cores: wanted }) {
          const next = memoryBytes === undefined ? "-1" : String(memoryBytes);
          if (next !== limit) {
            // Memory and swap together must not be below memory alone, whichever way the limit moves.
            const swap = join(memoryGroup, "memory.memsw.limit_in_bytes");
            const plain = join(memoryGroup, "memory.limit_in_bytes");
            if (existsSync(swap)) write(swap, "-1");
            limit = "";
            if (!write(plain, next)) throw notLimited(memoryBytes);
            if (existsSync(swap)) write(swap, next);
            limit = next;
          }
          write(join(memoryGroup, "memory.max_usage_in_bytes"), "0");
          if (cpuGroup !== undefined) write(join(cpuGroup, "cpuacct.usage"), "0");
          const binding = (wanted ?? cores).join(",");
          if (setGroup !== undefined && binding !== bound) {
            write(join(setGroup, "cpuset.cpus"), binding);
            bound = binding;
          }
          return {
            outOfMemoryKills: field(read(join(memoryGroup, "memory.oom_control")), "oom_kill"),
            cpuMicroseconds: 0,
          };
        },
        usage(baseline) {
          const nanoseconds = cpuGroup === undefined ? undefined : read(join(cpuGroup, "cpuacct.usage"));
          const peak = read(join(memoryGroup, "memory.max_usage_in_bytes"));
          return {
            cpuMilliseconds: nanoseconds === undefined ? undefined : Math.round(Number(nanoseconds) / 1e6),
            peakMemoryBytes: peak === undefined ? undefined : Number(peak),
            outOfMemoryKills:
              field(read(join(memoryGroup, "memory.oom_control")), "oom_kill") - baseline.outOfMemoryKills,
          };
        },
        remove: () => directories.forEach(removeDirectory),
      };
    },
  };
}

function unified(name: string, mountPoint: string): Cgroups | undefined {
  // A delegated group (systemd user session) lies where this process is; root begins at the top.
  const own = /^0::(.*)$/m.exec(read("/proc/self/cgroup") ?? "")?.[1] ?? "/";
  const parent = process.getuid?.() === 0 ? mountPoint : join(mountPoint, own, "..");
  const root = join(parent, name);
  try {
    mkdirSync(root, { recursive: true });
  } catch {
    return undefined;
  }
  for (const controller of ["memory", "cpu", "cpuset"]) {
    write(join(parent, "cgroup.subtree_control"), `+${controller}`);
    write(join(root, "cgroup.subtree_control"), `+${controller}`);
  }
  const controllers = (read(join(root, "cgroup.subtree_control")) ?? "").trim().split(/\s+/);
  // Without the memory controller (cgroup_disable=memory, or another hierarchy has it) CPU time is still counted for each group.
  const limitsMemory = controllers.includes("memory") && probe(join(root, "probe"));
  if (!limitsMemory && !existsSync(join(root, "cpu.stat"))) return undefined;
  const bindsCores = controllers.includes("cpuset");
  return {
    version: 2,
    limitsMemory,
    bindsCores,
    existing(child) {
      return existsSync(join(root, child)) ? this.group(child) : undefined;
    },
    tidy: (keep) => tidy(root, keep),
    leave: () => removeDirectory(root),
    group(child) {
      const directory = join(root, child);
      mkdirSync(directory, { recursive: true });
      return unifiedGroup(directory, { limitsMemory, bindsCores });
    },
  };
}

/** One group of version 2, whose directory is there. */
export function unifiedGroup(
  directory: string,
  { limitsMemory, bindsCores }: { limitsMemory: boolean; bindsCores: boolean },
): Cgroup {
  const peakFile = limitsMemory ? openPeak(join(directory, "memory.peak")) : undefined;
  const kills = (): number => (limitsMemory ? field(read(join(directory, "memory.events")), "oom_kill") : 0);
  const cpuMicroseconds = (): number => field(read(join(directory, "cpu.stat")), "usage_usec");
  return {
    reusable: !limitsMemory || peakFile !== undefined,
    join: [join(directory, "cgroup.procs")],
    folders: [directory, directory],
    ...(existsSync(join(directory, "cgroup.freeze")) ? { freezer: join(directory, "cgroup.freeze") } : {}),
    prepare({ memoryBytes, cores }) {
      if (limitsMemory) {
        if (!write(join(directory, "memory.max"), memoryBytes === undefined ? "max" : String(memoryBytes)))
          throw notLimited(memoryBytes);
        write(join(directory, "memory.swap.max"), memoryBytes === undefined ? "max" : "0");
      }
      if (peakFile !== undefined) writeSync(peakFile, "reset");
      if (bindsCores) write(join(directory, "cpuset.cpus"), cores?.join(",") ?? "\n");
      return { outOfMemoryKills: kills(), cpuMicroseconds: cpuMicroseconds() };
    },
    usage(baseline) {
      const peak = peakFile === undefined ? read(join(directory, "memory.peak")) : readStart(peakFile);
      return {
        cpuMilliseconds: Math.round((cpuMicroseconds() - baseline.cpuMicroseconds) / 1000),
        peakMemoryBytes: !limitsMemory || peak === undefined ? undefined : Number(peak),
        outOfMemoryKills: kills() - baseline.outOfMemoryKills,
      };
    },
    remove() {
      if (peakFile !== undefined) closeSync(peakFile);
      removeDirectory(directory);
    },
  };
}

/** From Linux 6.12 a write sets the peak back, for readers of that same open file. */
function openPeak(path: string): number | undefined {
  try {
    const file = openSync(path, "r+");
    writeSync(file, "reset");
    return file;
  } catch {
    return undefined;
  }
}

function readStart(file: number): string {
  const buffer = Buffer.alloc(32);
  return buffer.toString("utf8", 0, readSync(file, buffer, 0, buffer.length, 0));
}

function probe(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true });
    const limited =
      write(join(directory, "memory.limit_in_bytes"), "67108864") || write(join(directory, "memory.max"), "67108864");
    rmdirSync(directory);
    return limited;
  } catch {
    return false;
  }
}

/** A group with processes in it cannot be removed, so that only unused ones go. */
function tidy(root: string, keep: Set<string>): void {
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    if (entry.isDirectory() && !keep.has(entry.name)) removeDirectory(join(root, entry.name));
  }
}

function removeDirectory(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Still in use or gone: the next start of the agent looks again.
  }
}
