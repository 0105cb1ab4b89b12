import type { FieldError, KubernetesObject } from "@berth/machinery";
import {
  checkPathSegment,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  forbidden,
  jsonEqual,
} from "@berth/machinery";
import { mastersGroup } from "../authentication/identity.ts";
import type { RoleBasedAccess } from "../authorization/rbac.ts";
import type { PolicyRule } from "../authorization/rules.ts";
import { describeRule, missingRights } from "../authorization/rules.ts";
import type { Kind, WriteContext } from "../registry/kind.ts";
import type { Printable } from "./define.ts";
import { defineBuiltin } from "./define.ts";

type Json = Record<string, unknown>;
const fieldsOf = (object: KubernetesObject): Json => object as unknown as Json;

interface SubjectFields {
  kind: string;
  name: string;
  namespace?: string;
  apiGroup?: string;
}
const rbacGroup = "rbac.authorization.k8s.io";

function defaultBinding(object: KubernetesObject): void {
  const binding = fieldsOf(object) as { roleRef?: Json; subjects?: SubjectFields[] };
  if (binding.roleRef !== undefined && !binding.roleRef["apiGroup"]) binding.roleRef["apiGroup"] = rbacGroup;
  for (const subject of binding.subjects ?? []) {
    if (subject.kind === "User" || subject.kind === "Group") subject.apiGroup ||= rbacGroup;
  }
}

function validateBinding(object: KubernetesObject): FieldError[] {
  const errors: FieldError[] = [];
  const { roleRef, subjects = [] } = fieldsOf(object) as { roleRef?: Json; subjects?: SubjectFields[] };
  if (!roleRef?.["name"]) errors.push(fieldRequired("roleRef.name"));
  const kinds = object.kind === "RoleBinding" ? ["Role", "ClusterRole"] : ["ClusterRole"];
  if (!kinds.includes(String(roleRef?.["kind"]))) {
    errors.push(fieldNotSupported("roleRef.kind", roleRef?.["kind"] ?? "", kinds));
  }
  subjects.forEach((subject, index) => {
    const path = `subjects[${index}]`;
    if (!subject.name) errors.push(fieldRequired(`${path}.name`));
    // In a RoleBinding it is the binding's own namespace.
    if (subject.kind === "ServiceAccount" && !subject.namespace && object.kind !== "RoleBinding")
      errors.push(fieldRequired(`${path}.namespace`));
    if (!["ServiceAccount", "User", "Group"].includes(subject.kind)) {
      errors.push(fieldNotSupported(`${path}.kind`, subject.kind, ["Group", "ServiceAccount", "User"]));
    }
  });
  return errors;
}

function validateBindingUpdate(object: KubernetesObject, old: KubernetesObject): FieldError[] {
  const now = fieldsOf(object)["roleRef"];
  return jsonEqual(now, fieldsOf(old)["roleRef"]) ? [] : [fieldInvalid("roleRef", now, "cannot change roleRef")];
}

function validateRules(object: KubernetesObject): FieldError[] {
  const rules = (fieldsOf(object)["rules"] ?? []) as Partial<PolicyRule>[];
  return rules.flatMap(({ verbs = [], apiGroups = [], resources = [], nonResourceURLs = [] }, index) => {
    const path = `rules[${index}]`;
    const errors = verbs.length === 0 ? [fieldRequired(`${path}.verbs`, "verbs must contain at least one value")] : [];
    if (nonResourceURLs.length > 0) {
      const also = apiGroups.length > 0 || resources.length > 0;
      const detail =
        object.kind === "Role"
          ? "namespaced rules cannot apply to non-resource URLs"
          : also
            ? "rules cannot apply to both regular resources and non-resource URLs"
            : undefined;
      if (detail !== undefined) errors.push(fieldInvalid(`${path}.nonResourceURLs`, nonResourceURLs, detail));
      return errors;
    }
    if (apiGroups.length === 0)
      errors.push(fieldRequired(`${path}.apiGroups`, "resource rules must supply at least one api group"));
    if (resources.length === 0)
      errors.push(fieldRequired(`${path}.resources`, "resource rules must supply at least one resource"));
    return errors;
  });
}

