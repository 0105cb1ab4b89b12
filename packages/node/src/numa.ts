import { readdirSync, readFileSync } from "node:fs";

interface StatedDomain {
  id: number;
  cores: string;
  memory: string;
}

/** Numbers of a list as the kernel writes it: `0-3,8`. */
function numbersOf(list: string): number[] {
  return list
    .trim()
    .split(",")
    .filter((part) => part !== "")
    .flatMap((part) => {
      const [first, last] = part.split("-").map(Number);
      return Array.from({ length: (last ?? first!) - first! + 1 }, (_, index) => first! + index);
    });
}

/**
 * The NUMA domains of some of this machine's cores, each with its share of `memoryBytes`; undefined where the kernel does not
 * tell them all.
 */
export function numaDomains(
  cores: readonly number[],
  memoryBytes: number,
  folder = "/sys/devices/system/node",
): StatedDomain[] | undefined {
  try {
    const domains: StatedDomain[] = [];
    let told = 0;
    for (const name of readdirSync(folder)) {
      const id = /^node(\d+)$/.exec(name)?.[1];
      if (id === undefined) continue;
      const own = numbersOf(readFileSync(`${folder}/${name}/cpulist`, "utf8")).filter((core) => cores.includes(core));
      if (own.length === 0) continue;
      told += own.length;
      const total = /MemTotal:\s+(\d+) kB/.exec(readFileSync(`${folder}/${name}/meminfo`, "utf8"))?.[1];
      const share = Math.floor((memoryBytes * own.length) / cores.length / 1024);
      domains.push({ id: Number(id), cores: own.join(","), memory: `${Math.min(share, Number(total ?? share))}Ki` });
    }
    return told === cores.length && told > 0 ? domains.sort((a, b) => a.id - b.id) : undefined;
  } catch {
    return undefined;
  }
}
