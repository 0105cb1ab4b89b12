/**
 * Devices that pods claim (resource.k8s.io). Each distinct selection of devices, a class with selectors, is a resource of the nodes to
 * scheduling, which counts; which devices a claim gets is chosen once its pod has a node.
 */
import { Informer, isReason, resources, type ResourceReference } from "@berth/client";
import type { Amounts, NodeSelectorTerm, Pod, PodSpec } from "@berth/kinds";
import { labels } from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";
import type { compileDeviceSelector } from "@berth/machinery/server";
import type { Context } from "../context.ts";
import { isTerminal } from "../model/ends.ts";
import type { Stores } from "../stores.ts";
import type { Writer } from "../writer.ts";
import { DeviceCatalog, idOf, type NodeDevice } from "./device-catalog.ts";
import {
  claimFinalizer,
  type DeviceClass,
  deviceResources,
  type DeviceRequest,
  mostConsumers,
  podClaimName,
  podClaims,
  requestsOf,
  type ResourceClaim,
  type ResourceClaimTemplate,
  type ResourceSlice,
} from "./device-objects.ts";
import { ClaimsUnsettled, type SettledPod } from "./settling.ts";

export interface DeviceDemand {
  requests: Amounts;
  terms: (readonly NodeSelectorTerm[])[];
  isLate: boolean;
  problem?: string;
  /** What of it Berth never allocates, in words. */
  refusal?: string;
}

export class Devices {
  readonly #context: Context;
  readonly #stores: Stores;
  readonly #writer: Writer;
  readonly #catalog: DeviceCatalog;
  readonly #classes: Informer<DeviceClass>;
  readonly #synced: Promise<void>[];
  readonly #claims: Informer<ResourceClaim>;
  readonly #templates: Informer<ResourceClaimTemplate>;
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
    await Promise.all([...devices.#synced, devices.#claims.synced, devices.#templates.synced]);
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
      new Set(
        (status?.allocation?.devices?.results ?? []).flatMap((result) => this.#catalog.find(idOf(result))?.node ?? []),
      );
    const slices = follow<ResourceSlice>(deviceResources.slices, ({ spec }) => {
      this.#catalog.slicesChanged();
      if (spec?.nodeName !== undefined) events.nodeChanged(spec.nodeName);
    });
    const classes = follow<DeviceClass>(deviceResources.classes, ({ metadata }) => {
      this.#catalog.classChanged(metadata.name);
      for (const node of this.#catalog.nodes()) events.nodeChanged(node);
    });
    this.#catalog = new DeviceCatalog({ slices, classes, compile });
    this.#classes = classes;
    this.#synced = [slices, classes].map(({ synced }) => synced);
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
        consumer: ({ status }) => (status?.reservedFor ?? []).map(({ uid }) => uid),
        device: ({ status }) => (status?.allocation?.devices?.results ?? []).map(idOf),
      },
    );
    this.#claims.addHandler({
      // What it had is free again.
      update: (_, before) => {
        for (const node of nodesOf(before)) events.nodeChanged(node);
      },
    });
    // A pod that has ended is counted no more, and its devices are free only once Kubernetes lets go of its claim.
    const ended = ({ metadata }: Pod): void => {
      for (const claim of this.#claims.byIndex("consumer", metadata.uid!))
        for (const node of nodesOf(claim)) events.nodeChanged(node);
    };
    stores.pods.addHandler({
      update: (pod, before) => {
        if (isTerminal(pod) && !isTerminal(before)) ended(pod);
      },
      delete: ended,
    });
    this.#templates = follow<ResourceClaimTemplate>(deviceResources.templates, () => {});
  }

  // Before a node is chosen

  resources(): string[] {
    return Array.from(this.#catalog.selections(), ({ name }) => name).sort();
  }

  /** Devices of each selection on a node, without those that others have: what Berth's own pods have scheduling counts. */
  capacityOf(node: string): Amounts {
    const amounts: Amounts = {};
    for (const { id } of this.#catalog.of(node)) {
      const [holder] = this.#claims.byIndex("device", id);
      for (const { name, members } of this.#catalog.selections()) {
        if (!members.has(id)) continue;
        const isFree = holder === undefined || this.#isCounted(holder, members);
        amounts[name] = (amounts[name] ?? 0) + (isFree ? 1 : 0);
      }
    }
    return amounts;
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
        return this.#catalog.selectionOf(request).members.isSubsetOf(members);
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
        const { members, name: own } = this.#catalog.selectionOf(request);
        for (const other of this.#catalog.selections()) {
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
    const taken = new Set(this.#promised.keys());
    const isFree = ({ id }: NodeDevice): boolean => !taken.has(id) && this.#claims.byIndex("device", id).length === 0;
    const chosen: (NodeDevice & { request: string })[] = [];
    const wanted = requests.map((request) => {
      try {
        return { request, members: this.#catalog.selectionOf(request).members };
      } catch (error) {
        throw new ClaimsUnsettled(`claim ${name}, ${(error as Error).message}`);
      }
    });
    const others = (id: string): number =>
      [...this.#catalog.selections()].filter(({ members }) => members.has(id)).length;
    for (const { request, members } of wanted.sort((a, b) => a.members.size - b.members.size)) {
      const free = this.#catalog
        .of(node)
        .filter((device) => members.has(device.id) && isFree(device))
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
