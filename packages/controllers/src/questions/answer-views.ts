/** Everything that is read from the leader's memory. */
import type { Context } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import type { Scheduling } from "../scheduler/scheduling.ts";
import type { Stores } from "../stores.ts";
import { Explanations } from "./explanations.ts";
import { FairShares } from "./fair-shares.ts";
import { answerInquiries } from "./inquiries.ts";
import { NodeViews } from "./node-views.ts";
import { QueueOrders } from "./queue-order.ts";
import { QueueViews } from "./queue-views.ts";

/** Answers until the signal of the context aborts. */
export function answerViews(
  context: Context,
  parts: { ledger: Ledger; stores: Stores; scheduling: Pick<Scheduling, "inspected" | "claimProblem"> },
): void {
  const { now } = context;
  const orders = new QueueOrders(parts.ledger, parts.scheduling);
  const explanations = new Explanations({ ...parts, orders, now });
  const queueViews = new QueueViews({ ...parts, orders, now });
  const nodeViews = new NodeViews(parts);
  const fairShares = new FairShares(parts);
  answerInquiries(context, {
    explanations: (spec) => explanations.answer(spec),
    fairshares: (spec) => fairShares.answer(spec),
    nodeviews: (spec) => nodeViews.answer(spec),
    queueviews: (spec) => queueViews.answer(spec),
  });
}
