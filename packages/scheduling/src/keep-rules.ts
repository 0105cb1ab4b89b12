/** Whether what is reserved keeps the rules between its pods and all others that will be there. */
import { type Occupant, RuleView } from "./pod-rules.ts";
import type { JobRecord, Placement, ReservationRecord } from "./records.ts";
import { isRuled } from "./rule-views.ts";
import type { RuledContext } from "./rule-views.ts";
import type { PodSetInput, Time } from "./types.ts";

/** Of a reservation, in force or lifted; `also`: pods that may come. */
export function rulesHold(
  context: RuledContext,
  job: JobRecord,
  reservation: ReservationRecord,
  also: readonly Occupant[] = [],
): boolean {
  if (!isRuled(context, job.class.shape)) return true;
  const { table, plan, pods } = context;
  const { start, end } = reservation;
  const others = [...plan.reserved].filter((one) => one !== job);
  const occupants = [...pods.occupants(table, others, start, end), ...also];
  for (const [index, set] of job.input.podSets.entries()) {
    const view = new RuleView(context, set, occupants, start);
    const nodes = reservation.nodes[index]!.slice();
    while (nodes.length > 0) {
      const allowed = nodes.filter((node) => view.allows(node)).sort((a, b) => view.rank(a)[0] - view.rank(b)[0]);
      const next = allowed[0];
      if (next === undefined) return false;
      view.take(next);
      nodes.splice(nodes.indexOf(next), 1);
    }
    occupants.push({ set, nodes: reservation.nodes[index]!, start, end });
  }
  return true;
}

/** Whether pods placed somewhere would take from a reserved job what its spread needs. Anti-affinity was seen to before. */
export function spoilsReserved(
  context: RuledContext,
  podSets: readonly PodSetInput[],
  placement: Placement,
  start: Time,
  end: Time,
): boolean {
  for (const later of context.plan.reserved) {
    const reservation = later.reservation!;
    if (reservation.start >= end || reservation.start < start) continue;
    if (!later.input.podSets.some(({ rules }) => rules?.spread?.some(({ required }) => required))) continue;
    const mine = podSets.map((set, index): Occupant => ({ set, nodes: placement.nodes[index]!, start, end }));
    if (rulesHold(context, later, reservation) && !rulesHold(context, later, reservation, mine)) return true;
  }
  return false;
}
