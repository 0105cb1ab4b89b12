/**
 * What pods ask for by the names of other objects: claims of volumes and of devices, and a RuntimeClass. Before a pod has a node these say where it may
 * be; once a node was chosen, claims that wait for that are bound before the pod is.
 */
import { Informer, isReason, type ResourceReference } from "@berth/client";
import type { Amounts, Node, NodeSelectorTerm, PodSpec, QueueSpec } from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";
import { compareResourceVersions } from "@berth/machinery";
import { matchesNode, namesNodes } from "@berth/kinds";
import type { Context } from "../context.ts";
import type { Stores } from "../stores.ts";
import type { Writer } from "../writer.ts";
import { podClaims } from "./device-objects.ts";
import { Devices } from "./devices.ts";
import {
  claimResources,
  type CsiNode,
  type RuntimeClass,
  selectedNode,
  type StorageClass,
  type Volume,
  type VolumeClaim,
} from "./objects.ts";
import { ClaimsUnsettled, type SettledPod } from "./settling.ts";
import {
  canProvision,
  claimNames,
  classNameOf,
  demandOfClaim,
  ephemeralClaims,
  ephemeralName,
  isBound,
  type NamedClaim,
  placesOf,
  volumesFor,
  type VolumeView,
} from "./volumes.ts";

/** What a pod asks for beyond what it says itself. */
export interface Demand {
  /** With what its RuntimeClass adds. */
  spec: PodSpec;
  /** Volumes by the driver that attaches them. */
  requests: Amounts;
  /** Of each list any one term; none of them names nodes. */
  terms: (readonly NodeSelectorTerm[])[];
  /** Names of the only nodes that it may be on. */
  nodes?: string[];
  /** `NAMESPACE/NAME` of claims that one pod at a time may use. */
  singleClaims: string[];
  /** Something of it is bound, or made, once its node is known. */
  isLate: boolean;
  /** Why it cannot be placed yet, in words. */
  problem?: string;
  /** What of it Berth never places, in words. */
  refusal?: string;
}

/** As kube-scheduler waits. */
const bindTimeoutMs = 600_000;
const together = 50;

/** How many volumes of a CSI driver a node attaches. */
const attachable = (driver: string): string => `attachable-volumes-csi-${driver}`;

export class Claims {
  readonly #context: Context;
  readonly #stores: Stores;
  readonly #writer: Writer;
  readonly #runtimeClasses: Informer<RuntimeClass>;
  readonly #storageClasses: Informer<StorageClass>;
  readonly #csiNodes: Informer<CsiNode>;
  readonly #volumes: Informer<Volume>;
  readonly #claims: Informer<VolumeClaim>;
  readonly #view: VolumeView;
  #devices: Devices | undefined;
  readonly #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  /** Told, once for what happens together, that demands may be others. */
  changed: () => void = () => {};
  /** Told of nodes that may attach more or fewer volumes. */
  nodeChanged: (name: string) => void = () => {};

