/** What the objects of a site file say of the machine and of the trace: checked, and doubted. */
import {
  type Account,
  annotations,
  capacityOf,
  matchesClass,
  type Node,
  nodeInput,
  parseIndexList,
} from "@berth/kinds";
import { amountsOf, type Queue, queueInput, resourcesOf } from "@berth/kinds";
import type { Found, SiteKind, SiteProblem } from "./site-file.ts";

/** Of a Node that stands for several, those of all. */
export function nodeNames({ metadata }: Found["object"]): string[] {
  const replicas = metadata.annotations?.[annotations.simulatedReplicas];
  if (replicas === undefined || !(Number(replicas) <= 999_999)) return [metadata.name];
  return Array.from({ length: Number(replicas) }, (_, index) => `${metadata.name}-${index}`);
}

/** What a cluster would take, and nobody can mean: each with its line. */
export function siteDoubts(found: ReadonlyMap<SiteKind, Found[]>): SiteProblem[] {
  const nodes = (found.get("Node") ?? []).map(({ object }) => object as unknown as Node);
  if (nodes.length === 0) return [];
  const doubts: SiteProblem[] = [];
  const resources = resourcesOf(nodes);
  const classes = nodes.map((node) => nodeInput(node, resources).nodeClass);
  for (const { object, lineOf } of found.get("Queue") ?? []) {
    const { selector } = queueInput(object as unknown as Queue, resources);
    if (selector === undefined || classes.some((one) => matchesClass(selector, one))) continue;
    const problem = `Queue ${object.metadata.name} takes no node of this file, so that none of its jobs will start`;
    doubts.push({ line: lineOf("spec.nodeSelector"), problem });
  }
  return [...doubts, ...guaranteeDoubts(found, nodes)];
}

/** More cpus guaranteed than there are. */
function guaranteeDoubts(found: ReadonlyMap<SiteKind, Found[]>, nodes: readonly Node[]): SiteProblem[] {
  const cpus = nodes.reduce((sum, node) => {
    const copies = nodeNames(node as unknown as Found["object"]).length;
    return sum + (capacityOf(node)["cpu"] ?? 0) * copies;
  }, 0);
  let guaranteed = 0;
  for (const { object, lineOf } of found.get("Account") ?? []) {
    const { cpu } = (object as unknown as Account).spec.guaranteed ?? {};
    if (cpu === undefined) continue;
    guaranteed += amountsOf({ cpu })["cpu"] ?? 0;
    if (guaranteed <= cpus) continue;
    const words = `with Account ${object.metadata.name} ${guaranteed / 1000} cpus are guaranteed, the nodes of this file have ${cpus / 1000}`;
    return [{ line: lineOf("spec.guaranteed"), problem: words }];
  }
  return [];
}

/** Amounts of a node that are less than nothing. */
function checkAmounts(one: Found, say: (one: Found, path: string, problem: string) => void): void {
  const { allocatable, capacity } = (one.object as unknown as Node).status ?? {};
  for (const [field, amounts] of Object.entries({ allocatable, capacity })) {
    for (const [resource, amount] of Object.entries(amounts ?? {})) {
      if (!String(amount).startsWith("-")) continue;
      say(one, `status.${field}.${resource}`, `status.${field}.${resource} is ${amount}, must not be negative`);
    }
  }
}

/** Annotations that say which users, groups and queues of a trace are meant. */
export function checkAnnotations(
  found: ReadonlyMap<SiteKind, Found[]>,
  say: (one: Found, path: string, problem: string) => void,
): void {
  const taken = new Map<string, Found>();
  const wanted: [SiteKind, string][] = [
    ["Account", annotations.traceUsers],
    ["Account", annotations.traceGroups],
    ["Queue", annotations.traceQueues],
  ];
  for (const [kind, annotation] of wanted) {
    for (const one of found.get(kind) ?? []) {
      const text = one.object.metadata.annotations?.[annotation];
      if (text === undefined) continue;
      const path = `metadata.annotations.${annotation}`;
      try {
        for (const number of parseIndexList(text)) {
          const key = `${annotation} ${number}`;
          const other = taken.get(key);
          if (other !== undefined) {
            say(
              one,
              path,
              `${annotation}: ${number} belongs to ${other.object.metadata.name} by line ${other.lineOf(path)} already`,
            );
            break;
          }
          taken.set(key, one);
        }
      } catch (error) {
        say(one, path, `${annotation}: ${(error as Error).message}`);
      }
    }
  }
  for (const one of found.get("Node") ?? []) {
    checkAmounts(one, say);
    const text = one.object.metadata.annotations?.[annotations.simulatedReplicas];
    if (text !== undefined && !/^[1-9]\d{0,5}$/.test(text))
      say(
        one,
        `metadata.annotations.${annotations.simulatedReplicas}`,
        `${annotations.simulatedReplicas} is ${JSON.stringify(text)}, must be a whole number from 1 to 999999`,
      );
  }
}
