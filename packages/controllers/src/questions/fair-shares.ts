/** Answers lists of FairShares: the fair tree, as far as who asks may know it. */
import { apiVersion, type FairShare, type InquirySpec } from "@berth/kinds";
import { type FairShareRow, fairShares } from "@berth/scheduling";
import type { Scheduling } from "../scheduler/scheduling.ts";
import type { Stores } from "../stores.ts";
import type { Answer } from "./inquiries.ts";
import { privacyFor } from "./privacy.ts";
import { Readings } from "./readings.ts";

interface FairShareParts {
  stores: Pick<Stores, "accounts" | "memberships" | "sites">;
  scheduling: Pick<Scheduling, "inspected">;
}

export class FairShares {
  readonly #parts: FairShareParts;
  readonly #readings = new Readings<FairShare>();

  constructor(parts: FairShareParts) {
    this.#parts = parts;
  }

  answer(spec: InquirySpec): Answer {
    const select = (): FairShare[] => this.#rows(spec);
    if (spec.verb === "get") return { items: select().filter(({ metadata }) => metadata.name === spec.name) };
    return this.#readings.page(spec, select, (view) => view);
  }

  /** What is withheld of a user or an account is left out, as in Slurm. */
  #rows({ asker, fields = [] }: InquirySpec): FairShare[] {
    const { core, now } = this.#parts.scheduling.inspected;
    const { stores } = this.#parts;
    const privacy = privacyFor(asker, stores);
    const ofMembers = new Map<string, Minutes>();
    for (const { spec } of stores.memberships.values()) {
      if (spec.limits?.resourceMinutes !== undefined)
        ofMembers.set(`${spec.account} ${spec.user}`, spec.limits.resourceMinutes);
    }
    const minutesOf = (account: string, user: string | undefined): Minutes | undefined =>
      user === undefined
        ? stores.accounts.get(undefined, account)?.spec.limits?.resourceMinutes
        : ofMembers.get(`${account} ${user}`);
    return fairShareViews(fairShares(core, now), minutesOf).filter(({ spec }) => {
      const isWanted = fields.every(({ field, operator, value }) => {
        const has = field === "spec.account" ? spec.account : field === "spec.user" ? spec.user : undefined;
        return (has === value) === (operator === "=");
      });
      return isWanted && (spec.depth === 0 || privacy.mayKnowUsage(spec.account, spec.user));
    });
  }
}

type Minutes = Record<string, number>;

/** Rows of the tree, depth first, with their depth and their part of all usage. */
function fairShareViews(
  rows: readonly FairShareRow[],
  minutesOf: (account: string, user: string | undefined) => Minutes | undefined,
): FairShare[] {
  const depths = new Map<string, number>();
  const whole = rows[0]?.billingSeconds ?? 0;
  return rows.map((row): FairShare => {
    const { account, user, parent, shares, billingSeconds, levelFairShare, fairShare } = row;
    const above = user === undefined ? parent : account;
    const depth = above === undefined ? 0 : (depths.get(above) ?? 0) + 1;
    if (user === undefined) depths.set(account, depth);
    const resourceMinutes = minutesOf(account, user);
    return {
      apiVersion,
      kind: "FairShare",
      metadata: { name: user === undefined ? account : `${account}.${user}` },
      spec: {
        account,
        depth,
        ...(user === undefined ? {} : { user }),
        ...(parent === undefined ? {} : { parent }),
        shares: shares === "Parent" ? "parent" : String(shares),
        ...(resourceMinutes === undefined ? {} : { resourceMinutes }),
      },
      status: {
        normalizedShares: row.normalizedShares,
        billingSeconds,
        effectiveUsage: row.effectiveUsage,
        normalizedUsage: whole === 0 ? 0 : billingSeconds / whole,
        ...(Number.isFinite(levelFairShare) ? { levelFairShare } : {}),
        ...(fairShare === undefined ? {} : { fairShare }),
      },
    };
  });
}
