/** RBAC rules as the rbac.authorization.k8s.io/v1 kinds write them, and what they allow. */
export interface PolicyRule {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

export interface Subject {
  kind: string;
  apiGroup?: string;
  name: string;
  namespace?: string;
}

/** One question to the authorizer. */
export interface AccessRequest {
  verb: string;
  /** Of resource requests. */
  resource?: { group: string; resource: string; subresource: string; namespace: string; name: string };
  /** Of all others. */
  path?: string;
}

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes(value) || list.includes("*"));

export function ruleAllows(rule: PolicyRule, request: AccessRequest): boolean {
  if (!has(rule.verbs, request.verb)) return false;
  if (request.resource === undefined) {
    const path = request.path ?? "";
    return (rule.nonResourceURLs ?? []).some(
      (pattern) =>
        pattern === "*" || pattern === path || (pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1))),
    );
  }
  const { group, resource, subresource, name } = request.resource;
  if (!has(rule.apiGroups, group)) return false;
  const asked = subresource === "" ? resource : `${resource}/${subresource}`;
  const matches = (rule.resources ?? []).some(
    (pattern) => pattern === "*" || pattern === asked || (subresource !== "" && pattern === `*/${subresource}`),
  );
  if (!matches) return false;
  return rule.resourceNames === undefined || rule.resourceNames.length === 0 || rule.resourceNames.includes(name);
}

/** Every right of a rule as single (verb, group, resource, name) rules: what an escalation check compares. */
function single(rule: PolicyRule): PolicyRule[] {
  const result: PolicyRule[] = [];
  for (const verb of rule.verbs ?? []) {
    for (const url of rule.nonResourceURLs ?? []) result.push({ verbs: [verb], nonResourceURLs: [url] });
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const base = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (rule.resourceNames?.length) {
          for (const name of rule.resourceNames) result.push({ ...base, resourceNames: [name] });
        } else result.push(base);
      }
    }
  }
  return result;
}

function covers(owner: PolicyRule, wanted: PolicyRule): boolean {
  if (!has(owner.verbs, wanted.verbs[0]!)) return false;
  const url = wanted.nonResourceURLs?.[0];
  if (url !== undefined) {
    return (owner.nonResourceURLs ?? []).some(
      (pattern) =>
        pattern === "*" || pattern === url || (pattern.endsWith("*") && url.startsWith(pattern.slice(0, -1))),
    );
  }
  if (!has(owner.apiGroups, wanted.apiGroups![0]!)) return false;
  const resource = wanted.resources![0]!;
  const slash = resource.indexOf("/");
  const matches = (owner.resources ?? []).some(
    (pattern) => pattern === "*" || pattern === resource || (slash >= 0 && pattern === `*${resource.slice(slash)}`),
  );
  if (!matches) return false;
  if (!owner.resourceNames?.length) return true;
  const name = wanted.resourceNames?.[0];
  return name !== undefined && owner.resourceNames.includes(name);
}

/** The rights among `wanted` that `owned` does not hold: empty when nobody's rights would grow. */
export function missingRights(owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(single).filter((rule) => !owned.some((owner) => covers(owner, rule)));
}

export function describeRule(rule: PolicyRule): string {
  const list = (words: string[] | undefined): string => JSON.stringify(words ?? []);
  if (rule.nonResourceURLs?.length) return `{NonResourceURLs:${list(rule.nonResourceURLs)}, Verbs:${list(rule.verbs)}}`;
  const names = rule.resourceNames?.length ? `, ResourceNames:${list(rule.resourceNames)}` : "";
  return `{APIGroups:${list(rule.apiGroups)}, Resources:${list(rule.resources)}${names}, Verbs:${list(rule.verbs)}}`;
}
