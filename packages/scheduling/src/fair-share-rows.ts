import type { FairShareRow, StillToRun } from "./account-types.ts";
import type { Accounts } from "./accounts.ts";
import { Account } from "./parties.ts";
import type { Association, Party } from "./parties.ts";
import type { Time } from "./types.ts";

/** The tree, depth first: each account, its members, the accounts below it, by name. */
export function fairShareRows(
  accounts: Accounts,
  now: Time,
  stillToRun: ReadonlyMap<Party, StillToRun>,
): FairShareRow[] {
  accounts.rankAll(now);
  const rows: FairShareRow[] = [];
  const row = (one: Account | Association): Omit<FairShareRow, "account"> => {
    const { seat, shares, meter } = one;
    const total = seat.above?.seat.usage ?? 0;
    return {
      shares,
      normalizedShares: normalizedShares(one),
      billingSeconds: meter.usedAt(now, accounts.halfLifeSeconds),
      promisedBillingSeconds: meter.promisedAt(now),
      stillToRun: stillToRun.get(one),
      effectiveUsage: seat.above === undefined ? 1 : total === 0 ? 0 : accounts.usageOf(one, now) / total,
      levelFairShare: seat.above === undefined || shares === "Parent" ? undefined : seat.levelFairShare,
    };
  };
  const visit = (account: Account): void => {
    rows.push({ account: account.name, parent: account.parent?.name, ...row(account) });
    for (const member of byName(account.members.values(), ({ user }) => user)) {
      rows.push({ account: account.name, user: member.user, ...row(member), fairShare: member.fairShare });
    }
    for (const child of byName(account.children, ({ name }) => name)) visit(child);
  };
  visit(accounts.root);
  return rows;
}

/** Those with the shares of their parent have its part, as in `sshare`. */
function normalizedShares(one: Account | Association): number {
  const level = one.seat.above;
  if (level === undefined) return 1;
  if (one.shares === "Parent") {
    const above = one instanceof Account ? one.parent : one.account;
    return above === undefined ? 1 : normalizedShares(above);
  }
  return level.levelShares === 0 ? 0 : one.shares / level.levelShares;
}

function byName<T>(items: Iterable<T>, name: (item: T) => string): T[] {
  return [...items].sort((a, b) => (name(a) < name(b) ? -1 : 1));
}
