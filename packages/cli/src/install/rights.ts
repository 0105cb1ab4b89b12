/** Whether who installs may do so, found out before anything is written. */
import type { Client } from "@berth/client";
import type { KubernetesObject } from "@berth/machinery";
import { CommandError } from "../command-error.ts";
import { resourceOf } from "./manifest-resources.ts";

interface Right {
  verb: string;
  group: string;
  resource: string;
  namespace?: string;
}

/** What is done with objects of each kind. */
export type VerbsFor = (kind: string) => readonly string[];

const textOf = ({ group, resource, namespace }: Right): string =>
  `${group === "" ? resource : `${resource}.${group}`}${namespace === undefined ? "" : ` in ${namespace}`}`;

/** Once each, in the order of the objects. */
function rightsFor(objects: readonly KubernetesObject[], verbsFor: VerbsFor): Right[] {
  const rights = new Map<string, Right>();
  for (const object of objects) {
    const { group, resource, namespaced } = resourceOf(object);
    for (const verb of verbsFor(object.kind)) {
      const right = { verb, group, resource, ...(namespaced ? { namespace: object.metadata.namespace! } : {}) };
      rights.set(`${verb} ${textOf(right)}`, right);
    }
  }
  return [...rights.values()];
}

/** @throws CommandError that says which rights are missing, and how to get them */
export async function requireRights(
  client: Client,
  objects: readonly KubernetesObject[],
  verbsFor: VerbsFor,
  { user, command }: { user: string; command: string },
): Promise<void> {
  const rights = rightsFor(objects, verbsFor);
  const allowed = await Promise.all(rights.map((right) => mayI(client, right)));
  const missing = rights.filter((_, at) => !allowed[at]);
  if (missing.length === 0) return;
  const lines = [...Map.groupBy(missing, textOf)].map(
    ([what, those]) => `  ${those.map(({ verb }) => verb).join(", ")} ${what}`,
  );
  throw new CommandError(
    [
      `${user} may not do this on ${client.server}; missing ${missing.length === 1 ? "is the right" : "are the rights"}:`,
      ...lines,
      `An administrator of the cluster gives them with: kubectl create clusterrolebinding berth-installer --clusterrole=cluster-admin --user=${user}`,
      `or runs berth ${command} instead; berth install --dry-run --output yaml prints all that it would write, for kubectl apply --server-side.`,
    ].join("\n"),
  );
}

async function mayI(client: Client, right: Right): Promise<boolean> {
  const { status } = await client.request<{ status: { allowed: boolean } }>({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes: right },
    },
  });
  return status.allowed;
}
