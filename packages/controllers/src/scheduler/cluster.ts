/** The state of `scheduling` as far as it is made of nodes, queues and the site; jobs are fed by {@link JobFeed}. */
import type { Amounts, Membership, Node, Pod, QualityOfService, Queue, Reservation, Workload } from "@berth/kinds";
import {
  apiVersion,
  capacityOf,
  defaultQueueName,
  isDevice,
  isEmbeddedNode,
  labels,
  matchesClass,
  nodeInput,
  numaDomainsOf,
  podRequests,
  policyInput,
  queueInput,
  resourcesOf,
  type Site,
} from "@berth/kinds";
import {
  type ClusterState,
  createClusterState,
  createJournalledState,
  decide,
  type Decisions,
  type ForeignPodsInput,
  type Journalled,
} from "@berth/scheduling";
import type { Claims } from "../claims/claims.ts";
import type { Context } from "../context.ts";
import { isTerminal } from "../model/ends.ts";
import type { WorkloadRecord } from "../model/record.ts";
import type { Stores } from "../stores.ts";
import type { Writer } from "../writer.ts";
import { AssociationFeed } from "./association-feed.ts";
import { holdingsOf } from "./holdings.ts";
import { type KubeletTraits, kubeletTraitsOf } from "./kubelet-pods.ts";
import { classOfPod, ruleKeys, rulesOf } from "./pod-rules.ts";
import { ReservationFeed } from "./reservation-feed.ts";
import { addAmounts } from "./snapshot.ts";

export interface ClusterEvents {
  /** Something changed that a decision may hang on. */
  changed(): void;
  /** A resource is new: the state is to be made anew, jobs and all, as the order of resources is its for life. */
  outgrown(): void;
}

export class LiveCluster {
  readonly #context: Context;
  readonly #stores: Stores;
  readonly #events: ClusterEvents;
  /** Absent where there is nothing but what pods say themselves. */
  readonly claims: Claims | undefined;
  readonly associations: AssociationFeed;
  readonly reservations: ReservationFeed;
  #resources: string[] = [];
  #core!: ClusterState;
  #decide!: (now: number) => Decisions;
  /** What pods that are not Berth's use, by node; and what each of them was counted as. */
  readonly #foreign = new Map<string, Amounts>();
  readonly #foreignPods = new Map<string, { node: string; amounts: Amounts; pod: Pod }>();
  /** Labels of pods that some rule between pods selects by; only grows. */
  readonly mentioned = new Set<string>();
  #isMade = false;
  #lastNow = 0;

  constructor(context: Context, stores: Stores, writer: Writer, events: ClusterEvents, claims: Claims | undefined) {
    this.claims = claims;
    this.#context = context;
    this.#stores = stores;
    this.#events = events;
    this.associations = new AssociationFeed(context, stores, writer);
    this.reservations = new ReservationFeed(context, stores, writer, () => events.changed());
  }

  get core(): ClusterState {
    return this.#core;
  }

  /** Names by index of the core's vectors. */
  get resources(): readonly string[] {
    return this.#resources;
  }

  get site(): Site | undefined {
    return this.#stores.sites.get(undefined, "site");
  }

  /** Whole seconds since 1970; never backwards, whatever the machine's clock does. */
  now(): number {
    this.#lastNow = Math.max(this.#lastNow, Math.floor(this.#context.now() / 1000));
    return this.#lastNow;
  }

  decide(): Decisions {
    return this.#decide(this.now());
  }

