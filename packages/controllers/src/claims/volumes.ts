/** What claims of volumes ask of a pod's node, by the rules of kube-scheduler. Pure. */
import type { NodeSelectorTerm, PodSpec } from "@berth/kinds";
import { matchesLabels, parseQuantity } from "@berth/machinery";
import {
  bindCompleted,
  defaultClass,
  noProvisioner,
  selectedNode,
  type StorageClass,
  type Volume,
  type VolumeClaim,
  type VolumeClaimSpec,
} from "./objects.ts";

export interface VolumeView {
  claim(namespace: string, name: string): VolumeClaim | undefined;
  volume(name: string): Volume | undefined;
  /** Those of a storage class that are bound to nobody, or are meant for a claim that does not have them yet. */
  free(className: string): Iterable<Volume>;
  class(name: string): StorageClass | undefined;
  classes(): Iterable<StorageClass>;
}

/** A claim that a pod names, or that is made with it. */
export interface NamedClaim {
  /** For people. */
  label: string;
  /** Undefined of one that is made with its pod (`ephemeral`), which nobody has seen yet. */
  claim: VolumeClaim | undefined;
  spec: VolumeClaimSpec;
}

export interface ClaimDemand {
  /** Of each list any one term. */
  terms: (readonly NodeSelectorTerm[])[];
  /** Why no node can be chosen yet, in words. */
  problem?: string;
  /** It is bound once its node is known. */
  isLate: boolean;
  /** CSI driver of its volume, as far as known. */
  driver?: string;
}

const zoneLabels = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/** Name of the claim of an ephemeral volume. */
export function ephemeralName(pod: string, volume: string): string {
  return `${pod}-${volume}`;
}

export function isBound({ spec, metadata, status }: VolumeClaim): boolean {
  return (
    spec?.volumeName !== undefined && (metadata.annotations?.[bindCompleted] !== undefined || status?.phase === "Bound")
  );
}

/** Names of the claims that a pod mounts. */
export function claimNames(spec: PodSpec): string[] {
  return (spec.volumes ?? []).flatMap((volume) => {
    const source = volume["persistentVolumeClaim"] as { claimName: string } | undefined;
    return source === undefined ? [] : [source.claimName];
  });
}

/** By the name of the volume: what the claim that is made with the pod will ask for. */
export function ephemeralClaims(spec: PodSpec): { volume: string; spec: VolumeClaimSpec }[] {
  return (spec.volumes ?? []).flatMap((volume) => {
    const source = volume["ephemeral"] as { volumeClaimTemplate?: { spec?: VolumeClaimSpec } } | undefined;
    return source === undefined ? [] : [{ volume: volume.name, spec: source.volumeClaimTemplate?.spec ?? {} }];
  });
}

function storageOf(quantity: string | number | undefined): bigint {
  return quantity === undefined ? 0n : parseQuantity(String(quantity)).nano;
}

/** Whether an unbound volume would do for a claim, wherever it is. */
function wouldDo(volume: Volume, { claim, spec }: NamedClaim): boolean {
  const { spec: has = {}, metadata } = volume;
  if (metadata.deletionTimestamp !== undefined) return false;
  if (has.claimRef !== undefined) return isMeantFor(volume, claim);
  if (volume.status?.phase !== "Available") return false;
  if ((has.volumeMode ?? "Filesystem") !== (spec.volumeMode ?? "Filesystem")) return false;
  if (spec.accessModes?.every((mode) => has.accessModes?.includes(mode)) === false) return false;
  if (storageOf(has.capacity?.storage) < storageOf(spec.resources?.requests?.storage)) return false;
  const { matchLabels = {}, matchExpressions = [] } = spec.selector ?? {};
  const wanted = [
    ...Object.entries(matchLabels).map(([key, value]) => ({ key, operator: "In" as const, values: [value] })),
    ...matchExpressions.map(({ key, operator, values = [] }) => ({ key, operator, values })),
  ];
  return matchesLabels(wanted, metadata.labels ?? {});
}

function isMeantFor({ spec: { claimRef } = {} }: Volume, claim: VolumeClaim | undefined): boolean {
  if (claim === undefined || claimRef?.name !== claim.metadata.name) return false;
  return claimRef.namespace === claim.metadata.namespace && (claimRef.uid ?? claim.metadata.uid) === claim.metadata.uid;
}

