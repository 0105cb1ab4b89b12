/** Tells the core of accounts, memberships and qualities of service; tells operators of accounts that cannot stand as they are. */
import { isReason } from "@berth/client";
import type { Account, Limits, Membership, QualityOfService } from "@berth/kinds";
import { accountInput, accountProblems, accounts, membershipInput, qualityOfServiceInput } from "@berth/kinds";
import { type ClusterState, SchedulingError } from "@berth/scheduling";
import { type Context, timestamp } from "../context.ts";
import type { Stores } from "../stores.ts";
import { condition } from "../workload/status.ts";
import type { Writer } from "../writer.ts";

export class AssociationFeed {
  readonly #context: Context;
  readonly #stores: Stores;
  readonly #writer: Writer;
  #core!: ClusterState;
  #resources: readonly string[] = [];
  /** Accounts as the core was last told of them. */
  readonly #told = new Map<string, { parent: string | undefined; text: string }>();
  #problems: ReturnType<typeof accountProblems> = new Map();
  #hasLimits: boolean | undefined;

  constructor(context: Context, stores: Stores, writer: Writer) {
    this.#context = context;
    this.#stores = stores;
    this.#writer = writer;
  }

  /** Whether anything refuses or holds jobs by number or size. */
  get hasLimits(): boolean {
    this.#hasLimits ??= [
      this.#stores.queues,
      this.#stores.accounts,
      this.#stores.memberships,
      this.#stores.qualitiesOfService,
    ].some((kind) => {
      for (const { spec } of kind.values() as Iterable<{ spec: { limits?: Limits } }>) {
        if (spec.limits !== undefined) return true;
      }
      return false;
    });
    return this.#hasLimits;
  }

  /** Why the account cannot be used as it stands; undefined: it can. */
  problemOf(account: string): string | undefined {
    const problem = this.#problems.get(account);
    return problem?.reason === "Cycle" ? problem.message : undefined;
  }

  /** Tells a new state all there is. */
  feed(core: ClusterState, resources: readonly string[]): void {
    this.#core = core;
    this.#resources = resources;
    this.#told.clear();
    for (const qos of this.#stores.qualitiesOfService.values()) this.putQualityOfService(qos);
    this.accountsChanged();
    for (const membership of this.#stores.memberships.values()) this.putMembership(membership);
  }

  limitsChanged(): void {
    this.#hasLimits = undefined;
  }

  /** What the core cannot take as it stands is left as it was, and said; nobody else suffers by it. */
  tell(what: string, put: () => void): void {
    try {
      put();
    } catch (error) {
      if (!(error instanceof SchedulingError)) throw error;
      this.#context.log("error", `${what} cannot be used as it stands: ${error.message}`);
    }
  }

  putQualityOfService(qos: QualityOfService): void {
    this.limitsChanged();
    this.tell(`quality of service ${qos.metadata.name}`, () =>
      this.#core.putQualityOfService(qualityOfServiceInput(qos, this.#resources)),
    );
  }

  removeQualityOfService(name: string): void {
    this.limitsChanged();
    this.#core.removeQualityOfService(name);
  }

  putMembership(membership: Membership): void {
    this.limitsChanged();
    this.tell(`membership ${membership.metadata.name}`, () =>
      this.#core.putMembership(membershipInput(membership, this.#resources)),
    );
  }

  removeMembership({ spec }: Membership): void {
    this.limitsChanged();
    this.#core.removeMembership(spec.account, spec.user);
  }

  /** Some account came, changed or went. Those that are their own ancestors are nothing to the core until that is mended. */
  accountsChanged(): void {
    this.limitsChanged();
    const all = [...this.#stores.accounts.values()];
    const problems = accountProblems(all);
    const wanted = new Map<string, Account>();
    for (const account of all) {
      if (problems.get(account.metadata.name)?.reason !== "Cycle") wanted.set(account.metadata.name, account);
    }
    const changed: ReturnType<typeof accountInput>[] = [];
    for (const account of wanted.values()) {
      const input = accountInput(account, this.#resources);
      const text = JSON.stringify(input);
      const told = this.#told.get(input.name);
      if (told?.text === text) continue;
      changed.push(input);
      // Moved ones go first of all, lest the tree is a cycle on the way from one to the other.
      if (told !== undefined && told.parent !== input.parent) this.#core.removeAccount(input.name);
      this.#told.set(input.name, { parent: input.parent, text });
    }
    for (const name of this.#told.keys()) {
      if (wanted.has(name)) continue;
      this.#told.delete(name);
      this.#core.removeAccount(name);
    }
    for (const input of changed) this.tell(`account ${input.name}`, () => this.#core.putAccount(input));
    this.#problems = problems;
    for (const account of all) this.#tellOf(account);
  }

  /** Condition `Valid`, which an account that never had a problem does not have. */
  #tellOf(account: Account): void {
    const { name, generation } = account.metadata;
    const known = account.status?.conditions?.find(({ type }) => type === "Valid");
    const problem = this.#problems.get(name);
    if (problem === undefined ? known === undefined || known.status === "True" : known?.message === problem.message) {
      return;
    }
    const now = timestamp(this.#context.now());
    const valid =
      problem === undefined
        ? condition("Valid", "True", "Valid", "its place in the tree is found", now, generation)
        : condition("Valid", "False", problem.reason, problem.message, now, generation);
    const others = (account.status?.conditions ?? []).filter(({ type }) => type !== "Valid");
    const { client, log, signal } = this.#context;
    this.#writer
      .run(() => client.patchStatus<Account>(accounts, name, { status: { conditions: [...others, valid] } }))
      .catch((error: unknown) => {
        if (signal.aborted || isReason(error, "NotFound", "Conflict")) return;
        log("warn", `telling of account ${name} failed: ${(error as Error).message}`);
      });
  }
}
