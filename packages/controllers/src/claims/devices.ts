/**
 * Devices that pods claim (resource.k8s.io). Each distinct selection of devices, a class with selectors, is a resource of the nodes to
 * scheduling, which counts; which devices a claim gets is chosen once its pod has a node.
 */
import { Informer, isReason, resources, type ResourceReference } from "@berth/client";
import type { Amounts, NodeSelectorTerm, Pod, PodSpec } from "@berth/kinds";
import { labels } from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";
import type { compileDeviceSelector, SelectedDevice } from "@berth/machinery/server";
import type { Context } from "../context.ts";
import { isTerminal } from "../model/ends.ts";
import type { Stores } from "../stores.ts";
import type { Writer } from "../writer.ts";
import {
  claimFinalizer,
  type DeviceClass,
  deviceResources,
  type DeviceRequest,
  isPlain,
  mostConsumers,
  podClaimName,
  podClaims,
  requestsOf,
  type ResourceClaim,
  type ResourceClaimTemplate,
  type ResourceSlice,
} from "./device-objects.ts";
import { ClaimsUnsettled, type SettledPod } from "./settling.ts";

/** A device of one node. */
interface NodeDevice {
  /** Driver, pool and name: what makes it one. */
  id: string;
  driver: string;
  pool: string;
  name: string;
  node: string;
  selected: SelectedDevice;
}

/** Devices of a class, by selectors of the class and of a request. */
interface Selection {
  /** Of the resource that it is to scheduling. */
  name: string;
  matches: (device: NodeDevice) => boolean;
  /** Ids, of the devices there are now. */
  members: Set<string>;
}

export interface DeviceDemand {
  requests: Amounts;
  terms: (readonly NodeSelectorTerm[])[];
  isLate: boolean;
  problem?: string;
  /** What of it Berth never allocates, in words. */
  refusal?: string;
}

/** Its group as Kubernetes names devices of a class that are asked for as a resource. */
const resourceOf = (className: string, selectors: readonly string[]): string =>
  `deviceclass.resource.kubernetes.io/${className}${selectors.length === 0 ? "" : ` where ${selectors.join(" && ")}`}`;

export class Devices {
  readonly #context: Context;
  readonly #stores: Stores;
  readonly #writer: Writer;
  readonly #slices: Informer<ResourceSlice>;
  readonly #classes: Informer<DeviceClass>;
  readonly #claims: Informer<ResourceClaim>;
  readonly #templates: Informer<ResourceClaimTemplate>;
  readonly #compile: typeof compileDeviceSelector;
  readonly #selections = new Map<string, Selection>();
  #devices = new Map<string, NodeDevice>();
  #areStale = true;
  /** Devices that claims are being given: by id, uid of the claim. */
  readonly #promised = new Map<string, string>();

  /** Undefined: the server has no resource.k8s.io/v1, which came with Kubernetes 1.34. */
  static async open(
    context: Context,
    stores: Stores,
    writer: Writer,
    events: { changed(): void; nodeChanged(name: string): void },
  ): Promise<Devices | undefined> {
    try {
      await context.client.request({ method: "GET", path: "/apis/resource.k8s.io/v1" });
    } catch (error) {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    }
    // CEL is dear to load, and of use nowhere else here.
    const server = await import("@berth/machinery/server");
    const devices = new Devices(context, stores, writer, events, server.compileDeviceSelector);
    await devices.#synced();
    return devices;
  }

