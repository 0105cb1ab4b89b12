/** Whether what is reserved keeps the rules between its pods and all others that will be there. */
import { isRuled } from "./place.ts";
import { type Occupant, RuleView } from "./pod-rules.ts";
import type { JobRecord, Placement, ReservationRecord } from "./records.ts";
import type { ClusterStore } from "./store.ts";
import type { Time } from "./types.ts";

/** Of a reservation, in force or lifted; `also`: pods that may come. */
export function rulesHold(
  store: ClusterStore,
  job: JobRecord,
  reservation: ReservationRecord,
  also: readonly Occupant[] = [],
): boolean {
  if (!isRuled(store, job.class.shape)) return true;
  const { table, plan, pods } = store;
  const { start, end } = reservation;
  const others = [...plan.reserved].filter((one) => one !== job);
  const occupants = [...pods.occupants(table, others, start, end), ...also];
  for (const [index, set] of job.input.podSets.entries()) {
    const view = new RuleView(store, set, occupants, start);
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

/** Whether pods placed now would take from a reserved job what its spread needs. Anti-affinity was seen to when they were placed. */
export function spoilsReserved(store: ClusterStore, job: JobRecord, placement: Placement, end: Time): boolean {
  if (!job.class.shape.concernsPods) return false;
  for (const later of store.plan.reserved) {
    const reservation = later.reservation!;
    if (later === job || reservation.start >= end) continue;
    if (!later.input.podSets.some(({ rules }) => rules?.spread?.some(({ required }) => required))) continue;
    const mine = job.input.podSets.map((set, index): Occupant => {
      return { set, nodes: placement.nodes[index]!, start: store.now, end };
    });
    if (rulesHold(store, later, reservation) && !rulesHold(store, later, reservation, mine)) return true;
  }
  return false;
}
