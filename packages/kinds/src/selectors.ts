/**
 * Where pods may go, as the opaque strings of `scheduling`: a node's class is its labels and taints, a selector is what a pod
 * (or a queue) asks of them. Equal strings are asked about once.
 */
import { type LabelRequirement, matchesLabels } from "@berth/machinery";
import type { Node, Taint } from "./node.ts";
import type { PodSpec, Toleration } from "./pod.ts";
import type { QueueSpec } from "./queue.ts";

export interface NodeSelectorTerm {
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
  matchFields?: { key: string; operator: string; values?: string[] }[];
}

interface Selector {
  labels?: Record<string, string>;
  /** Any one of the terms. */
  terms?: NodeSelectorTerm[];
  /** Of each list, any one of its terms: what volumes and claimed devices ask for. */
  also?: readonly (readonly NodeSelectorTerm[])[];
  tolerations?: Toleration[];
}

interface NodeClass {
  labels: Record<string, string>;
  taints: Taint[];
}

const hostnameLabel = "kubernetes.io/hostname";
/** Says which node it is, or follows from its state: kept out, so that equal nodes are one class. */
const ownLabels = new Set([hostnameLabel]);
/** Set from a node's conditions: `state` tells the core the same. */
const stateTaints = new Set([
  "node.kubernetes.io/not-ready",
  "node.kubernetes.io/unreachable",
  "node.kubernetes.io/unschedulable",
  "node.kubernetes.io/out-of-service",
]);

function sorted<T>(record: Record<string, T> | undefined): Record<string, T> {
  return Object.fromEntries(Object.entries(record ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function nodeClassOf(labels: Record<string, string> | undefined, taints: readonly Taint[] = []): string {
  const own = Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => !ownLabels.has(key)));
  const kept = taints
    .filter((taint) => taint.effect !== "PreferNoSchedule" && !stateTaints.has(taint.key))
    .map(({ key, value, effect }) => (value === undefined ? { key, effect } : { key, value, effect }));
  return JSON.stringify({ labels: sorted(own), taints: kept } satisfies NodeClass);
}

function termsOf(spec: Pick<PodSpec, "affinity">): NodeSelectorTerm[] | undefined {
  const affinity = spec.affinity as
    | { nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: NodeSelectorTerm[] } } }
    | undefined;
  return affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
}

/**
 * The selector of a pod, without what names one node (see {@link namedNodes}). Undefined: any untainted node.
 * @param also of each list any one term, none of which names nodes
 */
export function selectorOf(
  spec: Pick<PodSpec, "nodeSelector" | "affinity" | "tolerations">,
  queue: Pick<QueueSpec, "tolerations">,
  also: readonly (readonly NodeSelectorTerm[])[] = [],
): string {
  const { [hostnameLabel]: _, ...labels } = spec.nodeSelector ?? {};
  const terms = termsOf(spec)?.map((term) => ({
    matchExpressions: term.matchExpressions?.filter(({ key }) => key !== hostnameLabel),
  }));
  const selector: Selector = {
    labels: sorted(labels),
    terms: terms?.some((term) => (term.matchExpressions?.length ?? 0) > 0) === true ? terms : undefined,
    ...(also.length === 0 ? {} : { also }),
    tolerations: [...(queue.tolerations ?? []), ...(spec.tolerations ?? [])],
  };
  return JSON.stringify(selector);
}

/** Whether these terms name nodes, so that only a look at each node answers them. */
export function namesNodes(terms: readonly NodeSelectorTerm[]): boolean {
  return terms.some(
    ({ matchFields = [], matchExpressions = [] }) =>
      matchFields.length > 0 || matchExpressions.some(({ key }) => key === hostnameLabel),
  );
}

