/** Admission policies: rules over writes that see who asks, in the form of ValidatingAdmissionPolicies. */
import { ApiError, forbidden, invalid, type JsonObject, type KubernetesObject } from "@berth/machinery";
import { type CompiledPolicy, compilePolicy, type PolicyValidation } from "@berth/machinery/server";
import type { Identity } from "../authentication/identity.ts";
import type { Allows } from "../authorization/authorize.ts";
import type { Kind } from "./kind.ts";

interface ResourceRule {
  apiGroups: string[];
  apiVersions: string[];
  resources: string[];
  operations: string[];
}
interface PolicySpec {
  matchConstraints: { resourceRules: ResourceRule[] };
  validations: PolicyValidation[];
}
interface Policy {
  name: string;
  operations: ReadonlySet<string>;
  compiled: CompiledPolicy;
}

export class AdmissionPolicies {
  readonly #policies: readonly { name: string; spec: PolicySpec }[];
  readonly #allows: Allows;
  /** By kind, which is another one when its definition changed. */
  readonly #byKind = new WeakMap<Kind, readonly Policy[]>();

  /** @param policies of `admissionregistration.k8s.io/v1`; all of them deny, and deny where they cannot be evaluated */
  constructor(policies: readonly KubernetesObject[], allows: Allows) {
    this.#policies = policies.map(({ metadata, spec }) => ({
      name: metadata.name,
      spec: spec as unknown as PolicySpec,
    }));
    this.#allows = allows;
  }

  /** Throws what Kubernetes says of a write that a policy denies. Not for subresources. */
  review(kind: Kind, object: KubernetesObject, old: KubernetesObject | undefined, identity: Identity): void {
    const operation = old === undefined ? "CREATE" : "UPDATE";
    for (const { name, operations, compiled } of this.#of(kind)) {
      if (!operations.has(operation)) continue;
      const request = {
        operation,
        name: object.metadata.name,
        namespace: object.metadata.namespace ?? "",
        userInfo: { username: identity.name, groups: identity.groups },
      } as const;
      const denied = compiled.check(
        object as unknown as JsonObject,
        old as unknown as JsonObject | undefined,
        request,
        ({ verb, ...resource }) => this.#allows(identity, { verb, resource }),
      );
      if (denied === undefined) continue;
      const words = `ValidatingAdmissionPolicy '${name}' with binding '${name}' denied request: ${denied.message}`;
      const error = forbidden(kind, object.metadata.name, words);
      if (denied.reason === "Forbidden") throw error;
      throw new ApiError(422, "Invalid", error.message, invalid(kind, object.metadata.name, []).status.details);
    }
  }

  #of(kind: Kind): readonly Policy[] {
    let found = this.#byKind.get(kind);
    if (found === undefined) {
      found = this.#policies.flatMap(({ name, spec }) => {
        const operations = spec.matchConstraints.resourceRules
          .filter(
            ({ apiGroups, apiVersions, resources }) =>
              apiGroups.includes(kind.group) && apiVersions.includes(kind.version) && resources.includes(kind.resource),
          )
          .flatMap((rule) => rule.operations);
        if (operations.length === 0) return [];
        return [
          { name, operations: new Set(operations), compiled: compilePolicy(spec.validations, kind.decoding.schema()) },
        ];
      });
      this.#byKind.set(kind, found);
    }
    return found;
  }
}
