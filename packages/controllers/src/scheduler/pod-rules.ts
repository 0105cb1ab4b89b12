/**
 * Rules between pods, from the fields of Kubernetes to the opaque strings of `scheduling`. What a pod selector can see of a pod
 * are its namespace and those labels that any selector mentions, so that pods that nobody selects are told apart by nothing.
 */
import type { PodSpec, PodTemplate, QueueSpec } from "@berth/kinds";
import { labels as ownLabels, podClassOf, podSelectorOf, selectorOf } from "@berth/kinds";
import type { LabelRequirement } from "@berth/machinery";
import type { PodRulesInput, PodTerm, SpreadInput } from "@berth/scheduling";
import type { Holdings } from "./holdings.ts";

interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}
interface AffinityTerm {
  labelSelector?: LabelSelector;
  topologyKey?: string;
  namespaces?: string[];
  namespaceSelector?: LabelSelector;
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
}
interface PodAffinity {
  requiredDuringSchedulingIgnoredDuringExecution?: AffinityTerm[];
  preferredDuringSchedulingIgnoredDuringExecution?: { weight: number; podAffinityTerm: AffinityTerm }[];
}
interface NodeTerm {
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
  matchFields?: unknown[];
}
interface Affinity {
  nodeAffinity?: { preferredDuringSchedulingIgnoredDuringExecution?: { weight: number; preference: NodeTerm }[] };
  podAffinity?: PodAffinity;
  podAntiAffinity?: PodAffinity;
}
interface SpreadConstraint {
  maxSkew: number;
  topologyKey: string;
  whenUnsatisfiable?: string;
  labelSelector?: LabelSelector;
  minDomains?: number;
  nodeAffinityPolicy?: string;
  nodeTaintsPolicy?: string;
  matchLabelKeys?: string[];
}
type Placed = Pick<PodSpec, "affinity" | "nodeSelector" | "tolerations"> & { topologySpreadConstraints?: unknown };

const hostname = "kubernetes.io/hostname";
/** Set by controllers on pods of one Job each; a class of pods for every Job would be the price of selecting by them. */
const unseenLabels = new Set(["controller-uid", "job-name", "pod-template-hash"]);

function isSeen(key: string): boolean {
  const prefix = key.split("/")[0]!;
  return !unseenLabels.has(key) && prefix !== ownLabels.workload.split("/")[0] && prefix !== "batch.kubernetes.io";
}

function hasRules(spec: Placed): boolean {
  return spec.affinity !== undefined || spec.topologySpreadConstraints !== undefined;
}

class RuleReader {
  readonly rules: PodRulesInput;
  /** Labels that selectors mention. */
  readonly keys = new Set<string>();
  problem: string | undefined;
  readonly #namespace: string;

  constructor(spec: Placed, namespace: string, queue: Pick<QueueSpec, "tolerations">) {
    this.#namespace = namespace;
    const { nodeAffinity, podAffinity, podAntiAffinity } = (spec.affinity ?? {}) as Affinity;
    const constraints = (spec.topologySpreadConstraints ?? []) as SpreadConstraint[];
    const preferred = (
      affinity: PodAffinity | undefined,
      sign: 1 | -1,
      path: string,
    ): (PodTerm & { weight: number })[] =>
      (affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) => {
        const { pods, key } = this.#term(podAffinityTerm, path);
        return { pods, key, weight: sign * weight };
      });
    const required = (affinity: PodAffinity | undefined, path: string): PodTerm[] =>
      (affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => this.#term(term, path));
    this.rules = {
      affinity: required(podAffinity, "affinity.podAffinity"),
      antiAffinity: required(podAntiAffinity, "affinity.podAntiAffinity"),
      preferredPods: [
        ...preferred(podAffinity, 1, "affinity.podAffinity"),
        ...preferred(podAntiAffinity, -1, "affinity.podAntiAffinity"),
      ],
      preferredNodes: (nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
        ({ weight, preference }) => ({ weight, selector: this.#nodes(preference) }),
      ),
      spread: constraints.map((constraint) => this.#spread(constraint, spec, queue)),
    };
  }

  get isEmpty(): boolean {
    return Object.values(this.rules).every((list: readonly unknown[]) => list.length === 0);
  }

  #refuse(problem: string): void {
    this.problem ??= problem;
  }

  #term(term: AffinityTerm, path: string): PodTerm {
    const { namespaceSelector, namespaces, topologyKey } = term;
    if (topologyKey === undefined || topologyKey === "") this.#refuse(`${path}: a term has no topologyKey`);
    if ((term.matchLabelKeys ?? term.mismatchLabelKeys) !== undefined) {
      this.#refuse(
        `${path}: matchLabelKeys and mismatchLabelKeys are not supported; write the labels into labelSelector`,
      );
    }
    const isAll =
      namespaceSelector !== undefined &&
      Object.values(namespaceSelector).every((part) => part === undefined || Object.keys(part as object).length === 0);
    if (namespaceSelector !== undefined && !isAll) {
      this.#refuse(`${path}: a namespaceSelector other than {} (all namespaces) is not supported; list namespaces`);
    }
    const among = isAll ? undefined : (namespaces?.length ?? 0) > 0 ? namespaces! : [this.#namespace];
    return { pods: this.#pods(term.labelSelector, among, path), key: topologyKey ?? "" };
  }

  #pods(selector: LabelSelector | undefined, namespaces: readonly string[] | undefined, path: string): string {
    const requirements: LabelRequirement[] = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => {
      return { key, operator: "In", values: [value] };
    });
    for (const { key, operator, values } of selector?.matchExpressions ?? []) {
      requirements.push({ key, operator: operator as LabelRequirement["operator"], values: values ?? [] });
    }
    if (!requirements.some(({ operator }) => operator === "In" || operator === "Exists")) {
      this.#refuse(`${path}: labelSelector must name a label that the pods have (matchLabels, In or Exists)`);
    }
    for (const { key } of requirements) {
      if (isSeen(key)) this.keys.add(key);
      else this.#refuse(`${path}: pods cannot be selected by the label ${key}; give them a label of your own`);
    }
    return podSelectorOf({ namespaces, requirements });
  }

