import { forbidden } from "@berth/machinery";
import type { Identity } from "../authentication/identity.ts";
import type { AccessRequest } from "./rules.ts";

export type Allows = (identity: Identity, access: AccessRequest) => boolean;

/** Throws 403 in Kubernetes' words for what the identity may not do. */
export function authorize(allows: Allows, identity: Identity, access: AccessRequest): void {
  if (allows(identity, access)) return;
  const user = `User "${identity.name}" cannot ${access.verb}`;
  if (access.resource === undefined) {
    throw forbidden({ group: "", resource: "" }, "", `${user} path "${access.path ?? ""}"`);
  }
  const { group, resource, subresource, namespace, name } = access.resource;
  const full = subresource === "" ? resource : `${resource}/${subresource}`;
  const scope = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  throw forbidden({ group, resource }, name, `${user} resource "${full}" in API group "${group}" ${scope}`);
}
