/** Whether a Workload may in: what {@link admit} is to know of the cluster. */
import type { AnyObject, Informer } from "@berth/client";
import type { Queue } from "@berth/kinds";
import { annotations, capacityOf, isEmbeddedNode, matchesClass, nodeClassOf, queueSelectorOf } from "@berth/kinds";
import { type Context, type Identity, timestamp } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { recordOf, type WorkloadRecord } from "../model/record.ts";
import { fetchHistory } from "../scheduler/outcomes.ts";
import type { Scheduling } from "../scheduler/scheduling.ts";
import type { Stores } from "../stores.ts";
import { admit, type Admission, type NodeKind, userOf } from "./admission.ts";
import type { NamedObjects } from "./associations.ts";
import type { Refusal } from "./refusal.ts";

export interface JudgeParts {
  context: Context;
  ledger: Ledger;
  stores: Stores;
  scheduling: Pick<Scheduling, "hasLimits" | "submissionLimit" | "accountProblem" | "unsupportedClaim">;
}

export class Judge {
  readonly #parts: JudgeParts;
  #nodeKinds: NodeKind[] | undefined;

  constructor(parts: JudgeParts) {
    this.#parts = parts;
  }

  nodesChanged(): void {
    this.#nodeKinds = undefined;
  }

  /**
   * Whether a Workload may in, and as what and whose. Nothing is changed by it, but for the record's
   * history.
   * @param isCounted it is one of its user's jobs already
   */
  async judge(
    record: WorkloadRecord,
    isCounted = false,
  ): Promise<{ verdict: Admission | Refusal; identity: Identity | undefined }> {
    const { context, ledger, stores, scheduling } = this.#parts;
    const { workload } = record;
    const owner =
      stores.namespaces.get(undefined, record.namespace)?.metadata.annotations?.[annotations.owner] ??
      context.defaultUser;
    const user = userOf(workload, owner);
    const identity = user === undefined ? undefined : await context.users.byName(user);
    const groupNames = identity === undefined ? [] : await this.#groupNames(identity);
    await fetchHistory(record, ledger, context.accounting);
    const verdict = admit({
      workload,
      owner,
      identity,
      ...(context.users.source === undefined ? {} : { userSource: context.users.source }),
      groupNames,
      queues: byName(stores.queues),
      accounts: byName(stores.accounts),
      memberships: user === undefined ? [] : stores.memberships.byIndex("user", user),
      qualitiesOfService: byName(stores.qualitiesOfService),
      reservations: byName(stores.reservations),
      site: stores.sites.get(undefined, "site"),
      now: Math.floor(context.now() / 1000),
      jobsOfUser: user === undefined ? 0 : ledger.jobsOf(user) - (isCounted ? 1 : 0),
      nodeKinds: (queue) => this.#kindsOf(queue),
      unsupportedClaim: scheduling.unsupportedClaim(workload),
      hasNode: (name) => stores.nodes.get(undefined, name) !== undefined,
      hasJob: (jobId) => ledger.byJobId(jobId) !== undefined || record.history?.has(jobId) === true,
      accountProblem: (account) => scheduling.accountProblem(account),
      // One that stays in its account is counted there already.
      limit: (admission) =>
        isCounted && admission.account === workload.status?.account
          ? undefined
          : this.#limitReached(record, identity!, admission),
    });
    return { verdict, identity };
  }

  /** A limit of submitted jobs, or of one job, that speaks against what would be admitted. */
  #limitReached(record: WorkloadRecord, identity: Identity, admission: Admission): string | undefined {
    const { context, scheduling } = this.#parts;
    if (!scheduling.hasLimits) return undefined;
    const { workload } = record;
    const { name: user, uid, gid, groups } = identity;
    // Behind all others, as every new job is; the id is not looked at.
    const status = { ...admission, jobId: Number.MAX_SAFE_INTEGER, identity: { user, uid, gid, groups } };
    const asked = recordOf({ ...workload, status }, timestamp(context.now()));
    return scheduling.submissionLimit({ ...asked, history: record.history });
  }

  /** To look up groups may start a program: only where something asks for them. */
  async #groupNames(identity: Identity): Promise<readonly string[]> {
    const { stores, context } = this.#parts;
    for (const kind of [stores.queues, stores.qualitiesOfService]) {
      for (const { spec } of kind.values()) {
        if (spec.allow?.some((entry) => entry.startsWith("@")) !== true) continue;
        return (await context.users.groupNames?.(identity)) ?? [];
      }
    }
    return [];
  }

  #kindsOf(queue: Queue): NodeKind[] {
    if (this.#nodeKinds === undefined) {
      const kinds = new Map<string, NodeKind & { names: Set<string> }>();
      for (const node of this.#parts.stores.nodes.values()) {
        const nodeClass = nodeClassOf(node.metadata.labels, node.spec?.taints);
        const capacity = capacityOf(node);
        const key = `${nodeClass} ${JSON.stringify(capacity)}`;
        const kind = kinds.get(key);
        if (kind === undefined)
          kinds.set(key, {
            nodeClass,
            capacity,
            names: new Set([node.metadata.name]),
            isEmbedded: isEmbeddedNode(node),
          });
        else kind.names.add(node.metadata.name);
      }
      this.#nodeKinds = [...kinds.values()];
    }
    const selector = queueSelectorOf(queue.spec);
    if (selector === undefined) return this.#nodeKinds;
    return this.#nodeKinds.filter(({ nodeClass }) => matchesClass(selector, nodeClass));
  }
}

/** A store of objects of the whole cluster as a map by their names, without a copy of it. */
function byName<T extends AnyObject>(store: Informer<T>): NamedObjects<T> {
  return {
    get: (name) => store.get(undefined, name),
    has: (name) => store.get(undefined, name) !== undefined,
    *keys() {
      for (const { metadata } of store.values()) yield metadata.name;
    },
    values: () => store.values(),
  };
}
