import type { JsonObject, KubernetesObject } from "@berth/machinery";
import { apiVersionOf, badRequest, conflict, notFound } from "@berth/machinery";
import { serverSideApply } from "@berth/machinery/server";
import type { Store } from "../storage/store.ts";
import type { Kind, WriteContext } from "./kind.ts";
import { checkIdentityOfBody, timestamp } from "./metadata.ts";
import type { WriteOptions, Written } from "./write.ts";
import { create, prune, update } from "./write.ts";

export interface ApplyOptions extends WriteOptions {
  /** Takes the fields that other managers have. */
  force: boolean;
  /** Throws 403 where who asks may not create the object. */
  authorizeCreate: () => void;
}

/**
 * Server-side apply: makes the object, or changes it to what the configuration says. One turn of the event loop up to the
 * write, so that nothing can come in between. Throws as `create` and `update` do, and 409 for fields of other managers.
 */
export async function apply(
  store: Store,
  kind: Kind,
  namespace: string,
  name: string,
  subresource: "" | "status",
  body: unknown,
  options: ApplyOptions,
  context: WriteContext,
): Promise<Written> {
  const { apiVersion, kind: stated } = (body ?? {}) as Partial<KubernetesObject>;
  if (!apiVersion || !stated)
    throw badRequest(`what is applied must name its apiVersion and kind: ${kind.kind} of ${apiVersionOf(kind)}`);
  const given = prune(kind, checkIdentityOfBody(kind, body, namespace, name), options, context);
  const configuration = partOf(kind, given, subresource) as unknown as JsonObject;
  const { manager } = context;
  const onto = (live: KubernetesObject | undefined): KubernetesObject => {
    const { object } = serverSideApply(kind.decoding.schema(), live as JsonObject | undefined, configuration, {
      manager,
      subresource,
      force: options.force,
      now: timestamp(context.now),
    });
    return object as unknown as KubernetesObject;
  };
  const known: WriteOptions = { ...options, managedFieldsKnown: true };
  if (store.accepted(kind.bucket, namespace, name) !== undefined) {
    return update(store, kind, namespace, name, subresource, onto, known, context);
  }
  if (subresource !== "") throw notFound(kind, name);
  const { uid } = given.metadata;
  if (uid !== undefined) {
    throw conflict(
      kind,
      name,
      `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
    );
  }
  options.authorizeCreate();
  return create(store, kind, namespace, onto(undefined), known, context);
}

/** What of a configuration its endpoint heeds: the rest is nobody's. */
function partOf(kind: Kind, configuration: KubernetesObject, subresource: "" | "status"): KubernetesObject {
  const { apiVersion, metadata, status, ...rest } = configuration;
  if (!kind.status) return configuration;
  if (subresource === "") return { apiVersion, metadata, ...rest };
  const { name, namespace, uid, resourceVersion, labels, annotations } = metadata;
  const named = { name, namespace, uid, resourceVersion, ...(kind.statusKeepsMetadata ? { labels, annotations } : {}) };
  const present = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
  return {
    apiVersion,
    kind: configuration.kind,
    metadata: present as unknown as KubernetesObject["metadata"],
    ...(status === undefined ? {} : { status }),
  };
}
