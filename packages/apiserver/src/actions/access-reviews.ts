import { badRequest, fieldRequired, forbidden, invalid } from "@berth/machinery";
import type { Authenticator } from "../authentication/authenticator.ts";
import type { Identity } from "../authentication/identity.ts";
import { defaultAudience } from "../authentication/tokens.ts";
import type { RoleBasedAccess } from "../authorization/rbac.ts";
import type { AccessRequest, PolicyRule } from "../authorization/rules.ts";
import { mastersGroup } from "../authentication/identity.ts";
import { sendJson } from "../http/exchange.ts";
import type { Action } from "../http/resource-call.ts";
import { apiVersion } from "../registry/kind.ts";

interface ResourceAttributes {
  namespace?: string;
  verb?: string;
  group?: string;
  resource?: string;
  subresource?: string;
  name?: string;
}
interface ReviewSpec {
  resourceAttributes?: ResourceAttributes;
  nonResourceAttributes?: { path?: string; verb?: string };
  user?: string;
  groups?: string[];
  uid?: string;
  extra?: Record<string, string[]>;
  namespace?: string;
  token?: string;
  audiences?: string[];
}

/** A question is a create: the body's spec in, the same object with a status out; nothing is stored. */
function question(answer: (spec: ReviewSpec, identity: Identity, namespace: string) => unknown): Action {
  return async ({ exchange, kind, path, body }) => {
    if (exchange.method !== "POST") throw badRequest(`${kind.resource} can only be created`);
    const object = ((await body()) ?? {}) as { spec?: ReviewSpec; metadata?: object };
    const status = answer(object.spec ?? {}, exchange.identity, path.namespace);
    sendJson(exchange, 201, {
      kind: kind.kind,
      apiVersion: apiVersion(kind),
      metadata: object.metadata ?? {},
      spec: object.spec ?? {},
      status,
    });
  };
}

function accessOf(spec: ReviewSpec): AccessRequest {
  const { resourceAttributes: resource, nonResourceAttributes: other } = spec;
  if (resource !== undefined) {
    return {
      verb: resource.verb ?? "",
      resource: {
        group: resource.group ?? "",
        resource: resource.resource ?? "",
        subresource: resource.subresource ?? "",
        namespace: resource.namespace ?? "",
        name: resource.name ?? "",
      },
    };
  }
  if (other !== undefined) return { verb: other.verb ?? "", path: other.path ?? "" };
  throw invalid({ group: "authorization.k8s.io", kind: "SelfSubjectAccessReview" }, "", [
    fieldRequired(
      "spec.resourceAttributes",
      "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    ),
  ]);
}

function userInfo(identity: Identity): Record<string, unknown> {
  return {
    username: identity.name,
    ...(identity.uid === undefined ? {} : { uid: identity.uid }),
    groups: identity.groups,
    ...(identity.extra === undefined ? {} : { extra: identity.extra }),
  };
}

const everything: PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

/** The actions of authorization.k8s.io and authentication.k8s.io. */
export function reviewActions(access: RoleBasedAccess, authenticator: Authenticator): [string, Action][] {
  const review = (identity: Identity, request: AccessRequest): Record<string, unknown> => {
    const allowed = access.allows(identity, request);
    return allowed ? { allowed } : { allowed, reason: "no role that is bound to this user allows it" };
  };
  const subject = (spec: ReviewSpec): Identity => ({
    name: spec.user ?? "",
    groups: spec.groups ?? [],
    ...(spec.uid === undefined ? {} : { uid: spec.uid }),
  });
  return [
    ["selfsubjectaccessreviews.authorization.k8s.io", question((spec, identity) => review(identity, accessOf(spec)))],
    ["subjectaccessreviews.authorization.k8s.io", question((spec) => review(subject(spec), accessOf(spec)))],
    [
      "localsubjectaccessreviews.authorization.k8s.io",
      question((spec, _identity, namespace) => {
        const request = accessOf(spec);
        if (request.resource?.namespace !== namespace) {
          throw forbidden(
            { group: "authorization.k8s.io", resource: "localsubjectaccessreviews" },
            "",
            `spec.resourceAttributes.namespace must match namespace: ${namespace}`,
          );
        }
        return review(subject(spec), request);
      }),
    ],
    [
      "selfsubjectrulesreviews.authorization.k8s.io",
      question((spec, identity) => {
        const rules = identity.groups.includes(mastersGroup)
          ? everything
          : [...access.rulesFor(identity, spec.namespace ?? "")].map(({ rule }) => rule);
        const resourceRules = rules
          .filter((rule) => rule.nonResourceURLs === undefined || rule.nonResourceURLs.length === 0)
          .map(({ verbs, apiGroups, resources, resourceNames }) => ({ verbs, apiGroups, resources, resourceNames }));
        const nonResourceRules = rules
          .filter((rule) => rule.nonResourceURLs !== undefined && rule.nonResourceURLs.length > 0)
          .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs }));
        return { resourceRules, nonResourceRules, incomplete: false };
      }),
    ],
    ["selfsubjectreviews.authentication.k8s.io", question((_spec, identity) => ({ userInfo: userInfo(identity) }))],
    [
      "tokenreviews.authentication.k8s.io",
      question((spec) => {
        const audiences = spec.audiences?.length ? spec.audiences : [defaultAudience];
        const identity = authenticator.identityOf(spec.token ?? "", audiences);
        if (identity === undefined) return { authenticated: false, error: "the token is not known, or has ended" };
        return { authenticated: true, user: userInfo(identity), audiences };
      }),
    ],
  ];
}
