import type { KubernetesObject } from "@berth/machinery";
import { badRequest, conflict, fieldInvalid, fieldNotSupported, invalid, notFound } from "@berth/machinery";
import type { Entry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import type { Kind, WriteContext } from "./kind.ts";
import { timestamp } from "./metadata.ts";
import type { Written } from "./write.ts";
import { removable, removedBytes, served, servedBytes } from "./write.ts";

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: "Orphan" | "Background" | "Foreground";
  uid?: string;
  resourceVersion?: string;
}

/** Options from a body, a DeleteOptions of any group, and from the query; the body has precedence where both speak. */
export function deleteOptions(body: unknown, query: URLSearchParams): { options: DeleteOptions; dryRun: boolean } {
  const given = (body ?? {}) as {
    kind?: string;
    gracePeriodSeconds?: unknown;
    propagationPolicy?: unknown;
    orphanDependents?: unknown;
    dryRun?: unknown;
    preconditions?: { uid?: unknown; resourceVersion?: unknown };
  };
  if (given.kind !== undefined && given.kind !== "" && given.kind !== "DeleteOptions") {
    throw badRequest(`the body of a DELETE is a DeleteOptions, not a ${given.kind}`);
  }
  const options: DeleteOptions = {};
  const grace = given.gracePeriodSeconds ?? query.get("gracePeriodSeconds") ?? undefined;
  if (grace !== undefined) {
    const seconds = Number(grace);
    if (!Number.isInteger(seconds))
      throw badRequest(`gracePeriodSeconds ${JSON.stringify(grace)} is not a whole number`);
    // A negative value means the shortest grace, as Kubernetes has it.
    options.gracePeriodSeconds = seconds < 0 ? 1 : seconds;
  }
  const policy = given.propagationPolicy ?? query.get("propagationPolicy") ?? undefined;
  const orphan = given.orphanDependents ?? query.get("orphanDependents") ?? undefined;
  if (policy !== undefined && orphan !== undefined) {
    throw invalid({ group: "meta.k8s.io", kind: "DeleteOptions" }, "", [
      fieldInvalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"),
    ]);
  }
  if (policy !== undefined) {
    if (policy !== "Orphan" && policy !== "Background" && policy !== "Foreground") {
      throw invalid({ group: "meta.k8s.io", kind: "DeleteOptions" }, "", [
        fieldNotSupported("propagationPolicy", policy, ["Foreground", "Background", "Orphan"]),
      ]);
    }
    options.propagationPolicy = policy;
  } else if (orphan !== undefined) {
    options.propagationPolicy = orphan === true || orphan === "true" ? "Orphan" : "Background";
  }
  if (typeof given.preconditions?.uid === "string") options.uid = given.preconditions.uid;
  if (typeof given.preconditions?.resourceVersion === "string") {
    options.resourceVersion = given.preconditions.resourceVersion;
  }
  const dryRun = Array.isArray(given.dryRun) ? given.dryRun : query.getAll("dryRun");
  return { options, dryRun: isDryRun(dryRun) };
}

export function isDryRun(values: readonly unknown[]): boolean {
  if (values.length === 0) return false;
  if (values.every((value) => value === "All")) return true;
  throw badRequest(`dryRun ${JSON.stringify(values)} is not supported: the only value is "All"`);
}

export interface Deleted extends Written {
  /** False while finalizers or the grace period hold the object. */
  removed: boolean;
}

/** Deletes an object: removes it, or marks it and leaves the rest to finalizers and the grace period. */
export async function remove(
  store: Store,
  kind: Kind,
  namespace: string,
  name: string,
  options: DeleteOptions,
  context: WriteContext,
): Promise<Deleted> {
  const current = store.accepted(kind.bucket, namespace, name);
  if (current === undefined) throw notFound(kind, name);
  if (options.uid !== undefined && options.uid !== current.uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${current.uid}`,
    );
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== String(current.resourceVersion)) {
    throw conflict(
      { group: "", resource: kind.kind },
      name,
      `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in record (${current.resourceVersion}). The object might have been modified`,
    );
  }
  const object = served(kind, current);
  if (kind.strategy.orphansByDefault === true && options.propagationPolicy === undefined) {
    options = { ...options, propagationPolicy: "Orphan" };
    context.warn(
      "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
    );
  }
  kind.strategy.beforeDelete?.(object, context);
  const changed = mark(kind, object, options, context.now);
  if (removable(kind, object)) {
    // What ends with a grace is told with it, even where that is none.
    const told = (entry: Entry): Buffer =>
      kind.strategy.gracePeriodSeconds === undefined ? servedBytes(kind, entry) : removedBytes(object, entry);
    if (context.dryRun) return { bytes: told(current), entry: current, created: false, removed: true };
    const entry = await store.remove(kind.bucket, namespace, name);
    return { bytes: told(entry), entry, created: false, removed: true };
  }
  if (!changed || context.dryRun) {
    const bytes = changed ? Buffer.from(JSON.stringify(object)) : servedBytes(kind, current);
    return { bytes, entry: current, created: false, removed: false };
  }
  const entry = await store.put(kind.bucket, kind.toStored === undefined ? object : kind.toStored(object));
  return { bytes: servedBytes(kind, entry), entry, created: false, removed: false };
}

/** Sets deletionTimestamp, grace period and the finalizers of the propagation policy; tells whether anything changed. */
function mark(kind: Kind, object: KubernetesObject, options: DeleteOptions, now: Date): boolean {
  const { metadata } = object;
  let changed = false;
  const before = metadata.finalizers ?? [];
  const finalizers = finalizersFor(before, options.propagationPolicy);
  if (finalizers.length !== before.length || finalizers.some((one, index) => one !== before[index])) {
    changed = true;
    if (finalizers.length > 0) metadata.finalizers = finalizers;
    else delete metadata.finalizers;
  }
  const grace = kind.strategy.gracePeriodSeconds?.(object, options.gracePeriodSeconds) ?? 0;
  if (metadata.deletionTimestamp === undefined) {
    metadata.deletionTimestamp = timestamp(new Date(now.getTime() + grace * 1000));
    metadata.deletionGracePeriodSeconds = grace;
    if (kind.generation !== "none") metadata.generation = (metadata.generation ?? 0) + 1;
    return true;
  }
  const left = metadata.deletionGracePeriodSeconds ?? 0;
  if (kind.strategy.gracePeriodSeconds !== undefined && options.gracePeriodSeconds !== undefined && grace < left) {
    const earlier = Date.parse(metadata.deletionTimestamp) - (left - grace) * 1000;
    metadata.deletionTimestamp = timestamp(new Date(earlier));
    metadata.deletionGracePeriodSeconds = grace;
    return true;
  }
  return changed;
}

function finalizersFor(before: readonly string[], policy: DeleteOptions["propagationPolicy"]): string[] {
  if (policy === undefined) return before.slice();
  const others = before.filter((name) => name !== "orphan" && name !== "foregroundDeletion");
  if (policy === "Orphan") others.push("orphan");
  if (policy === "Foreground") others.push("foregroundDeletion");
  return others;
}
