import type {
  AccountInput,
  LimitHolder,
  Limits,
  MembershipInput,
  QualityOfServiceInput,
  Shares,
} from "./account-types.ts";
import { Meter } from "./usage.ts";

/** Somebody whose jobs are counted and charged together, and who may have limits. */
export class Party {
  readonly holder: LimitHolder;
  readonly meter: Meter;
  limits: Limits | undefined = undefined;
  /** Jobs and tasks. */
  running = 0;
  /** Pending and running. */
  submitted = 0;
  /** By user, while there are limits per user. */
  readonly users = new Map<string, Party>();

  constructor(holder: LimitHolder, width: number) {
    this.holder = holder;
    this.meter = new Meter(width);
  }

  /** A user among those whom the party is; undefined where no limit asks for it. */
  ofUser(user: string): Party | undefined {
    const limits = this.limits?.perUser;
    if (limits === undefined) return undefined;
    let party = this.users.get(user);
    if (party === undefined) {
      party = new Party({ ...this.holder, user }, this.meter.inUse.length);
      this.users.set(user, party);
    }
    party.limits = limits;
    return party;
  }
}

/** A user in an account; there as soon as the user has a job in it. */
export class Association extends Party {
  readonly account: Account;
  readonly user: string;
  /** Absent: nobody put it there. */
  input: MembershipInput | undefined = undefined;
  /** Classes of its jobs. */
  classes = 0;
  /** The fair share factor, as of the last ranking. */
  fairShare = 0;
  readonly seat = new Seat();

  constructor(account: Account, user: string, width: number) {
    super({ kind: "Membership", name: account.name, user }, width);
    this.account = account;
    this.user = user;
  }

  get shares(): Shares {
    return this.input?.shares ?? 1;
  }
}

export class Account extends Party {
  readonly name: string;
  /** Absent: a name in jobs, memberships or accounts below it, and no more. */
  input: AccountInput | undefined = undefined;
  parent: Account | undefined = undefined;
  readonly children = new Set<Account>();
  readonly members = new Map<string, Association>();
  readonly seat = new Seat();
  /** Who compete in it: its members, the accounts below it, and instead of those with the shares of their parent their own. */
  level: (Account | Association)[] = [];
  /** Shares of all of these. */
  levelShares = 0;
  /** Members in it and below it. */
  memberCount = 0;
  /** Of the level in the order of the last ranking: members before each. */
  usersBefore: number[] = [];

  constructor(name: string, width: number) {
    super({ kind: "Account", name }, width);
    this.name = name;
  }

  get shares(): Shares {
    return this.input?.shares ?? 1;
  }
}

/** Where somebody stands in the fair tree. */
class Seat {
  /** The account in whose level it competes. */
  above: Account | undefined = undefined;
  position = 0;
  /** As of the last ranking: usage, with what running jobs may still use; shares by usage; level fair share. */
  usage = 0;
  ratio = 0;
  levelFairShare = 0;
}

export class QualityOfService extends Party {
  input: QualityOfServiceInput | undefined = undefined;
}
