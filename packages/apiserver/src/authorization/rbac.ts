import type { KubernetesObject } from "@berth/machinery";
import type { Identity } from "../authentication/identity.ts";
import { mastersGroup } from "../authentication/identity.ts";
import type { Entry } from "../storage/entry.ts";
import { parseEntry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import type { AccessRequest, PolicyRule, Subject } from "./rules.ts";
import { ruleAllows } from "./rules.ts";

interface RoleReference {
  apiGroup: string;
  kind: string;
  name: string;
}
interface Binding {
  key: string;
  namespace: string;
  roleRef: RoleReference;
  subjects: Subject[];
}
type RoleObject = KubernetesObject & {
  rules?: PolicyRule[];
  aggregationRule?: { clusterRoleSelectors?: { matchLabels?: Record<string, string> }[] };
};
type BindingObject = KubernetesObject & { roleRef: RoleReference; subjects?: Subject[] };

const group = "rbac.authorization.k8s.io";
const buckets = {
  roles: `roles.${group}`,
  clusterRoles: `clusterroles.${group}`,
  roleBindings: `rolebindings.${group}`,
  clusterRoleBindings: `clusterrolebindings.${group}`,
} as const;

/** RBAC over the stored roles and bindings, kept parsed and indexed by subject; follows the store's events. */
export class RoleBasedAccess {
  /** Key: `` for cluster roles, else namespace, then `/` and the name. */
  private readonly roles = new Map<string, PolicyRule[]>();
  private readonly aggregated = new Map<
    string,
    { labels: Record<string, string>; selectors: Record<string, string>[] }
  >();
  private readonly bindings = new Map<string, Binding>();
  /** Subject → bindings that name it. */
  private readonly bySubject = new Map<string, Set<Binding>>();

  constructor(store: Store) {
    const follow = (name: string, put: (entry: Entry) => void, remove: (entry: Entry) => void): void => {
      const bucket = store.bucket(name);
      for (const entry of bucket.entries.values()) put(entry);
      bucket.subscribe({
        trigger: undefined,
        deliver: (events) => {
          for (const event of events) (event.type === "DELETED" ? remove : put)(event.entry);
        },
      });
    };
    for (const name of [buckets.roles, buckets.clusterRoles]) {
      follow(
        name,
        (entry) => this.putRole(entry),
        (entry) => {
          this.roles.delete(`${entry.namespace}/${entry.name}`);
          if (entry.namespace === "") this.aggregated.delete(entry.name);
        },
      );
    }
    for (const name of [buckets.roleBindings, buckets.clusterRoleBindings]) {
      follow(
        name,
        (entry) => this.putBinding(entry),
        (entry) => this.removeBinding(`${entry.namespace}/${entry.name}`),
      );
    }
  }

  private putRole(entry: Entry): void {
    const role = parseEntry(entry) as RoleObject;
    this.roles.set(`${entry.namespace}/${entry.name}`, role.rules ?? []);
    if (entry.namespace === "") {
      const selectors = (role.aggregationRule?.clusterRoleSelectors ?? []).map(
        (selector) => selector.matchLabels ?? {},
      );
      this.aggregated.set(entry.name, { labels: role.metadata.labels ?? {}, selectors });
    }
  }

  private putBinding(entry: Entry): void {
    const key = `${entry.namespace}/${entry.name}`;
    this.removeBinding(key);
    const object = parseEntry(entry) as BindingObject;
    const binding: Binding = {
      key,
      namespace: entry.namespace,
      roleRef: object.roleRef,
      // An account without a namespace is of the binding's own.
      subjects: (object.subjects ?? []).map(({ kind, name, namespace }) => ({
        kind,
        name,
        namespace: namespace || entry.namespace,
      })),
    };
    this.bindings.set(key, binding);
    for (const subject of binding.subjects) {
      const name = subjectKey(subject);
      const set = this.bySubject.get(name);
      if (set === undefined) this.bySubject.set(name, new Set([binding]));
      else set.add(binding);
    }
  }

  private removeBinding(key: string): void {
    const binding = this.bindings.get(key);
    if (binding === undefined) return;
    this.bindings.delete(key);
    for (const subject of binding.subjects) this.bySubject.get(subjectKey(subject))?.delete(binding);
  }

  /** The rules of a role as they stand, aggregation done; `undefined` when there is no such role. */
  rulesOf(reference: Pick<RoleReference, "kind" | "name">, namespace: string): PolicyRule[] | undefined {
    if (reference.kind !== "ClusterRole") return this.roles.get(`${namespace}/${reference.name}`);
    return this.clusterRules(reference.name, new Set());
  }

  /** `seen`: roles on the way here, so that roles which aggregate each other come to an end. */
  private clusterRules(name: string, seen: Set<string>): PolicyRule[] | undefined {
    const own = this.roles.get(`/${name}`);
    const selectors = this.aggregated.get(name)?.selectors ?? [];
    if (own === undefined || selectors.length === 0) return own;
    seen.add(name);
    const result = own.slice();
    for (const [other, { labels }] of this.aggregated) {
      if (seen.has(other)) continue;
      const selected = selectors.some((selector) =>
        Object.entries(selector).every(([key, value]) => labels[key] === value),
      );
      if (selected) result.push(...(this.clusterRules(other, seen) ?? []));
    }
    return result;
  }

  /** All rules that hold for someone in a namespace (empty: cluster-wide only). */
  *rulesFor(identity: Identity, namespace: string): IterableIterator<{ rule: PolicyRule; binding: string }> {
    const seen = new Set<Binding>();
    for (const subject of [`User/${identity.name}`, ...identity.groups.map((name) => `Group/${name}`)]) {
      for (const binding of this.bySubject.get(subject) ?? []) {
        if (binding.namespace !== "" && binding.namespace !== namespace) continue;
        if (seen.has(binding)) continue;
        seen.add(binding);
        for (const rule of this.rulesOf(binding.roleRef, binding.namespace) ?? []) yield { rule, binding: binding.key };
      }
    }
  }

  allows(identity: Identity, request: AccessRequest): boolean {
    if (identity.groups.includes(mastersGroup)) return true;
    for (const { rule } of this.rulesFor(identity, request.resource?.namespace ?? "")) {
      if (ruleAllows(rule, request)) return true;
    }
    return false;
  }
}

function subjectKey(subject: Subject): string {
  return subject.kind === "ServiceAccount"
    ? `User/system:serviceaccount:${subject.namespace ?? ""}:${subject.name}`
    : `${subject.kind}/${subject.name}`;
}
