/** What `--simulated-nodes` names: how many of a common size, or a file of Nodes like those to be tried out. */
import { readFileSync } from "node:fs";
import { annotations, capacityOf, type Node } from "@berth/kinds";
import { quantityToInteger } from "@berth/machinery";
import type { NodeDescription } from "./machine.ts";
import { Refusal } from "./refusal.ts";

const most = 100_000;
const commonCpus = 32;
const commonMemoryBytes = 128 * 2 ** 30;

/**
 * @param text a whole number, or the path of a JSON file with Nodes (an array, or a List as `kubectl get nodes -o json` prints):
 *   of each its name, labels, annotations and allocatable (or capacity) are taken, as often as `berth.dev/simulated-replicas` says
 */
export function simulatedNodes(text: string): NodeDescription[] {
  if (!/^\d+$/.test(text)) return nodesOfFile(text);
  if (Number(text) > most) throw new Refusal(`--simulated-nodes ${text}: at most ${most}`);
  return Array.from({ length: Number(text) }, (_, index): NodeDescription => {
    const name = `simulated-${String(index + 1).padStart(text.length, "0")}`;
    return { name, simulated: true, cpus: commonCpus, memoryBytes: commonMemoryBytes };
  });
}

function nodesOfFile(path: string): NodeDescription[] {
  const wrong = (why: string): Refusal => new Refusal(`--simulated-nodes ${path}: ${why}`);
  let read: unknown;
  try {
    read = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw wrong(`neither a number nor a JSON file of Nodes: ${(error as Error).message}`);
  }
  const items = Array.isArray(read) ? (read as unknown[]) : (read as { items?: unknown[] } | null)?.items;
  if (!Array.isArray(items)) throw wrong("this must be an array of Nodes, or a List of them");
  const names = new Set<string>();
  const all = (items as Node[]).flatMap((node) => {
    const replicas = Number(node.metadata?.annotations?.[annotations.simulatedReplicas] ?? NaN);
    if (!Number.isInteger(replicas) || replicas < 0 || replicas > most) return [node];
    return Array.from({ length: replicas }, (_, index): Node => {
      const metadata = { ...node.metadata, name: `${node.metadata.name}-${index}` };
      return { ...node, metadata };
    });
  });
  if (all.length > most) throw wrong(`${all.length} Nodes; at most ${most}`);
  return all.map((node, index): NodeDescription => {
    const name = node.metadata?.name;
    if (typeof name !== "string" || !/^[a-z0-9][-a-z0-9.]{0,62}$/.test(name)) {
      throw wrong(`entry ${index + 1} has no metadata.name that a Node can have`);
    }
    if (names.has(name)) throw wrong(`two Nodes are called ${name}`);
    names.add(name);
    try {
      const { cpu = 1000 * commonCpus, memory = commonMemoryBytes } = capacityOf(node);
      const all = node.status?.allocatable ?? node.status?.capacity ?? {};
      const others = Object.entries(all).filter(([resource]) => resource.includes("/"));
      return {
        name,
        simulated: true,
        cpus: Math.floor(cpu / 1000),
        memoryBytes: memory,
        labels: node.metadata.labels,
        annotations: node.metadata.annotations,
        allocatable: Object.fromEntries(
          others.map(([resource, amount]) => [resource, String(quantityToInteger(amount))]),
        ),
      };
    } catch (error) {
      throw wrong(`Node ${name}: ${(error as Error).message}`);
    }
  });
}