/** Unbound volumes that would do for the claim, the smallest first; that which is meant for it alone, where one is. */
export function volumesFor(named: NamedClaim, view: VolumeView): Volume[] {
  const found = [...view.free(classNameOf(named.spec, view) ?? "")].filter((volume) => wouldDo(volume, named));
  const meant = found.filter((volume) => isMeantFor(volume, named.claim));
  if (meant.length > 0) return meant;
  const size = ({ spec }: Volume): bigint => storageOf(spec?.capacity?.storage);
  return found.sort((a, b) =>
    size(a) < size(b) ? -1 : size(a) > size(b) ? 1 : a.metadata.name < b.metadata.name ? -1 : 1,
  );
}

export function classNameOf({ storageClassName }: VolumeClaimSpec, view: VolumeView): string | undefined {
  if (storageClassName !== undefined) return storageClassName;
  for (const { metadata } of view.classes()) if (metadata.annotations?.[defaultClass] === "true") return metadata.name;
  return undefined;
}

/** Terms of the nodes that have a volume; undefined: all do. Empty: none does. */
export function placesOf({ metadata, spec }: Volume): NodeSelectorTerm[] | undefined {
  const terms = spec?.nodeAffinity?.required?.nodeSelectorTerms;
  if (terms !== undefined) return terms;
  // Before volumes had an affinity they had labels.
  const matchExpressions = zoneLabels.flatMap((key) => {
    const value = metadata.labels?.[key];
    return value === undefined ? [] : [{ key, operator: "In", values: value.split("__") }];
  });
  return matchExpressions.length === 0 ? undefined : [{ matchExpressions }];
}

/** Where a provisioner may make volumes of a class; undefined: anywhere. */
function placesOfClass({ allowedTopologies = [] }: StorageClass): NodeSelectorTerm[] | undefined {
  if (allowedTopologies.length === 0) return undefined;
  return allowedTopologies.map(({ matchLabelExpressions = [] }) => ({
    matchExpressions: matchLabelExpressions.map(({ key, values }) => ({ key, operator: "In", values })),
  }));
}

export function canProvision({ provisioner }: StorageClass, { selector }: VolumeClaimSpec): boolean {
  return provisioner !== noProvisioner && selector === undefined;
}

export function demandOfClaim(named: NamedClaim, view: VolumeView): ClaimDemand {
  const { label, claim, spec } = named;
  const waits = (why: string): ClaimDemand => ({ terms: [], isLate: false, problem: `waits for ${label}, ${why}` });
  if (claim?.metadata.deletionTimestamp !== undefined) return waits("which is being deleted");
  if (claim?.status?.phase === "Lost") return waits(`which has lost its volume ${spec.volumeName}`);
  if (claim !== undefined && spec.volumeName !== undefined) {
    const volume = view.volume(spec.volumeName);
    if (volume === undefined) return waits(`whose volume ${spec.volumeName} is not there`);
    if (!isBound(claim)) return waits(`which is not bound to its volume ${spec.volumeName} yet`);
    const places = placesOf(volume);
    return { terms: places === undefined ? [] : [places], isLate: false, driver: volume.spec?.csi?.driver };
  }
  const className = classNameOf(spec, view);
  const storage = className === undefined || className === "" ? undefined : view.class(className);
  if (className === undefined || className === "") return waits("which is not bound, and names no storage class");
  if (storage === undefined) return waits(`whose storage class ${className} is not there`);
  if (storage.volumeBindingMode !== "WaitForFirstConsumer") {
    // One that is made with its pod is bound, or not, before the pod is.
    return claim === undefined
      ? { terms: [], isLate: true }
      : waits(`which storage class ${className} has not bound yet`);
  }
  const driver = storage.provisioner === noProvisioner ? undefined : storage.provisioner;
  const chosen = claim?.metadata.annotations?.[selectedNode];
  if (chosen !== undefined) {
    const matchFields = [{ key: "metadata.name", operator: "In", values: [chosen] }];
    return { terms: [[{ matchFields }]], isLate: true, driver };
  }
  const places: NodeSelectorTerm[] = [];
  const options = volumesFor(named, view).map(placesOf);
  if (canProvision(storage, spec)) options.push(placesOfClass(storage));
  if (options.length === 0) return waits(`of which storage class ${className} has no volume left that would do`);
  for (const option of options) {
    if (option === undefined) return { terms: [], isLate: true, driver };
    places.push(...option);
  }
  return { terms: [places], isLate: true, driver };
}
