/** Which account, queue, quality of service and reservation a job gets, and whether it may. Pure. */
import type { Account, Membership, QualityOfService, Queue, Reservation, Site, Workload } from "@berth/kinds";
import { defaultAccountName, defaultQos } from "@berth/kinds";
import type { Identity } from "../context.ts";
import { listOf, type Refusal, refuse } from "./refusal.ts";

/** Objects of one kind, by name. */
export interface NamedObjects<T> {
  get(name: string): T | undefined;
  has(name: string): boolean;
  keys(): Iterable<string>;
  values(): Iterable<T>;
}

export interface AssociationInput {
  workload: Workload;
  identity: Identity;
  /** Names of the user's groups. */
  groupNames: readonly string[];
  queues: NamedObjects<Queue>;
  accounts: NamedObjects<Account>;
  /** Those of the user. */
  memberships: readonly Membership[];
  qualitiesOfService: NamedObjects<QualityOfService>;
  reservations: NamedObjects<Reservation>;
  site: Site | undefined;
  /** Seconds since 1970. */
  now: number;
}

export interface Associations {
  queue: Queue;
  account: string;
  /** Absent: nothing is special about it. */
  qos?: string;
}

function isListed(allow: readonly string[], { identity, groupNames }: AssociationInput): boolean {
  return allow.some((entry) => {
    if (!entry.startsWith("@")) return entry === identity.name;
    const wanted = entry.slice(1);
    return groupNames.includes(wanted) || (/^\d+$/.test(wanted) && identity.groups.includes(Number(wanted)));
  });
}

/** The account and those above it, nearest first; a cycle ends it. */
function* lineage(name: string, accounts: NamedObjects<Account>): Generator<string> {
  const seen = new Set<string>();
  for (let at: string | undefined = name; at !== undefined && !seen.has(at); at = accounts.get(at)?.spec.parent) {
    seen.add(at);
    yield at;
  }
}

function isUnder(account: string, allowed: readonly string[], accounts: NamedObjects<Account>): boolean {
  for (const name of lineage(account, accounts)) if (allowed.includes(name)) return true;
  return false;
}

function accountFor(input: AssociationInput): string | Refusal {
  const { workload, identity, accounts, memberships, site } = input;
  const isOpen = (name: string): boolean => accounts.get(name)?.spec.open === true && site?.spec.openAccounts !== false;
  const wanted = workload.spec.account;
  if (wanted !== undefined) {
    if (!accounts.has(wanted)) {
      return refuse("UnknownAccount", `there is no account ${wanted}; ${listOf(accounts.keys())}`);
    }
    if (isOpen(wanted) || memberships.some((membership) => membership.spec.account === wanted)) return wanted;
    return refuse(
      "NotInAccount",
      `${identity.name} is not a member of account ${wanted}; ask an operator for a Membership`,
    );
  }
  const known = memberships.filter(({ spec }) => accounts.has(spec.account));
  const own = known.find(({ spec }) => spec.default === true) ?? known[0];
  if (own !== undefined) return own.spec.account;
  if (isOpen(defaultAccountName)) return defaultAccountName;
  return refuse("NotInAccount", `${identity.name} is a member of no account; ask an operator for a Membership`);
}

function queueFor(input: AssociationInput, membership: Membership | undefined): Queue | Refusal {
  const { workload, queues } = input;
  const wanted = workload.spec.queue ?? membership?.spec.queue;
  if (wanted === undefined) {
    const found = [...queues.values()].find((queue) => queue.spec.default === true);
    return found ?? refuse("UnknownQueue", `no queue is the default; name one: ${listOf(queues.keys())}`);
  }
  return queues.get(wanted) ?? refuse("UnknownQueue", `there is no queue ${wanted}; ${listOf(queues.keys())}`);
}

/** As asked, else the membership's, that of the account or the nearest above it, the queue's. */
function qosFor(
  input: AssociationInput,
  account: string,
  membership: Membership | undefined,
  queue: Queue,
): string | undefined | Refusal {
  const { workload, identity, accounts, qualitiesOfService } = input;
  const ofAccount = (): string | undefined => {
    for (const name of lineage(account, accounts)) {
      const qos = accounts.get(name)?.spec.qos;
      if (qos !== undefined) return qos;
    }
    return undefined;
  };
  const wanted = workload.spec.qos ?? membership?.spec.qos ?? ofAccount() ?? queue.spec.qos;
  if (wanted === undefined) return undefined;
  const qos = qualitiesOfService.get(wanted);
  if (qos === undefined) {
    if (wanted === defaultQos) return wanted;
    return refuse(
      "UnknownQualityOfService",
      `there is no quality of service ${wanted}; ${listOf([...qualitiesOfService.keys(), defaultQos])}`,
    );
  }
  const { allow, allowAccounts } = qos.spec;
  if (allow === undefined && allowAccounts === undefined) return wanted;
  if (allow !== undefined && isListed(allow, input)) return wanted;
  if (allowAccounts !== undefined && isUnder(account, allowAccounts, accounts)) return wanted;
  return refuse(
    "QualityOfServiceNotAllowed",
    `${identity.name} may not use quality of service ${wanted} in account ${account}`,
  );
}

function reservationRefusal(input: AssociationInput, account: string): Refusal | undefined {
  const { workload, identity, reservations, accounts, now } = input;
  const wanted = workload.spec.reservation;
  if (wanted === undefined) return undefined;
  const reservation = reservations.get(wanted);
  if (reservation === undefined) {
    return refuse("UnknownReservation", `there is no reservation ${wanted}; ${listOf(reservations.keys())}`);
  }
  const { startTime, durationSeconds, everySeconds, users = [], accounts: members = [] } = reservation.spec;
  const end = Math.floor(Date.parse(startTime) / 1000) + durationSeconds;
  if (everySeconds === undefined && end <= now) {
    return refuse(
      "UnknownReservation",
      `reservation ${wanted} was over at ${new Date(end * 1000).toISOString().replace(".000Z", "Z")}`,
    );
  }
  if (users.includes(identity.name) || isUnder(account, members, accounts)) return undefined;
  return refuse(
    "ReservationNotAllowed",
    `reservation ${wanted} is not for ${identity.name}, nor for account ${account}`,
  );
}

/** What the job is to be charged to, waits in, and is treated as; or why it may not. */
export function associationsOf(input: AssociationInput): Associations | Refusal {
  const account = accountFor(input);
  if (typeof account !== "string") return account;
  const membership = input.memberships.find(({ spec }) => spec.account === account);
  const queue = queueFor(input, membership);
  if ("reason" in queue) return queue;
  const { allow, state } = queue.spec;
  const { name } = queue.metadata;
  if (allow !== undefined && !isListed(allow, input)) {
    return refuse("QueueNotAllowed", `${input.identity.name} may not use queue ${name}`);
  }
  if (state === "Drained" || state === "Inactive") {
    return refuse("QueueUnavailable", `queue ${name} takes no jobs now: it is ${state.toLowerCase()}`);
  }
  const qos = qosFor(input, account, membership, queue);
  if (typeof qos === "object") return qos;
  const refusal = reservationRefusal(input, account);
  if (refusal !== undefined) return refusal;
  return { queue, account, ...(qos === undefined ? {} : { qos }) };
}
