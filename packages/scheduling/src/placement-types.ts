/** What placement knows beyond amounts: devices, NUMA domains, topology, rules between pods, licences. Opaque strings and integers. */

/** Of a node that tells its NUMA domains. */
export interface NumaDomainInput {
  id: number;
  /** Ids of its cores, each 1000 of `cpu`. */
  cores: readonly number[];
  /** By resource index: what of each resource lies in this domain; resources that have 0 here are not bound to domains. */
  capacity: readonly number[];
  /** Ids of the devices that belong to it, by name of the resource. */
  devices?: Readonly<Record<string, readonly number[]>>;
}

/** Pods on a node that the core does not place: they count for rules between pods (what they use is off the node's capacity). */
export interface ForeignPodsInput {
  podClass?: string;
  /** For ever, as far as the core knows. */
  count: number;
  /** Theirs, which keep others away. */
  antiAffinity?: readonly PodTerm[];
}

/**
 * Pods that are meant, by an opaque selector that `ClusterOptions.matches` is asked about (selector, pod class), and the key of
 * the domains (`NodeInput.domains`) within which they count.
 */
export interface PodTerm {
  pods: string;
  key: string;
}

/** As `topologySpreadConstraints` of Kubernetes. */
export interface SpreadInput extends PodTerm {
  maxSkew: number;
  /** `DoNotSchedule` (true) or `ScheduleAnyway`. */
  required: boolean;
  /** With fewer domains than this the least count is taken to be 0. */
  minDomains?: number;
  /** Opaque selector of the nodes whose domains count (those that the pod's own selectors allow); absent: all. */
  nodes?: string;
}

/** Rules of the pods of one set, as Kubernetes defines them: required ones hold when a pod starts, anti-affinity both ways. */
export interface PodRulesInput {
  affinity?: readonly PodTerm[];
  antiAffinity?: readonly PodTerm[];
  spread?: readonly SpreadInput[];
  /** Weights as Kubernetes' (1 to 100); of pods negative for anti-affinity. Nodes: an opaque selector, asked with the node's class. */
  preferredPods?: readonly (PodTerm & { weight: number })[];
  preferredNodes?: readonly { selector: string; weight: number }[];
}

/**
 * One domain of a level for all pods of a gang. `Required`: never otherwise. `Preferred`: the smallest level from this one upwards
 * that has a domain with room when it starts, else the fewest domains of the largest; never a reason to wait.
 */
export interface TopologyInput {
  /** A key of `NodeInput.domains`; within `ClusterState.setTopology` a domain is named by all levels down to this one. */
  level: string;
  mode: "Required" | "Preferred";
}

/** Single devices, domain and cores of one pod; only of pods that asked for some of it. */
export interface PodGrant {
  /** `amount` of each device: 1000 is all of it. */
  devices?: readonly { resource: string; ids: readonly number[]; amount: number }[];
  /** NUMA domain; with it the whole cores that are its own from the start (absent of reservations). */
  numa?: number;
  cores?: readonly number[];
}

/** Pod by pod, as `Allocation.nodes`; null: nothing was asked. */
export type Grants = readonly (readonly (PodGrant | null)[])[];
