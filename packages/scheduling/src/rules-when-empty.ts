import { refreshEmpty } from "./room.ts";
import type { PlacementContext } from "./room.ts";
import { pickByRules, RuleView, wantsPods } from "./pod-rules.ts";
import type { Group, Shape, Variant } from "./shape.ts";
import type { Pick } from "./topology.ts";

const noNodes = new Map<never, never>();

/**
 * Whether rules between the pods of a job, and those of others that are there for ever, leave it a place when all else is gone.
 * Pods that want others beside them are not looked at: these may come and go.
 */
export function keepsRulesWhenEmpty(context: PlacementContext, shape: Shape, variant: Variant): boolean {
  if (!shape.concernsPods || wantsPods(shape.podSets)) return true;
  return variant.groups.every((group) => hasPlace(context, shape, variant, group));
}

function hasPlace(context: PlacementContext, shape: Shape, variant: Variant, group: Group): boolean {
  const { table, pods, topology } = context;
  refreshEmpty(context, shape, variant, group);
  table.freshen(context.now);
  const foreign = [...pods.foreign(table)];
  if (group.set.rules === undefined && foreign.length === 0) return true;
  const { counts } = group.empty;
  const parts = new Map<number, Pick[]>();
  const required = shape.input.topology?.mode === "Required" ? topology.domains(shape.input.topology.level) : undefined;
  for (const node of table.nodes) {
    if (!counts[node.index]) continue;
    const domain = required === undefined ? 0 : required.of[node.index]!;
    const part = parts.get(domain);
    if (part === undefined) parts.set(domain, [[node, counts[node.index]!]]);
    else part.push([node, counts[node.index]!]);
  }
  const view = (): RuleView => new RuleView(context, group.set, foreign, context.now);
  const { minPods } = group;
  return [...parts.values()].some(
    (options) => pickByRules(view, options, minPods, minPods, table.score, 1, Infinity, noNodes) !== undefined,
  );
}
