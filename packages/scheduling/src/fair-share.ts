/**
 * Slurm's Fair Tree (https://slurm.schedmd.com/fair_tree.html): siblings are ordered by level fair share, S / U, depth first; a
 * member's factor is its rank by the number of members. Equal siblings: members have the same rank, accounts compete as one, a member
 * comes before an account and has the rank of its best.
 */
import { Account } from "./parties.ts";
import type { Association } from "./parties.ts";
import type { Time } from "./types.ts";

type Sibling = Account | Association;

/** Sets the levels of all accounts below the root, after the tree or shares in it changed. */
export function arrange(root: Account): void {
  root.level = [];
  root.memberCount = 0;
  const seat = (account: Account, above: Account): void => {
    for (const child of byName(account.children, ({ name }) => name)) {
      child.level = [];
      child.memberCount = 0;
      child.seat.above = above;
      if (child.shares === "Parent") seat(child, above);
      else {
        seat(child, child);
        above.level.push(child);
      }
      account.memberCount += child.memberCount;
    }
    for (const member of byName(account.members.values(), ({ user }) => user)) {
      member.seat.above = above;
      above.level.push(member);
      account.memberCount += 1;
    }
    // Those of an account with the shares of its parent are summed up where they compete.
    if (account === above) {
      account.levelShares = account.level.reduce((sum, { shares }) => sum + (shares === "Parent" ? 0 : shares), 0);
    }
  };
  seat(root, root);
}

function byName<T>(items: Iterable<T>, name: (item: T) => string): T[] {
  return [...items].sort((a, b) => (name(a) < name(b) ? -1 : 1));
}

/** Ranks all members below the root by usage at a time; `usageOf` tells anybody's. */
export function rank(root: Account, usageOf: (party: Sibling, now: Time) => number, now: Time): void {
  root.seat.usage = usageOf(root, now);
  const next = { rank: root.memberCount, last: root.memberCount };
  const measure = (account: Account): void => {
    const total = account.seat.usage;
    for (const one of account.level) {
      const { seat, shares } = one;
      seat.usage = usageOf(one, now);
      seat.levelFairShare = levelFairShare(seat.usage, total, shares, account.levelShares);
      // The same order without what all siblings have in common.
      seat.ratio = shares === "Parent" ? Infinity : shares === 0 ? 0 : shares / seat.usage;
      if (one instanceof Account) measure(one);
    }
    account.level.sort(compareSiblings);
    let before = 0;
    account.usersBefore = [];
    for (const [position, one] of account.level.entries()) {
      one.seat.position = position;
      account.usersBefore.push(before);
      before += one instanceof Account ? one.memberCount : 1;
    }
    account.usersBefore.push(before);
  };
  measure(root);
  descend(root.level, false, root.memberCount, next);
}

/** `next.rank`: of the next member that is not tied; `next.last`: that of the last. */
function descend(siblings: Sibling[], tiedAbove: boolean, users: number, next: { rank: number; last: number }): void {
  let previous: number | undefined;
  for (let index = 0; index < siblings.length; index += 1) {
    const one = siblings[index]!;
    const tied = index === 0 ? tiedAbove : previous === one.seat.levelFairShare;
    previous = one.seat.levelFairShare;
    if (!(one instanceof Account)) {
      if (!tied) next.last = next.rank;
      one.fairShare = next.last / users;
      next.rank -= 1;
      continue;
    }
    let end = index + 1;
    while (end < siblings.length && siblings[end]!.seat.levelFairShare === previous) end += 1;
    if (end === index + 1) descend(one.level, tied, users, next);
    else {
      const merged = siblings.slice(index, end).flatMap((account) => (account as Account).level);
      descend(merged.sort(compareSiblings), tied, users, next);
      index = end - 1;
    }
  }
}

function levelFairShare(usage: number, total: number, shares: Account["shares"], levelShares: number): number {
  if (shares === "Parent") return Infinity;
  if (shares === 0) return 0;
  return usage === 0 || total === 0 ? Infinity : shares / levelShares / (usage / total);
}

/** Higher level fair share first; of equal ones members before accounts, then as they were. */
function compareSiblings(a: Sibling, b: Sibling): number {
  const [first, second] = [a.seat.levelFairShare, b.seat.levelFairShare];
  if (first !== second) return second < first ? -1 : 1;
  return Number(a instanceof Account) - Number(b instanceof Account);
}

/** The factor of a member whose usage has grown, behind all that have as much; the others' ranks are those of the last ranking. */
export function factorBehind(
  root: Account,
  member: Association,
  usageOf: (party: Sibling, now: Time) => number,
  now: Time,
): number {
  let before = 0;
  for (let one: Sibling = member; one !== root && one.seat.above !== undefined; one = one.seat.above) {
    const { seat, shares } = one;
    const { level, usersBefore }: Account = seat.above!;
    const ratio = shares === "Parent" ? Infinity : shares === 0 ? 0 : shares / usageOf(one, now);
    let low = seat.position + 1;
    let high = level.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (level[middle]!.seat.ratio >= ratio) low = middle + 1;
      else high = middle;
    }
    before += usersBefore[low]! - (one instanceof Account ? one.memberCount : 1);
  }
  return (root.memberCount - before) / root.memberCount;
}
