/** Whether a job would fit if nothing else were there. */
import { assignDetails } from "./devices.ts";
import type { NodeRecord } from "./nodes.ts";
import type { Usage } from "./pick.ts";
import { refreshEmpty, tightestFirst } from "./room.ts";
import type { PlacementContext } from "./room.ts";
import { podsOn } from "./shape.ts";
import type { Group, Shape, Variant } from "./shape.ts";

/**
 * Whether the job would fit if all usable nodes were empty, and on how few nodes (of the order in which a placement takes them);
 * undefined: it would not.
 */
export function nodesWhenEmpty(context: PlacementContext, shape: Shape, variant: Variant): number | undefined {
  const { topology } = shape.input;
  if (topology?.mode !== "Required") return nodesWhenEmptyIn(context, shape, variant);
  const domains = context.topology.domains(topology.level);
  const found = domains.paths.flatMap((_, domain) => {
    const isIn = (node: NodeRecord): boolean => domains.of[node.index] === domain;
    return nodesWhenEmptyIn(context, shape, variant, isIn) ?? [];
  });
  return found.length === 0 ? undefined : Math.min(...found);
}

function nodesWhenEmptyIn(
  context: PlacementContext,
  shape: Shape,
  variant: Variant,
  isIn?: (node: NodeRecord) => boolean,
): number | undefined {
  const left = new Map<NodeRecord, Usage>();
  for (const group of tightestFirst(context, shape, variant)) {
    refreshEmpty(context, shape, variant, group);
    let missing = group.minPods;
    if (group.empty.total < missing) return undefined;
    if (variant.groups.length === 1) return fewestNodes(context, group, isIn);
    const nodes = context.table.nodes.filter((node) => group.empty.counts[node.index]! > 0 && isIn?.(node) !== false);
    // Nodes already taken first, then the largest: the fewest nodes.
    const rank = (node: NodeRecord): number => (left.has(node) ? Infinity : group.empty.counts[node.index]!);
    nodes.sort((a, b) => (rank(a) === rank(b) ? a.index - b.index : rank(b) - rank(a)));
    for (const node of nodes) {
      if (missing === 0) break;
      const usage = left.get(node) ?? { pods: 0, left: node.capacity };
      const pods = podsOn(node, usage.left, group, Math.min(missing, group.perNode, group.mostPerNode - usage.pods));
      if (pods <= 0) continue;
      missing -= pods;
      const amounts =
        group.needs === undefined
          ? group.request.map((amount) => amount * pods)
          : assignDetails(usage.left.slice(), node.details!, group.needs, group.request, pods).amounts;
      left.set(node, {
        pods: usage.pods + pods,
        left: usage.left.map((amount, index) => amount - (amounts[index] ?? 0)),
      });
    }
    if (missing > 0) return undefined;
  }
  return left.size;
}

function fewestNodes(
  { table }: PlacementContext,
  group: Group,
  isIn?: (node: NodeRecord) => boolean,
): number | undefined {
  const { counts: all } = group.empty;
  if (group.minPods === 1 && isIn === undefined) return group.empty.total > 0 ? 1 : undefined;
  const counts = isIn === undefined ? all.toSorted() : all.filter((_, index) => isIn(table.nodes[index]!)).sort();
  let nodes = 0;
  for (let missing = group.minPods; missing > 0; nodes += 1) {
    if (nodes === counts.length || counts[counts.length - 1 - nodes] === 0) return undefined;
    missing -= counts[counts.length - 1 - nodes]!;
  }
  return nodes;
}
