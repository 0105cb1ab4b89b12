/** What rules between pods mean for the jobs of a shape, given all that runs and is reserved. */
import type { NodeTable } from "./nodes.ts";
import { RuleView } from "./pod-rules.ts";
import type { Occupant, PodIndex, RuleContext } from "./pod-rules.ts";
import type { JobRecord } from "./records.ts";
import type { Group, Shape } from "./shape.ts";
import type { Time } from "./types.ts";

export interface RuledContext extends RuleContext {
  readonly table: NodeTable;
  readonly now: Time;
  readonly pods: PodIndex;
  readonly plan: { readonly reserved: ReadonlySet<JobRecord> };
}

/** What rules between pods say of a group; undefined where nobody has any that mean it. */
export function viewOf(
  context: RuledContext,
  shape: Shape,
  group: Group,
  start: Time,
  end: Time,
  own: readonly Occupant[],
): (() => RuleView) | undefined {
  if (!shape.concernsPods || !isRuled(context, shape)) return undefined;
  const { table, pods, plan } = context;
  const others = [...pods.occupants(table, plan.reserved, start, end), ...own];
  return () => new RuleView(context, group.set, others, start);
}

/** Whether pods of a shape have rules, or others' rules may keep them off. */
export function isRuled(context: RuledContext, shape: Shape): boolean {
  if (!shape.concernsPods) return false;
  return (
    shape.podSets.some(({ rules }) => rules !== undefined) ||
    context.pods.hasKeepers(context.table, context.plan.reserved)
  );
}

/** Whether affinity asks for pods that are nowhere, now or among what is reserved. */
export function lacksPods(context: RuledContext, shape: Shape): boolean {
  const { table, pods, plan, now } = context;
  return shape.podSets.some((set) => {
    if ((set.rules?.affinity?.length ?? 0) === 0) return false;
    const times = new Set([now]);
    for (const { reservation } of plan.reserved) if (reservation !== undefined) times.add(reservation.start);
    return [...times].every((time) => {
      return new RuleView(context, set, pods.occupants(table, plan.reserved, time, time + 1), time).lacksPods;
    });
  });
}