  #nodes({ matchExpressions = [], matchFields }: NodeTerm): string {
    if (matchFields !== undefined || matchExpressions.some(({ key }) => key === hostname)) {
      this.#refuse(
        "affinity.nodeAffinity: single nodes cannot be preferred; use spec.placement.nodes, or other labels",
      );
    }
    return everywhere({ affinity: nodeTerms([{ matchExpressions }]) });
  }

  #spread(constraint: SpreadConstraint, spec: Placed, queue: Pick<QueueSpec, "tolerations">): SpreadInput {
    const path = "topologySpreadConstraints";
    const { topologyKey, maxSkew, minDomains, labelSelector, whenUnsatisfiable = "DoNotSchedule" } = constraint;
    if (constraint.matchLabelKeys !== undefined) {
      this.#refuse(`${path}: matchLabelKeys is not supported; write the labels into labelSelector`);
    }
    const honorsNodes = constraint.nodeAffinityPolicy !== "Ignore";
    const honorsTaints = constraint.nodeTaintsPolicy === "Honor";
    const { nodeSelector, affinity } = honorsNodes ? spec : { nodeSelector: undefined, affinity: undefined };
    const nodes =
      !honorsNodes && !honorsTaints
        ? undefined
        : honorsTaints
          ? selectorOf({ nodeSelector, affinity, tolerations: spec.tolerations }, queue)
          : everywhere({ nodeSelector, affinity });
    return {
      pods: this.#pods(labelSelector, [this.#namespace], path),
      key: topologyKey,
      maxSkew,
      required: whenUnsatisfiable === "DoNotSchedule",
      minDomains,
      nodes,
    };
  }
}

/** A selector of nodes to which taints are nothing. */
function everywhere(spec: Pick<PodSpec, "affinity" | "nodeSelector">): string {
  return selectorOf({ ...spec, tolerations: [{ operator: "Exists" }] }, {});
}

function nodeTerms(nodeSelectorTerms: NodeTerm[]): Record<string, unknown> {
  return { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } };
}

/** What of a pod's rules is not understood, in words; undefined: all is honoured. */
export function rulesProblem(spec: Placed): string | undefined {
  return hasRules(spec) ? new RuleReader(spec, "", {}).problem : undefined;
}

/** Labels by which the rules of a pod select others. */
export function ruleKeys(spec: Placed): Iterable<string> {
  return hasRules(spec) ? new RuleReader(spec, "", {}).keys : [];
}

/** Rules of a pod, where it has any; those of what it holds among them. */
export function rulesOf(
  spec: Placed,
  namespace: string,
  queue: Pick<QueueSpec, "tolerations">,
  holdings?: Holdings,
): PodRulesInput | undefined {
  const rules = hasRules(spec) ? new RuleReader(spec, namespace, queue) : undefined;
  const own = rules === undefined || rules.isEmpty ? undefined : rules.rules;
  if (holdings === undefined) return own;
  return { ...own, antiAffinity: [...(own?.antiAffinity ?? []), ...holdings.antiAffinity] };
}

/** Opaque class of a pod to selectors; undefined where it holds nothing and has no label that any of them mentions. */
export function classOfPod(
  labels: Record<string, string> | undefined,
  namespace: string,
  mentioned: ReadonlySet<string>,
  holdings?: Holdings,
): string | undefined {
  const seen = mentioned.size === 0 ? [] : Object.entries(labels ?? {}).filter(([key]) => mentioned.has(key));
  if (seen.length === 0 && holdings === undefined) return undefined;
  return podClassOf(namespace, { ...Object.fromEntries(seen), ...holdings?.labels });
}

/** Labels of the pods of a set. */
export function labelsOfPods(template: PodTemplate, queue: QueueSpec): Record<string, string> | undefined {
  const defaults = (queue.podDefaults as { metadata?: { labels?: Record<string, string> } } | undefined)?.metadata
    ?.labels;
  const own = template.metadata?.labels;
  return defaults === undefined ? own : { ...defaults, ...own };
}
