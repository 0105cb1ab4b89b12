import type { KubernetesObject } from "@berth/machinery";
import { conflict, fieldInvalid, fieldValue, invalid, isObject, notFound } from "@berth/machinery";
import type { Store } from "../storage/store.ts";
import type { Kind, ScalePaths, WriteContext } from "./kind.ts";
import type { WriteOptions, Written } from "./write.ts";
import { served, update } from "./write.ts";

/** The autoscaling/v1 Scale of an object. */
function scaleOf(paths: ScalePaths, object: KubernetesObject): Record<string, unknown> {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.labelSelector === undefined ? "" : fieldValue(object, paths.labelSelector);
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: Number(fieldValue(object, paths.specReplicas) || 0) },
    status: {
      replicas: Number(fieldValue(object, paths.statusReplicas) || 0),
      ...(selector === "" ? {} : { selector }),
    },
  };
}

/** The Scale of a stored object. Throws 404. */
export function getScale(store: Store, kind: Kind, namespace: string, name: string): Record<string, unknown> {
  const entry = store.get(kind.bucket, namespace, name);
  if (entry === undefined) throw notFound(kind, name);
  return scaleOf(kind.scale!, served(kind, entry));
}

/** Changes the number of replicas through the Scale; answers with the new one. */
export async function updateScale(
  store: Store,
  kind: Kind,
  namespace: string,
  name: string,
  change: (scale: KubernetesObject) => unknown,
  options: WriteOptions,
  context: WriteContext,
): Promise<{ written: Written; scale: Record<string, unknown> }> {
  const paths = kind.scale!;
  const written = await update(
    store,
    kind,
    namespace,
    name,
    "scale",
    (object) => {
      const scale = change(scaleOf(paths, object) as unknown as KubernetesObject) as {
        metadata?: { resourceVersion?: string };
        spec?: { replicas?: unknown };
      };
      const wanted = scale.metadata?.resourceVersion;
      if (wanted !== undefined && wanted !== "" && wanted !== object.metadata.resourceVersion)
        throw conflict(kind, name);
      const replicas = scale.spec?.replicas ?? 0;
      if (!Number.isInteger(replicas) || (replicas as number) < 0) {
        throw invalid({ group: "autoscaling", kind: "Scale" }, name, [
          fieldInvalid("spec.replicas", replicas, "must be greater than or equal to 0"),
        ]);
      }
      setPath(object as unknown as Record<string, unknown>, paths.specReplicas.split("."), replicas);
      return object;
    },
    options,
    context,
  );
  const object = JSON.parse(written.bytes.toString("utf8")) as KubernetesObject;
  return { written, scale: scaleOf(paths, object) };
}

function setPath(object: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let target = object;
  for (const part of path.slice(0, -1)) {
    const next = target[part];
    target = isObject(next) ? next : ((target[part] = {}) as Record<string, unknown>);
  }
  target[path.at(-1)!] = value;
}