  constructor(context: Context, stores: Stores, writer: Writer) {
    const { client, log, signal } = context;
    this.#context = context;
    this.#stores = stores;
    this.#writer = writer;
    const follow = <T extends KubernetesObject<unknown, unknown>>(
      resource: ResourceReference,
      indexers: Record<string, (object: T) => string[]> = {},
    ): Informer<T> => {
      const onError = (error: unknown): void => {
        if (!signal.aborted) log("warn", `watching ${resource.resource} failed: ${(error as Error).message}`);
      };
      const changed = (): void => this.#changed();
      const handlers = [{ add: changed, update: changed, delete: changed }];
      return new Informer<T>({ client, resource, signal, onError, transform: slim, indexers, handlers });
    };
    this.#runtimeClasses = follow<RuntimeClass>(claimResources.runtimeClasses);
    this.#storageClasses = follow<StorageClass>(claimResources.storageClasses);
    this.#csiNodes = follow<CsiNode>(claimResources.csiNodes);
    this.#claims = follow<VolumeClaim>(claimResources.volumeClaims);
    this.#volumes = follow<Volume>(claimResources.volumes, {
      // Of thousands of volumes few are free.
      free: ({ spec, status }) =>
        status?.phase === "Available" || (spec?.claimRef !== undefined && status?.phase !== "Bound")
          ? [spec?.storageClassName ?? ""]
          : [],
    });
    this.#view = {
      claim: (namespace, name) => this.#claims.get(namespace, name),
      volume: (name) => this.#volumes.get(undefined, name),
      free: (className) => this.#volumes.byIndex("free", className),
      class: (name) => this.#storageClasses.get(undefined, name),
      classes: () => this.#storageClasses.values(),
    };
    signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  async synced(): Promise<void> {
    const all = [this.#runtimeClasses, this.#storageClasses, this.#csiNodes, this.#claims, this.#volumes];
    await Promise.all(all.map(({ synced }) => synced));
    const events = { changed: () => this.#changed(), nodeChanged: (name: string) => this.nodeChanged(name) };
    this.#devices = await Devices.open(this.#context, this.#stores, this.#writer, events);
    const tell = ({ metadata }: CsiNode): void => this.nodeChanged(metadata.name);
    this.#csiNodes.addHandler({ add: tell, update: tell, delete: tell });
  }

  #changed(): void {
    for (const look of this.#waiting) look();
    if (this.#context.signal.aborted) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.changed();
    }, together);
  }

  // Before a node is chosen

  /** Names of resources that nodes have by what is known here. */
  resources(): string[] {
    const names = new Set<string>();
    for (const { metadata } of this.#csiNodes.values())
      for (const name of Object.keys(this.capacityOf(metadata.name))) names.add(name);
    return [...[...names].sort(), ...(this.#devices?.resources() ?? [])];
  }

  /** What a node has beside what its status says. */
  capacityOf(node: string): Amounts {
    const amounts: Amounts = { ...this.#devices?.capacityOf(node) };
    for (const { name, allocatable } of this.#csiNodes.get(undefined, node)?.spec?.drivers ?? [])
      if (allocatable?.count !== undefined) amounts[attachable(name)] = allocatable.count;
    return amounts;
  }

  /** Undefined: the pod asks for nothing of the kind. */
  demandOf(namespace: string, template: PodSpec, queue: Pick<QueueSpec, "podDefaults"> = {}): Demand | undefined {
    const spec = withDefaults(template, queue);
    const claims = this.#claimsOf(namespace, spec, undefined);
    const runtimeClass = spec["runtimeClassName"] as string | undefined;
    const devices = this.#devices?.demandOf(namespace, spec);
    if (claims.length === 0 && runtimeClass === undefined && podClaims(spec).length === 0) return undefined;
    const demand: Demand = { spec: template, requests: {}, terms: [], singleClaims: [], isLate: false };
    if (devices !== undefined) {
      const { requests, terms, problem, refusal } = devices;
      Object.assign(demand, { requests, problem, refusal, isLate: true });
      for (const places of terms) this.#restrict(demand, places);
    } else if (podClaims(spec).length > 0) {
      demand.refusal = "resourceClaims: this cluster has no devices to claim (resource.k8s.io/v1, Kubernetes 1.34)";
      demand.problem = demand.refusal;
    }
    if (runtimeClass !== undefined) this.#addClass(demand, runtimeClass);
    for (const named of claims) {
      if (typeof named === "string") demand.problem ??= named;
      else this.#addClaim(demand, named);
    }
    return demand;
  }

  #addClass(demand: Demand, name: string): void {
    const found = this.#runtimeClasses.get(undefined, name);
    if (found === undefined) {
      demand.problem = `waits for RuntimeClass ${name}, which is not there`;
      return;
    }
    const { overhead, scheduling } = found;
    const { spec } = demand;
    demand.spec = {
      ...spec,
      ...(overhead?.podFixed === undefined ? {} : { overhead: overhead.podFixed }),
      nodeSelector: { ...spec.nodeSelector, ...scheduling?.nodeSelector },
      tolerations: [...(spec.tolerations ?? []), ...(scheduling?.tolerations ?? [])],
    };
  }

  #addClaim(demand: Demand, named: NamedClaim): void {
    const { claim, spec } = named;
    const { terms, problem, isLate, driver } = demandOfClaim(named, this.#view);
    demand.problem ??= problem;
    demand.isLate ||= isLate;
    for (const places of terms) this.#restrict(demand, places);
    if (driver !== undefined) demand.requests[attachable(driver)] = (demand.requests[attachable(driver)] ?? 0) + 1;
    if (claim !== undefined && spec.accessModes?.includes("ReadWriteOncePod") === true)
      demand.singleClaims.push(`${claim.metadata.namespace}/${claim.metadata.name}`);
  }

  #restrict(demand: Demand, places: readonly NodeSelectorTerm[]): void {
    if (!namesNodes(places)) demand.terms.push(places);
    else {
      const fitting = this.#nodesOf(places);
      demand.nodes = demand.nodes === undefined ? fitting : demand.nodes.filter((name) => fitting.includes(name));
    }
  }

  #nodesOf(terms: readonly NodeSelectorTerm[]): string[] {
    const names: string[] = [];
    for (const node of this.#stores.nodes.values()) if (matchesNode(terms, node)) names.push(node.metadata.name);
    return names;
  }

  /** Claims of a pod; of one that is not there, a sentence. @param pod undefined: it is not made yet */
  #claimsOf(
    namespace: string,
    spec: PodSpec,
    pod: Pick<SettledPod, "name" | "uid"> | undefined,
  ): (NamedClaim | string)[] {
    const named = [...new Set(claimNames(spec))].map((name) => {
      const claim = this.#claims.get(namespace, name);
      return claim === undefined
        ? `waits for claim ${name}, which is not there in namespace ${namespace}`
        : { label: `claim ${name}`, claim, spec: claim.spec ?? {} };
    });
    const made = ephemeralClaims(spec).map(({ volume, spec: asked }) => {
      const label = `the claim of volume ${volume}`;
      if (pod === undefined) return { label, claim: undefined, spec: asked };
      const claim = this.#claims.get(namespace, ephemeralName(pod.name, volume));
      const isOwn = claim?.metadata.ownerReferences?.some(({ uid }) => uid === pod.uid) === true;
      return isOwn ? { label, claim, spec: claim.spec ?? {} } : `waits for ${label}, which is not made yet`;
    });
    return [...named, ...made];
  }

  // Once a node is chosen

  /**
   * Binds what of the pod's claims waits for its node, and resolves when all are bound.
   * @param isWanted asked again and again: false ends the wait
   * @throws ClaimsUnsettled, whose message is in words
   */
  async settle(pod: SettledPod, node: string, isWanted: () => boolean): Promise<void> {
    if (claimNames(pod.spec).length + ephemeralClaims(pod.spec).length + podClaims(pod.spec).length === 0) return;
    const found = this.#stores.nodes.get(undefined, node);
    if (found === undefined) throw new ClaimsUnsettled(`node ${node} is gone`);
    const asked: Asked = new Map();
    const until = this.#context.now() + bindTimeoutMs;
    for (;;) {
      const changes = this.#nextChange();
      const open: string[] = [];
      for (const named of this.#claimsOf(pod.namespace, pod.spec, pod)) {
        const why = typeof named === "string" ? named : await this.#bind(named, found, asked);
        if (why !== undefined) open.push(why);
      }
      const ofDevices = await this.#devices?.settle(pod, node);
      if (ofDevices !== undefined) open.push(ofDevices);
      if (open.length === 0 || !isWanted()) {
        changes.end();
        return;
      }
      if (this.#context.now() > until) {
        changes.end();
        throw new ClaimsUnsettled(open[0]!);
      }
      await changes.next;
    }
  }

  /** Resolves at the next change, and every second: nobody tells when a wait is over, or not wanted any more. */
  #nextChange(): { next: Promise<void>; end: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(end);
      resolve();
    };
    const timer = setTimeout(end, 1000);
    this.#waiting.add(end);
    return { next: promise, end };
  }

  /** What is left to wait for, in words; undefined: it is bound, where the node has it. */
  async #bind(named: NamedClaim, node: Node, asked: Asked): Promise<string | undefined> {
    const { label, claim, spec } = named;
    const { name, namespace, uid = "" } = claim!.metadata;
    const unsettled = (why: string): never => {
      throw new ClaimsUnsettled(`${label} ${why}`);
    };
    if (spec.volumeName !== undefined) {
      const volume = this.#volumes.get(undefined, spec.volumeName);
      const places = volume === undefined ? undefined : placesOf(volume);
      if (places !== undefined && !matchesNode(places, node))
        return unsettled(`is bound to volume ${spec.volumeName}, which this node does not have`);
      return isBound(claim!) && volume !== undefined ? undefined : `waits for ${label} to be bound`;
    }
    const demand = demandOfClaim(named, this.#view);
    const chosen = claim!.metadata.annotations?.[selectedNode];
    const written = asked.get(uid);
    if (written !== undefined) {
      const isSeen = written !== "" && compareResourceVersions(claim!.metadata.resourceVersion!, written) >= 0;
      if (isSeen && chosen === undefined) return unsettled("cannot be had there: its provisioner gave up");
      return `waits for ${label} to be bound`;
    }
    if (demand.problem !== undefined) return unsettled(`is not ready: ${demand.problem}`);
    if (!demand.isLate) return `waits for ${label} to be bound`;
    if (chosen !== undefined && chosen !== node.metadata.name) return unsettled(`is being made for node ${chosen}`);
    asked.set(uid, "");
    if (chosen !== undefined) return `waits for ${label} to be bound`;
    const volume = volumesFor(named, this.#view).find((each) => {
      const places = placesOf(each);
      return places === undefined || matchesNode(places, node);
    });
    const className = classNameOf(spec, this.#view);
    const storage = className === undefined ? undefined : this.#storageClasses.get(undefined, className);
    const { client } = this.#context;
    try {
      if (volume?.spec?.claimRef === undefined && volume !== undefined) {
        const claimRef = { apiVersion: "v1", kind: "PersistentVolumeClaim", name, namespace, uid };
        const { resourceVersion } = volume.metadata;
        // Of two that want it the second is refused, and looks for another node.
        const patch = {
          metadata: { resourceVersion, annotations: { "pv.kubernetes.io/bound-by-controller": "yes" } },
          spec: { claimRef },
        };
        await this.#writer.run(() => client.patch(claimResources.volumes, volume.metadata.name, patch));
      } else if (volume === undefined) {
        if (storage === undefined || !canProvision(storage, spec))
          return unsettled("has no volume that would do there");
        const patch = { metadata: { uid, annotations: { [selectedNode]: node.metadata.name } } };
        const changed = await this.#writer.run(() =>
          client.patch<VolumeClaim>(claimResources.volumeClaims, name, patch, { namespace }),
        );
        asked.set(uid, changed.metadata.resourceVersion!);
      }
    } catch (error) {
      if (isReason(error, "Conflict", "NotFound", "Invalid"))
        return unsettled(`could not be bound there: ${(error as Error).message}`);
      throw error;
    }
    return `waits for ${label} to be bound`;
  }
}

/** By uid of claims for which something was done: the version in which they were told their node; empty: their volume was. */
type Asked = Map<string, string>;

/** What its queue gives to all its pods counts as the pod's own. */
function withDefaults(spec: PodSpec, { podDefaults }: Pick<QueueSpec, "podDefaults">): PodSpec {
  const volumes = podDefaults?.spec?.volumes;
  return volumes === undefined ? spec : { ...spec, volumes: [...volumes, ...(spec.volumes ?? [])] };
}

/** Keeps what is read here: there may be tens of thousands. */
function slim<T extends { metadata: { managedFields?: unknown[] } }>(object: T): T {
  delete object.metadata.managedFields;
  return object;
}

/** Whether a pod could ask for anything that is looked up here. */
export function mayDemand(spec: PodSpec): boolean {
  const claims = claimNames(spec).length + ephemeralClaims(spec).length + podClaims(spec).length;
  return spec["runtimeClassName"] !== undefined || claims > 0;
}
