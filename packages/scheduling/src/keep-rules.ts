/** Whether what is reserved, or held for who has others make room, keeps the rules between its pods and all others that will be there. */
import { countsOnPods, type Leaving, type Occupant, type Planned, RuleView } from "./pod-rules.ts";
import type { JobRecord, Placement } from "./records.ts";
import { isRuled, planned } from "./rule-views.ts";
import type { RuledContext } from "./rule-views.ts";
import type { Shape } from "./shape.ts";
import type { PodSetInput, Time } from "./types.ts";

type Slot = Pick<Planned, "nodes" | "start" | "end">;

/**
 * Of a reservation, in force or lifted, or of a claim: it is in nobody's way itself. `also`: pods that may come; `reserved`: who holds the
 * reservations that count.
 */
export function rulesHold(
  context: RuledContext,
  shape: Shape,
  slot: Slot,
  { also = [], reserved = context.plan.reserved }: { also?: readonly Occupant[]; reserved?: Iterable<JobRecord> } = {},
): boolean {
  if (!isRuled(context, shape)) return true;
  const { claims, pods } = context;
  const { start, end } = slot;
  const others = [...reserved].filter(({ reservation }) => reservation !== slot);
  const otherClaims = [...claims].filter((one) => one !== slot);
  const occupants = [...pods.occupants(context, planned(others, otherClaims), start, end), ...also];
  for (const [index, set] of shape.podSets.entries()) {
    const view = new RuleView(context, set, occupants, start);
    const nodes = slot.nodes[index]!.slice();
    while (nodes.length > 0) {
      const allowed = nodes.filter((node) => view.allows(node)).sort((a, b) => view.rank(a)[0] - view.rank(b)[0]);
      const next = allowed[0];
      if (next === undefined) return false;
      view.take(next);
      nodes.splice(nodes.indexOf(next), 1);
    }
    occupants.push({ set, nodes: slot.nodes[index]!, start, end });
  }
  return true;
}

/**
 * Whether pods placed somewhere would take from a reserved job what its spread needs, or from one that has a claim what it counts on.
 * Anti-affinity was seen to before.
 */
export function spoilsPlanned(
  context: RuledContext,
  podSets: readonly PodSetInput[],
  placement: Pick<Placement, "nodes">,
  start: Time,
  end: Time,
): boolean {
  if (context.pods.areIgnored) return false;
  if (spoilsClaims(context, podSets, placement, start, end)) return true;
  for (const later of context.plan.reserved) {
    const reservation = later.reservation!;
    if (reservation.start >= end || reservation.start < start) continue;
    if (!later.input.podSets.some(({ rules }) => rules?.spread?.some(({ required }) => required))) continue;
    const also = podSets.map((set, index): Occupant => ({ set, nodes: placement.nodes[index]!, start, end }));
    const { shape } = later.class;
    if (rulesHold(context, shape, reservation) && !rulesHold(context, shape, reservation, { also })) return true;
  }
  return false;
}

/** As {@link spoilsPlanned}, of claims alone. */
export function spoilsClaims(
  context: RuledContext,
  podSets: readonly PodSetInput[],
  { nodes }: Pick<Placement, "nodes">,
  start: Time,
  end: Time,
): boolean {
  for (const claim of context.claims) {
    if (claim.start >= end || claim.start < start || !countsOnPods(claim.job.input.podSets)) continue;
    const also = podSets.map((set, index): Occupant => ({ set, nodes: nodes[index]!, start, end, maybe: true }));
    const { shape } = claim.job.class;
    const spoils = carefully(context, context.pods.leaving ?? nobody, () => {
      return rulesHold(context, shape, claim) && !rulesHold(context, shape, claim, { also });
    });
    if (spoils) return true;
  }
  return false;
}

/** Claims whose rules hold whatever becomes of what is only planned, of those for which that is a question. */
export function standingClaims(context: RuledContext): readonly Planned[] {
  if (context.claims.size === 0) return [];
  return carefully(context, nobody, () =>
    [...context.claims].filter((one) => countsOnPods(one.job.input.podSets) && holds(context, one)),
  );
}

/** Whether a claim may begin at a time other than its own, or at its own: then those who hold reservations make way. */
export function mayBegin(context: RuledContext, claim: Planned, at: Time): boolean {
  const { start, end } = claim;
  const isDue = start <= at;
  const standing = isDue ? [] : standingClaims(context);
  claim.start = at;
  claim.end = at + end - start;
  const may =
    rulesHold(context, claim.job.class.shape, claim, isDue ? { reserved: [] } : {}) &&
    carefully(context, nobody, () => standing.every((one) => one === claim || holds(context, one)));
  claim.start = start;
  claim.end = end;
  return may;
}

/** Whether a place keeps the rules, and leaves claims that stood what they count on, for a job for which others make room. */
export function mayClaim(context: RuledContext, shape: Shape, slot: Slot, standing: readonly Planned[]): boolean {
  return rulesHold(context, shape, slot) && standing.every((claim) => holds(context, claim));
}

const nobody: Leaving = { gone: new Set(), still: new Set(), from: Infinity };

/** What is asked as if some were leaving, with nobody counting on what is only planned. */
export function carefully<T>({ pods }: RuledContext, leaving: Leaving | undefined, ask: () => T): T {
  const before = pods.leaving;
  pods.leaving = leaving ?? nobody;
  try {
    return ask();
  } finally {
    pods.leaving = before;
  }
}

function holds(context: RuledContext, claim: Planned): boolean {
  return rulesHold(context, claim.job.class.shape, claim);
}
