import type { KubernetesObject } from "@berth/machinery";
import { ApiError, jsonEqual } from "@berth/machinery";
import { defaultRoles } from "./authorization/default-roles.ts";
import { mastersGroup } from "./authentication/identity.ts";
import type { WriteContext } from "./registry/kind.ts";
import type { Registry } from "./registry/registry.ts";
import { create, update } from "./registry/write.ts";
import type { Store } from "./storage/store.ts";

const systemNamespaces = ["default", "kube-system", "kube-node-lease", "kube-public", "berth-system"];

/** Creates what every cluster has, and the objects of the caller; brings definitions and rights up to date. */
export async function bootstrap(
  store: Store,
  registry: Registry,
  objects: readonly KubernetesObject[],
  now: () => Date,
): Promise<void> {
  const context: WriteContext = {
    now: now(),
    identity: { name: "system:apiserver", groups: [mastersGroup] },
    manager: "berth",
    dryRun: false,
    warn: () => {},
  };
  const namespaces = systemNamespaces.map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } }));
  for (const object of [...namespaces, ...defaultRoles(), ...objects])
    await ensure(store, registry, structuredClone(object), context);
}

/** Kinds whose objects follow the program: definitions and rights. Others belong to the cluster once they are there. */
const followed = new Set(["CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"]);

async function ensure(
  store: Store,
  registry: Registry,
  object: KubernetesObject,
  context: WriteContext,
): Promise<void> {
  const kind = registry.findKind(object.apiVersion, object.kind);
  if (kind === undefined)
    throw new Error(`the start object ${object.kind} ${object.metadata.name} is of no served kind`);
  const { namespace = "", name } = object.metadata;
  const options = { fieldValidation: "Strict" as const };
  try {
    if (store.accepted(kind.bucket, namespace, name) === undefined) {
      await create(store, kind, namespace, object, options, context);
      return;
    }
    if (!followed.has(object.kind)) return;
    await update(
      store,
      kind,
      namespace,
      name,
      "",
      (current) => {
        const { metadata, ...rest } = object;
        const { labels, annotations } = metadata;
        const next = { ...current, ...rest, metadata: { ...current.metadata } };
        if (labels !== undefined) next.metadata.labels = { ...current.metadata.labels, ...labels };
        if (annotations !== undefined) next.metadata.annotations = { ...current.metadata.annotations, ...annotations };
        return jsonEqual(next, current) ? current : next;
      },
      options,
      context,
    );
  } catch (error) {
    if (error instanceof ApiError && error.reason === "AlreadyExists") return;
    throw new Error(
      `the start object ${object.kind} ${name} is refused: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}