  private constructor(
    context: Context,
    stores: Stores,
    writer: Writer,
    events: { changed(): void; nodeChanged(name: string): void },
    compile: typeof compileDeviceSelector,
  ) {
    const { client, log, signal } = context;
    this.#context = context;
    this.#stores = stores;
    this.#writer = writer;
    this.#compile = compile;
    const follow = <T extends KubernetesObject<unknown, unknown>>(
      resource: ResourceReference,
      told: (object: T) => void,
      indexers: Record<string, (object: T) => string[]> = {},
    ): Informer<T> => {
      const onError = (error: unknown): void => {
        if (!signal.aborted) log("warn", `watching ${resource.resource} failed: ${(error as Error).message}`);
      };
      const look = (object: T): void => {
        told(object);
        events.changed();
      };
      const handlers = [{ add: look, update: look, delete: look }];
      const transform = (object: T): T => {
        delete object.metadata.managedFields;
        return object;
      };
      return new Informer<T>({ client, resource, signal, onError, transform, indexers, handlers });
    };
    const nodesOf = ({ status }: ResourceClaim): Set<string> =>
      new Set((status?.allocation?.devices?.results ?? []).flatMap((result) => this.#find(idOf(result))?.node ?? []));
    this.#slices = follow<ResourceSlice>(deviceResources.slices, ({ spec }) => {
      this.#areStale = true;
      if (spec?.nodeName !== undefined) events.nodeChanged(spec.nodeName);
    });
    this.#classes = follow<DeviceClass>(deviceResources.classes, () => {
      this.#selections.clear();
      this.#areStale = true;
    });
    this.#claims = follow<ResourceClaim>(
      deviceResources.claims,
      (claim) => {
        const { uid = "" } = claim.metadata;
        for (const [id, of] of this.#promised)
          if (of === uid && claim.status?.allocation !== undefined) this.#promised.delete(id);
        for (const node of nodesOf(claim)) events.nodeChanged(node);
      },
      {
        pod: ({ metadata }) => metadata.ownerReferences?.map(({ uid }) => uid) ?? [],
        allocated: ({ status }) => (status?.allocation === undefined ? [] : [""]),
      },
    );
    this.#claims.addHandler({
      // What it had is free again.
      update: (_, before) => {
        for (const node of nodesOf(before)) events.nodeChanged(node);
      },
    });
    this.#templates = follow<ResourceClaimTemplate>(deviceResources.templates, () => {});
  }

  async #synced(): Promise<void> {
    const all = [this.#slices, this.#classes, this.#claims, this.#templates];
    await Promise.all(all.map(({ synced }) => synced));
  }

  // What there is

  #find(id: string): NodeDevice | undefined {
    this.#refresh();
    return this.#devices.get(id);
  }

  /** Reads the slices anew where some changed: of each pool those of its newest generation, once all are there. */
  #refresh(): void {
    if (!this.#areStale) return;
    this.#areStale = false;
    const pools = new Map<string, ResourceSlice[]>();
    for (const slice of this.#slices.values()) {
      const { driver, pool } = slice.spec!;
      const key = `${driver} ${pool.name}`;
      const known = pools.get(key);
      const newest = known?.[0]!.spec!.pool.generation ?? -1;
      if (known === undefined || pool.generation > newest) pools.set(key, [slice]);
      else if (pool.generation === newest) known.push(slice);
    }
    this.#devices = new Map();
    for (const slices of pools.values()) {
      if (slices.length < slices[0]!.spec!.pool.resourceSliceCount) continue;
      for (const { spec } of slices) {
        const { driver, pool, nodeName: node, devices = [] } = spec!;
        if (node === undefined) continue;
        for (const device of devices) {
          if (!isPlain(device)) continue;
          const { name, attributes = {}, capacity = {} } = device;
          const id = idOf({ driver, pool: pool.name, device: name });
          this.#devices.set(id, {
            id,
            driver,
            pool: pool.name,
            name,
            node,
            selected: { driver, attributes, capacity },
          });
        }
      }
    }
    for (const selection of this.#selections.values()) this.#enlist(selection);
  }

  #enlist(selection: Selection): void {
    selection.members = new Set();
    for (const device of this.#devices.values()) if (selection.matches(device)) selection.members.add(device.id);
  }

  /** @throws Error in words where the class is not there, or a selector is not understood */
  #selectionOf({ deviceClassName, selectors = [] }: DeviceRequest): Selection {
    const ofClass = this.#classes.get(undefined, deviceClassName);
    if (ofClass === undefined) throw new Error(`whose device class ${deviceClassName} is not there`);
    const own = selectors.flatMap(({ cel }) => cel?.expression ?? []);
    const name = resourceOf(deviceClassName, own);
    this.#refresh();
    const known = this.#selections.get(name);
    if (known !== undefined) return known;
    const all = [...(ofClass.spec?.selectors ?? []).flatMap(({ cel }) => cel?.expression ?? []), ...own];
    const tests = all.map((expression) => {
      try {
        return this.#compile(expression);
      } catch (error) {
        throw new Error(`whose selector ${expression} is not understood: ${(error as Error).message}`, {
          cause: error,
        });
      }
    });
    const matches = ({ selected }: NodeDevice): boolean => tests.every((test) => test(selected));
    const made: Selection = { name, matches, members: new Set() };
    this.#enlist(made);
    this.#selections.set(name, made);
    return made;
  }

  // Before a node is chosen

  resources(): string[] {
    return [...this.#selections.keys()].sort();
  }

  /** Devices of each selection on a node, without those that others have: what Berth's own pods have scheduling counts. */
  capacityOf(node: string): Amounts {
    this.#refresh();
    const amounts: Amounts = {};
    const holders = this.#holders();
    for (const [name, { members }] of this.#selections) {
      let count = 0;
      for (const id of members) {
        if (this.#devices.get(id)!.node !== node) continue;
        const holder = holders.get(id);
        if (holder === undefined || this.#isCounted(holder, members)) count += 1;
      }
      amounts[name] = count;
    }
    return amounts;
  }

  /** Claims by the devices that they have. */
  #holders(): Map<string, ResourceClaim> {
    const holders = new Map<string, ResourceClaim>();
    for (const claim of this.#claims.byIndex("allocated", ""))
      for (const result of claim.status!.allocation!.devices?.results ?? []) holders.set(idOf(result), claim);
    return holders;
  }

  /** Whether scheduling counts a claim among those that take of these devices: it is a living pod's of Berth. */
  #isCounted({ metadata, spec, status }: ResourceClaim, members: ReadonlySet<string>): boolean {
    const isOwn = status?.reservedFor?.some(({ name, uid }) => {
      const pod = this.#stores.pods.get(metadata.namespace, name);
      return pod?.metadata.uid === uid && pod.metadata.labels?.[labels.workload] !== undefined && !isTerminal(pod);
    });
    const requests = requestsOf(spec ?? {});
    if (isOwn !== true || typeof requests === "string") return false;
    return requests.some((request) => {
      try {
        return this.#selectionOf(request).members.isSubsetOf(members);
      } catch {
        return false;
      }
    });
  }

  /** Undefined: it claims no devices. */
  demandOf(namespace: string, spec: PodSpec): DeviceDemand | undefined {
    const claimed = podClaims(spec);
    if (claimed.length === 0) return undefined;
    const demand: DeviceDemand = { requests: {}, terms: [], isLate: true };
    for (const { resourceClaimName, resourceClaimTemplateName } of claimed) {
      const name = resourceClaimName ?? resourceClaimTemplateName!;
      const isTemplate = resourceClaimName === undefined;
      const label = `${isTemplate ? "claim template" : "resource claim"} ${name}`;
      const claim = isTemplate ? undefined : this.#claims.get(namespace, name);
      const asked = isTemplate ? this.#templates.get(namespace, name)?.spec?.spec : claim?.spec;
      const waits = (why: string): void => void (demand.problem ??= `waits for ${label}, ${why}`);
      if (asked === undefined) waits(`which is not there in namespace ${namespace}`);
      else if (claim?.metadata.deletionTimestamp !== undefined) waits("which is being deleted");
      else if (claim?.status?.allocation !== undefined) {
        const terms = claim.status.allocation.nodeSelector?.nodeSelectorTerms;
        if (terms !== undefined) demand.terms.push(terms);
        if ((claim.status.reservedFor ?? []).length >= mostConsumers) waits(`which ${mostConsumers} pods use already`);
      } else this.#add(demand, label, requestsOf(asked), waits);
    }
    return demand;
  }

  #add(demand: DeviceDemand, label: string, requests: DeviceRequest[] | string, waits: (why: string) => void): void {
    if (typeof requests === "string") {
      demand.refusal ??= `${label}: ${requests}`;
      waits(requests);
      return;
    }
    for (const request of requests) {
      try {
        const { members, name: own } = this.#selectionOf(request);
        for (const other of this.#selections.values()) {
          // Whoever takes of these takes of those among which they are.
          const isAmong = other.name === own || (members.size > 0 && members.isSubsetOf(other.members));
          if (isAmong) demand.requests[other.name] = (demand.requests[other.name] ?? 0) + request.count;
        }
      } catch (error) {
        waits((error as Error).message);
      }
    }
  }

  // Once a node is chosen

  /** Allocates the pod's claims on the node as far as they are there; what is left to wait for, in words. @throws ClaimsUnsettled */
  async settle(pod: SettledPod, node: string): Promise<string | undefined> {
    let open: string | undefined;
    for (const { name, resourceClaimName } of podClaims(pod.spec)) {
      const claim =
        resourceClaimName === undefined
          ? this.#claims.byIndex("pod", pod.uid).find(({ metadata }) => metadata.annotations?.[podClaimName] === name)
          : this.#claims.get(pod.namespace, resourceClaimName);
      if (claim === undefined) open ??= `waits for its claim ${name}, which is not made yet`;
      else if (!(await this.#reserve(claim, pod, node))) open ??= `waits for claim ${claim.metadata.name}`;
    }
    if (open !== undefined || podClaims(pod.spec).every(({ resourceClaimName }) => resourceClaimName !== undefined))
      return open;
    // A kubelet finds claims that were made of templates by the status of the pod.
    const found = await this.#context.client.get<Pod>(resources.pods, pod.name, { namespace: pod.namespace });
    const told = (found.status as { resourceClaimStatuses?: unknown[] } | undefined)?.resourceClaimStatuses ?? [];
    return told.length === 0 ? "waits for the pod to be told its claims" : undefined;
  }

  /** True: the claim is the pod's, as far as is seen. */
  async #reserve(claim: ResourceClaim, pod: SettledPod, node: string): Promise<boolean> {
    const { name, namespace, uid = "", resourceVersion, finalizers = [] } = claim.metadata;
    const { allocation, reservedFor = [] } = claim.status ?? {};
    if (reservedFor.some((consumer) => consumer.uid === pod.uid)) return true;
    const chosen = allocation === undefined ? this.#choose(claim, node) : undefined;
    const { client } = this.#context;
    const consumer = { resource: "pods", name: pod.name, uid: pod.uid };
    try {
      let version = resourceVersion;
      if (chosen !== undefined) {
        for (const { id } of chosen) this.#promised.set(id, uid);
        if (!finalizers.includes(claimFinalizer)) {
          const metadata = { resourceVersion, finalizers: [...finalizers, claimFinalizer] };
          const patched = await this.#writer.run(() =>
            client.patch<ResourceClaim>(deviceResources.claims, name, { metadata }, { namespace }),
          );
          version = patched.metadata.resourceVersion;
        }
      }
      const status = {
        ...(chosen === undefined ? {} : { allocation: this.#allocationOf(claim, chosen, node) }),
        reservedFor: [...reservedFor, consumer],
      };
      const patch = { metadata: { resourceVersion: version }, status };
      await this.#writer.run(() => client.patchStatus(deviceResources.claims, name, patch, { namespace }));
      return true;
    } catch (error) {
      for (const [id, of] of this.#promised) if (of === uid) this.#promised.delete(id);
      // Somebody else changed it: what it has become is seen soon.
      if (isReason(error, "Conflict")) return false;
      if (isReason(error, "NotFound", "Invalid"))
        throw new ClaimsUnsettled(`claim ${name} could not be allocated: ${(error as Error).message}`);
      throw error;
    }
  }

  /** Devices of the node for a claim: those first that fewest others could ask for. @throws ClaimsUnsettled */
  #choose(claim: ResourceClaim, node: string): (NodeDevice & { request: string })[] {
    const requests = requestsOf(claim.spec ?? {});
    const { name } = claim.metadata;
    if (typeof requests === "string") throw new ClaimsUnsettled(`claim ${name}: ${requests}`);
    const taken = new Set([...this.#holders().keys(), ...this.#promised.keys()]);
    const chosen: (NodeDevice & { request: string })[] = [];
    const wanted = requests.map((request) => {
      try {
        return { request, members: this.#selectionOf(request).members };
      } catch (error) {
        throw new ClaimsUnsettled(`claim ${name}, ${(error as Error).message}`);
      }
    });
    const others = (id: string): number =>
      [...this.#selections.values()].filter(({ members }) => members.has(id)).length;
    for (const { request, members } of wanted.sort((a, b) => a.members.size - b.members.size)) {
      const free = [...members]
        .map((id) => this.#devices.get(id)!)
        .filter((device) => device.node === node && !taken.has(device.id))
        .sort((a, b) => others(a.id) - others(b.id) || (a.id < b.id ? -1 : 1))
        .slice(0, request.count);
      if (free.length < request.count)
        throw new ClaimsUnsettled(
          `claim ${name} needs ${request.count} devices of class ${request.deviceClassName}; ${free.length} are free`,
        );
      for (const device of free) {
        taken.add(device.id);
        chosen.push(Object.assign({}, device, { request: request.name }));
      }
    }
    return chosen;
  }

  #allocationOf({ spec }: ResourceClaim, chosen: (NodeDevice & { request: string })[], node: string): object {
    const requests = requestsOf(spec ?? {}) as DeviceRequest[];
    const ofClasses = requests.flatMap(({ name, deviceClassName }) => {
      const { config = [] } = this.#classes.get(undefined, deviceClassName)?.spec ?? {};
      return config.map(({ opaque }) => ({ source: "FromClass", requests: [name], opaque }));
    });
    const ofClaim = (spec?.devices?.config ?? []).map((each) => Object.assign({ source: "FromClaim" }, each));
    const config = [...ofClasses, ...ofClaim];
    const results = chosen.map(({ request, driver, pool, name }) => ({ request, driver, pool, device: name }));
    const matchFields = [{ key: "metadata.name", operator: "In", values: [node] }];
    return {
      devices: { results, ...(config.length === 0 ? {} : { config }) },
      nodeSelector: { nodeSelectorTerms: [{ matchFields }] },
    };
  }
}

function idOf({ driver, pool, device }: { driver: string; pool: string; device: string }): string {
  return `${driver}/${pool}/${device}`;
}