/** Whether a node fits one of these terms, by the rules of kube-scheduler: an empty term fits none. */
export function matchesNode(terms: readonly NodeSelectorTerm[], { metadata }: Pick<Node, "metadata">): boolean {
  return terms.some((term) => {
    const { matchFields = [], matchExpressions = [] } = term;
    if (matchFields.length + matchExpressions.length === 0) return false;
    const isNamed = matchFields.every(({ operator, values = [] }) =>
      operator === "In" ? values.includes(metadata.name) : !values.includes(metadata.name),
    );
    return isNamed && matchesTerm(term, metadata.labels ?? {});
  });
}

/** Selector of a queue's own nodes. Taints are the pods' affair: everything is tolerated here. */
export function queueSelectorOf(queue: Pick<QueueSpec, "nodeSelector">): string | undefined {
  if (queue.nodeSelector === undefined || Object.keys(queue.nodeSelector).length === 0) return undefined;
  return JSON.stringify({
    labels: sorted(queue.nodeSelector),
    tolerations: [{ operator: "Exists" }],
  } satisfies Selector);
}

/** Names of the nodes that a pod's selectors allow, where they name any (host name, `metadata.name`). */
export function namedNodes(spec: Pick<PodSpec, "nodeSelector" | "affinity">): string[] | undefined {
  const own = spec.nodeSelector?.[hostnameLabel];
  if (own !== undefined) return [own];
  const terms = termsOf(spec);
  if (terms === undefined || terms.length === 0) return undefined;
  const named = terms.map((term) => {
    const expressions = [
      ...(term.matchExpressions ?? []).filter(({ key }) => key === hostnameLabel),
      ...(term.matchFields ?? []).filter(({ key }) => key === "metadata.name"),
    ];
    return expressions.find(({ operator }) => operator === "In")?.values;
  });
  return named.every((names) => names !== undefined) ? named.flat() : undefined;
}

function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect !== undefined && toleration.effect !== taint.effect) return false;
  if (toleration.key !== undefined && toleration.key !== "" && toleration.key !== taint.key) return false;
  if (toleration.operator === "Exists") return true;
  return toleration.key !== undefined && (toleration.value ?? "") === (taint.value ?? "");
}

function matchesTerm(term: NodeSelectorTerm, labels: Record<string, string>): boolean {
  const requirements = (term.matchExpressions ?? []).map(({ key, operator, values }) => ({
    key,
    operator: operator as LabelRequirement["operator"],
    values: values ?? [],
  }));
  return matchesLabels(requirements, labels);
}

/** Which pods a rule between pods means. */
interface PodSelector {
  /** Undefined: of all. */
  namespaces?: readonly string[];
  requirements: LabelRequirement[];
}

/** Pods as rules between pods see them. */
interface PodClass {
  namespace: string;
  labels: Record<string, string>;
}

export function podSelectorOf(selector: PodSelector): string {
  return JSON.stringify({ pods: selector });
}

export function podClassOf(namespace: string, labels: Record<string, string>): string {
  return JSON.stringify({ namespace, labels: sorted(labels) } satisfies PodClass);
}

function matchesPods({ namespaces, requirements }: PodSelector, classText: string): boolean {
  const { namespace, labels } = JSON.parse(classText) as PodClass;
  return namespaces?.includes(namespace) !== false && matchesLabels(requirements, labels);
}

/**
 * Whether a node of this class may take pods of this selector, by the rules of kube-scheduler; of a {@link podSelectorOf} whether
 * it means pods of this class.
 */
export function matchesClass(selectorText: string, classText: string): boolean {
  const { pods, ...selector } = JSON.parse(selectorText) as Selector & { pods?: PodSelector };
  if (pods !== undefined) return matchesPods(pods, classText);
  const node = JSON.parse(classText) as NodeClass;
  for (const [key, value] of Object.entries(selector.labels ?? {})) if (node.labels[key] !== value) return false;
  if (selector.also?.every((terms) => terms.some((term) => matchesTerm(term, node.labels))) === false) return false;
  if (selector.terms !== undefined && !selector.terms.some((term) => matchesTerm(term, node.labels))) return false;
  return node.taints.every((taint) => (selector.tolerations ?? []).some((toleration) => tolerates(toleration, taint)));
}
