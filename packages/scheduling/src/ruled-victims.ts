/** Where rules between pods matter: who would have to leave for one pod to go to some node. */
import type { NodeRecord } from "./nodes.ts";
import { keysApart } from "./pod-rules.ts";
import type { Group } from "./shape.ts";
import type { ClusterStore } from "./store.ts";
import type { Candidate } from "./candidates.ts";

/** Of so many nodes at most, those on which least is lost. */
const mostNodes = 64;

/**
 * Of each node all who are there, and all who by anti-affinity keep the pod off its domains; of the nodes that have room then, those
 * first on which least is lost.
 */
export function poolsByNode(
  store: ClusterStore,
  group: Group,
  pool: readonly Candidate[],
  hasRoom: (node: NodeRecord, gone: readonly Candidate[]) => boolean,
): Candidate[][] {
  const here = new Map<NodeRecord, Candidate[]>();
  const foes = new Map<string, Map<number, Set<Candidate>>>();
  for (const candidate of pool) {
    const { run } = candidate;
    for (const node of new Set(run.charges.map((charge) => charge.node))) {
      const there = here.get(node);
      if (there === undefined) here.set(node, [candidate]);
      else there.push(candidate);
    }
    // Who only stands still stays in the way.
    for (const [index, set] of candidate.frees === undefined ? store.pods.setsOf(run).entries() : []) {
      for (const key of keysApart(store, group.set, set)) {
        const { of } = store.topology.domainsOfKey(key);
        let byDomain = foes.get(key);
        if (byDomain === undefined) foes.set(key, (byDomain = new Map()));
        for (const node of run.nodes[index]!) {
          const domain = of[node.index]!;
          const known = byDomain.get(domain);
          if (known === undefined) byDomain.set(domain, new Set([candidate]));
          else known.add(candidate);
        }
      }
    }
  }
  const pools: { set: Candidate[]; loss: number }[] = [];
  for (const node of store.table.nodes) {
    if (!group.empty.counts[node.index]) continue;
    const set = new Set(here.get(node.views?.all[0] ?? node));
    for (const [key, byDomain] of foes) {
      const domain = store.topology.domainsOfKey(key).of[node.index]!;
      if (domain >= 0) for (const foe of byDomain.get(domain) ?? []) set.add(foe);
    }
    if (set.size === 0 || !hasRoom(node, [...set])) continue;
    let loss = 0;
    for (const one of set) loss += one.loss;
    pools.push({ set: [...set], loss });
  }
  pools.sort((a, b) => a.loss - b.loss || a.set.length - b.set.length);
  return pools.slice(0, mostNodes).map(({ set }) => set);
}
