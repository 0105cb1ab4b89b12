/** Answers lists of FairShares: the fair tree, as far as who asks may know it. */
import {
  questionsApiVersion,
  type FairShare,
  type InquirySpec,
  resourceMinutesOf,
  suspendedSeconds,
} from "@berth/kinds";
import { type FairShareRow, fairShares } from "@berth/scheduling";
import { seconds } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { noTask } from "../model/record.ts";
import type { Scheduling } from "../scheduler/scheduling.ts";
import type { Stores } from "../stores.ts";
import type { Answer } from "./inquiries.ts";
import { privacyFor } from "./privacy.ts";
import { Readings } from "./readings.ts";

interface FairShareParts {
  ledger: Pick<Ledger, "byJobId">;
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
    const { core, now, resources } = this.#parts.scheduling.inspected;
    const { stores, ledger } = this.#parts;
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
    const rows = fairShares(core, now, (job, task = noTask) => {
      const attempt = ledger.byJobId(job)?.record.live.get(task);
      if (attempt === undefined) return undefined;
      const { startTime, wallTimeSeconds, lease, suspension } = attempt;
      const stood = suspendedSeconds(suspension, now * 1000);
      return Math.max(0, (seconds(startTime) ?? now) + stood + wallTimeSeconds + (lease?.seconds ?? 0) - now);
    });
    return fairShareViews(rows, resources, minutesOf).filter(({ spec }) => {
      const isWanted = fields.every(({ field, operator, value }) => {
        const has = field === "spec.account" ? spec.account : field === "spec.user" ? spec.user : undefined;
        return (has === value) === (operator === "=");
      });
      return isWanted && (spec.depth === 0 || privacy.mayKnowUsage(spec.account, spec.user));
    });
  }
}

type Minutes = Record<string, number>;

const nothing = { resourceSeconds: [], nodeSeconds: 0, billingSeconds: 0 };

/** Rows of the tree, depth first, with their depth and their part of all usage. */
function fairShareViews(
  rows: readonly FairShareRow[],
  resources: readonly string[],
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
    const { resourceSeconds, nodeSeconds, billingSeconds: runningSeconds } = row.stillToRun ?? nothing;
    const minutes = resources.map((_, index) => (resourceSeconds[index] ?? 0) / 60);
    return {
      apiVersion: questionsApiVersion,
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
        runningResourceMinutes: resourceMinutesOf(minutes, resources),
        runningNodeMinutes: nodeSeconds / 60,
        runningBillingMinutes: runningSeconds / 60,
      },
    };
  });
}