const subjectNames = (kind: string) => (object: Printable) =>
  ((object["subjects"] ?? []) as SubjectFields[])
    .filter((subject) => subject.kind === kind)
    .map((subject) => (kind === "ServiceAccount" ? `${subject.namespace}/${subject.name}` : subject.name))
    .join(", ");

const bindingColumns = [
  {
    name: "Role",
    type: "string" as const,
    cell: (object: Printable) => `${object["roleRef"]?.kind}/${object["roleRef"]?.name}`,
  },
  { name: "Users", type: "string" as const, priority: 1, cell: subjectNames("User") },
  { name: "Groups", type: "string" as const, priority: 1, cell: subjectNames("Group") },
  { name: "ServiceAccounts", type: "string" as const, priority: 1, cell: subjectNames("ServiceAccount") },
];

/**
 * Roles and bindings. Nobody may hand out rights that they do not have themselves, unless they have the verbs `escalate`
 * (roles) or `bind` (bindings). `access` is asked at each write: it follows the store that these kinds are written to.
 */
export function rbacKinds(access: () => RoleBasedAccess): Kind[] {
  const refuseGrowth = (
    kind: { resource: string; verb: "escalate" | "bind"; target: { resource: string; name: string } },
    object: KubernetesObject,
    rules: readonly PolicyRule[],
    { identity }: WriteContext,
  ): void => {
    if (identity.groups.includes(mastersGroup)) return;
    const namespace = object.metadata.namespace ?? "";
    const resource = { group: rbacGroup, ...kind.target, subresource: "", namespace };
    if (access().allows(identity, { verb: kind.verb, resource })) return;
    const owned = [...access().rulesFor(identity, namespace)].map(({ rule }) => rule);
    const missing = missingRights(owned, rules);
    if (missing.length === 0) return;
    throw forbidden(
      { group: rbacGroup, resource: kind.resource },
      object.metadata.name,
      `user "${identity.name}" (groups=${JSON.stringify(identity.groups)}) is attempting to grant RBAC permissions not currently held:\n${missing.map(describeRule).join("\n")}`,
    );
  };
  return [
    ...["roles", "clusterroles"].map((resource) =>
      defineBuiltin({
        resource,
        group: rbacGroup,
        ageless: true,
        columns: [{ name: "Created At", type: "date", cell: (object) => object.metadata.creationTimestamp }],
        strategy: {
          validateName: checkPathSegment,
          validate: validateRules,
          admit: (object, old, context) => {
            const rules = (fieldsOf(object)["rules"] ?? []) as PolicyRule[];
            if (old !== undefined && jsonEqual(rules, fieldsOf(old)["rules"] ?? [])) return;
            const target = { resource, name: object.metadata.name };
            refuseGrowth({ resource, verb: "escalate", target }, object, rules, context);
          },
        },
      }),
    ),
    ...["rolebindings", "clusterrolebindings"].map((resource) =>
      defineBuiltin({
        resource,
        group: rbacGroup,
        default: defaultBinding,
        columns: bindingColumns,
        strategy: {
          validateName: checkPathSegment,
          validate: validateBinding,
          validateUpdate: validateBindingUpdate,
          admit: (object, old, context) => {
            if (old !== undefined && jsonEqual(fieldsOf(object)["subjects"] ?? [], fieldsOf(old)["subjects"] ?? []))
              return;
            const reference = fieldsOf(object)["roleRef"] as { kind: string; name: string } | undefined;
            if (reference?.name === undefined) return;
            const rules = access().rulesOf(reference, object.metadata.namespace ?? "");
            const target = { resource: reference.kind === "Role" ? "roles" : "clusterroles", name: reference.name };
            // Rights of a role that is not there yet are not known: only who may bind it may prepare for it.
            const unknown: PolicyRule[] = [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }];
            refuseGrowth({ resource, verb: "bind", target }, object, rules ?? unknown, context);
          },
        },
      }),
    ),
  ];
}
