/** What rules between pods mean for the jobs of a shape, given all that runs and is reserved. */
import type { NodeTable } from "./nodes.ts";
import { RuleView } from "./pod-rules.ts";
import type { Occupant, Planned, PodIndex, RuleContext } from "./pod-rules.ts";
import type { JobRecord } from "./records.ts";
import type { Group, Shape } from "./shape.ts";
import type { Time } from "./types.ts";

export interface RuledContext extends RuleContext {
  readonly table: NodeTable;
  readonly now: Time;
  readonly pods: PodIndex;
  readonly plan: { readonly reserved: ReadonlySet<JobRecord> };
  readonly claims: ReadonlySet<Planned>;
}

/** All pods that rules can mean, that run or are planned, at some time of `[start, end)`. */
function occupantsOf(context: RuledContext, start: Time, end: Time): IterableIterator<Occupant> {
  const { pods, plan, claims } = context;
  return pods.occupants(context, planned(plan.reserved, claims), start, end);
}

export function* planned(reserved: Iterable<JobRecord>, claims: Iterable<Planned>): IterableIterator<Planned> {
  for (const job of reserved) {
    const { reservation } = job;
    if (reservation !== undefined)
      yield { job, nodes: reservation.nodes, start: reservation.start, end: reservation.end };
  }
  yield* claims;
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
  if (!shape.concernsPods || context.pods.areIgnored || !isRuled(context, shape)) return undefined;
  const others = [...occupantsOf(context, start, end), ...own];
  return () => new RuleView(context, group.set, others, start);
}

/** Whether pods of a shape have rules, or others' rules may keep them off. */
export function isRuled(context: RuledContext, shape: Shape): boolean {
  if (!shape.concernsPods) return false;
  return (
    shape.podSets.some(({ rules }) => rules !== undefined) ||
    context.pods.hasKeepers(context.table, context.plan.reserved, context.claims)
  );
}

/** Whether affinity asks for pods that are nowhere, now or among what is reserved. */
export function lacksPods(context: RuledContext, shape: Shape): boolean {
  const { plan, claims, now } = context;
  return shape.podSets.some((set) => {
    if ((set.rules?.affinity?.length ?? 0) === 0) return false;
    const times = new Set([now]);
    for (const { reservation } of plan.reserved)
      if (reservation !== undefined) times.add(Math.max(reservation.start, now + 1));
    for (const { start } of claims) times.add(start);
    return [...times].every((time) => {
      return new RuleView(context, set, occupantsOf(context, time, time + 1), time).lacksPods;
    });
  });
}