  /** Makes the state, without jobs, from what the stores hold. */
  make(): void {
    this.#isMade = false;
    for (const workload of this.#stores.workloads.values()) this.learnRules(workload);
    const named = resourcesOf(this.#stores.nodes.values());
    this.#resources = [...named, ...(this.claims?.resources().filter((name) => !named.includes(name)) ?? [])];
    const options = {
      resources: this.#resources,
      matches: matchesClass,
      policy: policyInput(this.site),
      devices: this.#resources.filter(isDevice),
    };
    const { journal } = this.#context;
    const plain = (core: ClusterState): Journalled => ({ state: core, decide: (now) => decide(core, now) });
    const made = journal === undefined ? plain(createClusterState(options)) : createJournalledState(options, journal);
    this.#core = made.state;
    this.#decide = made.decide;
    this.#putSite();
    this.associations.feed(this.#core, this.#resources);
    for (const queue of this.#stores.queues.values()) this.#putQueue(queue);
    for (const pod of this.#stores.pods.values()) this.countForeign(pod, false);
    for (const node of this.#stores.nodes.values()) this.#put(node);
    this.reservations.feed(this.#core);
    this.#isMade = true;
  }

  /** As {@link make}, with the usage that the state of before knew. */
  remake(): void {
    const known = this.#core.usage(this.now());
    const before = this.#resources;
    this.make();
    for (const { resourceSeconds = [], ...usage } of known) {
      const amounts = this.#resources.map((resource) => resourceSeconds[before.indexOf(resource)] ?? 0);
      this.#core.setUsage({ ...usage, resourceSeconds: amounts });
    }
  }

  #putSite(): void {
    this.#core.setTopology(this.site?.spec.topology?.levels ?? []);
    this.#core.setLicences(this.site?.spec.licences ?? {});
  }

  /** Notes the labels that a Workload's rules select pods by; true: some are new, so that pods known already must be seen anew. */
  learnRules(workload: Workload): boolean {
    const before = this.mentioned.size;
    for (const { template } of workload.spec.podSets) {
      for (const key of ruleKeys(template.spec)) this.mentioned.add(key);
    }
    return this.lacks(workload) || this.mentioned.size > before;
  }

  /** Whether its pods ask for something that no vector has a place for yet. */
  lacks({ spec, metadata: { namespace = "" } }: Workload): boolean {
    return spec.podSets.some(({ template }) => {
      const requests = this.claims?.demandOf(namespace, template.spec)?.requests ?? {};
      return Object.keys(requests).some((name) => !this.#resources.includes(name));
    });
  }

  #put(node: Node): void {
    const { name } = node.metadata;
    const { problem } = numaDomainsOf(node, this.#resources);
    if (problem !== undefined) this.#context.log("warn", `node ${name} is taken to have no NUMA domains: ${problem}`);
    const foreignPods = this.#foreignPodsOf(name);
    this.#core.putNode({
      ...nodeInput(this.#withClaimed(node), this.#resources, this.#foreign.get(name)),
      ...(foreignPods.length === 0 ? {} : { foreignPods }),
      ...(isEmbeddedNode(node) ? {} : { neverSuspends: true }),
    });
  }

  /** With what only claims are of. */
  #withClaimed(node: Node): Node {
    const more = this.claims?.capacityOf(node.metadata.name) ?? {};
    if (Object.keys(more).length === 0) return node;
    const allocatable: Record<string, string> = { ...(node.status?.allocatable ?? node.status?.capacity) };
    for (const [name, amount] of Object.entries(more)) allocatable[name] = String(amount);
    return { ...node, status: { ...node.status, allocatable } };
  }

  /** Pods of others on a node that rules between pods may mean, or that keep others off. */
  #foreignPodsOf(node: string): ForeignPodsInput[] {
    if (this.#foreignPods.size === 0) return [];
    const found = new Map<string, ForeignPodsInput>();
    for (const { node: on, pod } of this.#foreignPods.values()) {
      if (on !== node) continue;
      const { labels: has, namespace = "" } = pod.metadata;
      const holdings = holdingsOf(pod.spec, this.claims?.demandOf(namespace, pod.spec)?.singleClaims);
      const podClass = classOfPod(has, namespace, this.mentioned, holdings);
      const { antiAffinity = [] } = rulesOf(pod.spec, namespace, {}, holdings) ?? {};
      if (podClass === undefined && antiAffinity.length === 0) continue;
      const key = JSON.stringify([podClass, antiAffinity]);
      const same = found.get(key);
      if (same === undefined) found.set(key, { podClass, count: 1, antiAffinity });
      else same.count += 1;
    }
    return [...found.values()];
  }

  putNode(node: Node): void {
    const isNew = (name: string): boolean => name.includes("/") && !this.#resources.includes(name);
    const claimed = Object.keys(this.claims?.capacityOf(node.metadata.name) ?? {});
    if (Object.keys(capacityOf(node)).some(isNew) || claimed.some((name) => !this.#resources.includes(name)))
      this.#events.outgrown();
    else this.#put(node);
    this.reservations.nodesChanged();
    this.#events.changed();
  }

  /** What is known of it beside its status changed. */
  refreshNode(name: string): void {
    const node = this.#stores.nodes.get(undefined, name);
    if (node !== undefined && this.#isMade) this.putNode(node);
  }

  #putQueue(queue: Queue): void {
    const input = queueInput(queue, this.#resources, this.site);
    this.associations.tell(`queue ${input.name}`, () => this.#core.putQueue(input));
  }

  removeNode(name: string): void {
    this.#core.removeNode(name);
    this.reservations.nodesChanged();
    this.#events.changed();
  }

  putQueue(queue: Queue): void {
    this.associations.limitsChanged();
    this.#putQueue(queue);
    this.#events.changed();
  }

  removeQueue(name: string): void {
    this.associations.limitsChanged();
    this.#core.removeQueue(name);
    this.#events.changed();
  }

  siteChanged(): void {
    this.#core.setPolicy(policyInput(this.site));
    this.#putSite();
    // Queues take from the site what they do not say.
    for (const queue of this.#stores.queues.values()) this.#putQueue(queue);
    this.#events.changed();
  }

  accountsChanged(): void {
    this.associations.accountsChanged();
    this.#events.changed();
  }

  membershipChanged(membership: Membership, isDeleted: boolean): void {
    if (isDeleted) this.associations.removeMembership(membership);
    else this.associations.putMembership(membership);
    this.#events.changed();
  }

  qualityOfServiceChanged(qos: QualityOfService, isDeleted: boolean): void {
    if (isDeleted) this.associations.removeQualityOfService(qos.metadata.name);
    else this.associations.putQualityOfService(qos);
    this.#events.changed();
  }

  reservationChanged(reservation: Reservation, isDeleted: boolean): void {
    if (isDeleted) this.reservations.remove(reservation.metadata.name);
    else this.reservations.put(reservation);
    this.#events.changed();
  }

  /** Pods of others take room too, from when they have a node until they end. */
  countForeign(pod: Pod, isDeleted: boolean): void {
    const uid = pod.metadata.uid ?? "";
    const counted = this.#foreignPods.get(uid);
    const node = pod.spec.nodeName;
    const isOwn = pod.metadata.labels?.[labels.workload] !== undefined;
    const holds = !isDeleted && node !== undefined && !isTerminal(pod) && !isOwn;
    if (holds === (counted !== undefined)) {
      if (!holds || isSame(counted!.amounts, this.#requestsOf(pod))) return;
      // It was resized in place.
      this.countForeign(counted!.pod, true);
      this.countForeign(pod, false);
      return;
    }
    let isNew = false;
    if (counted !== undefined) {
      this.#foreignPods.delete(uid);
      addAmounts(this.#foreign.get(counted.node)!, counted.amounts, -1);
    } else {
      const amounts = { ...this.#requestsOf(pod), pods: 1 };
      this.#foreignPods.set(uid, { node: node!, amounts, pod });
      for (const key of ruleKeys(pod.spec)) {
        if (this.mentioned.has(key)) continue;
        this.mentioned.add(key);
        isNew = this.#isMade;
      }
      if (!this.#foreign.has(node!)) this.#foreign.set(node!, {});
      addAmounts(this.#foreign.get(node!)!, amounts, 1);
    }
    const found = this.#stores.nodes.get(undefined, counted?.node ?? node!);
    if (isNew) this.#events.outgrown();
    else if (found !== undefined && this.#isMade) this.putNode(found);
  }

  #requestsOf({ spec, metadata: { namespace = "" } }: Pod): Amounts {
    return { ...podRequests(spec), ...this.claims?.demandOf(namespace, spec)?.requests };
  }

  /** A node of Berth's own, where no device plugin gives out devices. */
  isEmbedded(nodeName: string): boolean {
    const node = this.#stores.nodes.get(undefined, nodeName);
    return node !== undefined && isEmbeddedNode(node);
  }

  kubeletTraits(nodeName: string): KubeletTraits | undefined {
    return kubeletTraitsOf(this.#stores.nodes.get(undefined, nodeName));
  }

  /** What Berth may use of a node; undefined where there is none of this name. */
  amountsOf(nodeName: string): Amounts | undefined {
    const node = this.#stores.nodes.get(undefined, nodeName);
    if (node === undefined) return undefined;
    const amounts = { ...capacityOf(node) };
    addAmounts(amounts, this.#foreign.get(nodeName) ?? {}, -1);
    return amounts;
  }

  qualityOfService(name: string | undefined): QualityOfService | undefined {
    return name === undefined ? undefined : this.#stores.qualitiesOfService.get(undefined, name);
  }

  /** The queue that a Workload is in; one without any settings where it is gone. */
  queueOf(record: WorkloadRecord): Queue {
    const name = record.workload.status?.queue ?? record.workload.spec.queue ?? defaultQueueName;
    return this.#stores.queues.get(undefined, name) ?? { apiVersion, kind: "Queue", metadata: { name }, spec: {} };
  }
}

/** @param counted with one of `pods`, which requests have not */
function isSame(counted: Amounts, requests: Amounts): boolean {
  const names = Object.keys(requests);
  return names.length + 1 === Object.keys(counted).length && names.every((name) => counted[name] === requests[name]);
}
