/** Brings the objects of an installation to what they should be, by server-side apply, and tells what changed. */
import { isReason, resources, type AnyObject, type Client } from "@berth/client";
import { fieldManager, managedByLabel, partOfLabel } from "@berth/kinds/install";
import { jsonEqual, type KubernetesObject } from "@berth/machinery";
import { CommandError } from "../command-error.ts";
import { absent } from "./absent.ts";
import { type Definition, policyKey } from "./installation.ts";
import { nameOf, resourceOf } from "./manifest-resources.ts";

/** How long definitions may take until the server serves their kinds. */
const establishedPatienceMs = 60_000;

export interface WriteOptions {
  isDryRun: boolean;
  /** Takes fields that somebody else has set since. */
  isForced: boolean;
  say: (line: string) => void;
}

/** @returns how many objects were made or changed */
export async function writeManifests(
  client: Client,
  objects: readonly KubernetesObject[],
  options: WriteOptions,
): Promise<number> {
  const before = await Promise.all(objects.map((object) => read(client, object)));
  const namespaces = new Set(
    objects.flatMap(({ kind, metadata }, at) =>
      kind === "Namespace" && before[at] === undefined ? [metadata.name] : [],
    ),
  );
  let changed = 0;
  for (const [at, object] of objects.entries()) {
    const was = before[at];
    const { namespace } = object.metadata;
    // What is to lie in a namespace that is not there yet cannot be tried.
    const isUntried = options.isDryRun && namespace !== undefined && namespaces.has(namespace);
    // A claim is its cluster's once it is there: its class was chosen by the cluster, its size may have been grown.
    const isLeft = was !== undefined && object.kind === "PersistentVolumeClaim";
    const now = isUntried ? undefined : isLeft ? was : await apply(client, object, options);
    const verb = was === undefined ? "created" : isSame(was, now) ? "unchanged" : "changed";
    if (verb !== "unchanged") changed += 1;
    options.say(`${nameOf(object)} ${options.isDryRun && verb !== "unchanged" ? `would be ${verb}` : verb}`);
    const next = objects[at + 1];
    if (!options.isDryRun && object.kind === "CustomResourceDefinition" && next?.kind !== object.kind) {
      await established(
        client,
        objects.filter(({ kind }) => kind === object.kind).map(({ metadata }) => metadata.name),
      );
    }
  }
  return changed;
}

function read(client: Client, object: KubernetesObject): Promise<AnyObject | undefined> {
  const { name, namespace } = object.metadata;
  return absent(client.get<AnyObject>(resourceOf(object), name, namespace === undefined ? {} : { namespace }));
}

/** What others write of it meanwhile, as controllers write status, is no change of ours. */
function isSame(was: AnyObject, now: AnyObject | undefined): boolean {
  if (now === undefined) return false;
  const own = ({ metadata, ...rest }: AnyObject): unknown => {
    const { resourceVersion: _r, managedFields: _m, generation: _g, ...kept } = metadata;
    return { ...rest, status: undefined, metadata: kept };
  };
  return jsonEqual(own(was), own(now));
}

async function apply(client: Client, object: KubernetesObject, options: WriteOptions): Promise<AnyObject> {
  const { name, namespace } = object.metadata;
  try {
    return await client.patch<AnyObject>(resourceOf(object), name, object, {
      type: "Apply",
      fieldManager,
      force: options.isForced,
      dryRun: options.isDryRun,
      ...(namespace === undefined ? {} : { namespace }),
    });
  } catch (error) {
    const message = (error as Error).message;
    if (isReason(error, "Conflict"))
      throw new CommandError(
        `${nameOf(object)}: somebody else has set fields that an installation sets, and they are left as they are: ${message}. To take them back: --force`,
      );
    if (isReason(error, "Forbidden"))
      throw new CommandError(
        `${nameOf(object)}: you may not write this: ${message}. Who gives a right must have it: an administrator of the cluster can install`,
      );
    if (isReason(error, "Invalid", "BadRequest"))
      throw new CommandError(`${nameOf(object)}: the server does not take this: ${message}`);
    throw error;
  }
}

/** Waits until the server serves these kinds, or says of one that it never will. */
async function established(client: Client, names: readonly string[]): Promise<void> {
  const waiting = new Set(names);
  const patience = AbortSignal.timeout(establishedPatienceMs);
  const done = new AbortController();
  const signal = AbortSignal.any([patience, done.signal]);
  const look = (definition: Definition): void => {
    const { name } = definition.metadata;
    if (!waiting.has(name)) return;
    const conditions = definition.status?.conditions ?? [];
    const refused = conditions.find(({ type, status }) => type === "NamesAccepted" && status === "False");
    if (refused !== undefined)
      throw new CommandError(
        `CustomResourceDefinition ${name}: its names are taken by another definition: ${refused.message}`,
      );
    if (conditions.some(({ type, status }) => type === "Established" && status === "True")) waiting.delete(name);
    if (waiting.size === 0) done.abort();
  };
  while (waiting.size > 0) {
    const { items, metadata } = await client.listAll<Definition>(resources.customResourceDefinitions);
    items.forEach(look);
    if (waiting.size === 0) return;
    let refusal: unknown;
    await client
      .watch<Definition>(
        resources.customResourceDefinitions,
        { ...(metadata.resourceVersion === undefined ? {} : { resourceVersion: metadata.resourceVersion }), signal },
        ({ object }) => {
          try {
            look(object);
          } catch (error) {
            refusal = error;
            done.abort();
          }
        },
      )
      .catch((error: unknown) => {
        if (!signal.aborted && !isReason(error, "Expired")) throw error;
      });
    if (refusal !== undefined) throw refusal as Error;
    if (patience.aborted)
      throw new CommandError(
        `the server does not serve ${[...waiting].join(", ")} ${establishedPatienceMs / 1000} s after they were made; kubectl describe crd says why`,
      );
  }
}

/** Kinds of which an older installation, or one of another level, may have objects that this one has not. */
const prunable = [
  policyKey("mutatingwebhookconfigurations"),
  policyKey("validatingadmissionpolicybindings"),
  policyKey("validatingadmissionpolicies"),
  resources.clusterRoleBindings,
  resources.clusterRoles,
  resources.roleBindings,
  resources.roles,
];

/** Objects that an installation made and that are none of `objects`, ready to be removed. */
export async function leftovers(
  client: Client,
  objects: readonly KubernetesObject[],
  mutatingVersion: string | undefined,
): Promise<KubernetesObject[]> {
  const wanted = new Set(objects.map(nameOf));
  const keys = [
    ...(mutatingVersion === undefined
      ? []
      : [
          policyKey("mutatingadmissionpolicybindings", mutatingVersion),
          policyKey("mutatingadmissionpolicies", mutatingVersion),
        ]),
    ...prunable,
  ];
  const labelSelector = `${partOfLabel}=berth,${managedByLabel}=berth`;
  const lists = await Promise.all(
    keys.map(async (key) => {
      const { items } = await client.listAll<AnyObject>(key, { labelSelector });
      // Items of a list say no kind.
      const kind = kinds[key.resource]!;
      const apiVersion = key.group === "" ? key.version : `${key.group}/${key.version}`;
      return items.map((item) => Object.assign(item, { apiVersion, kind }) as unknown as KubernetesObject);
    }),
  );
  return lists.flat().filter((object) => !wanted.has(nameOf(object)));
}

const kinds: Readonly<Record<string, string>> = {
  validatingadmissionpolicybindings: "ValidatingAdmissionPolicyBinding",
  validatingadmissionpolicies: "ValidatingAdmissionPolicy",
  mutatingadmissionpolicybindings: "MutatingAdmissionPolicyBinding",
  mutatingadmissionpolicies: "MutatingAdmissionPolicy",
  mutatingwebhookconfigurations: "MutatingWebhookConfiguration",
  clusterrolebindings: "ClusterRoleBinding",
  clusterroles: "ClusterRole",
  rolebindings: "RoleBinding",
  roles: "Role",
};

export async function removeObjects(
  client: Client,
  objects: readonly KubernetesObject[],
  { isDryRun, say }: Pick<WriteOptions, "isDryRun" | "say">,
): Promise<number> {
  let removed = 0;
  for (const object of objects) {
    const { name, namespace } = object.metadata;
    const answer = await absent(
      client.delete(resourceOf(object), name, {
        propagationPolicy: "Background",
        dryRun: isDryRun,
        ...(namespace === undefined ? {} : { namespace }),
      }),
    );
    if (answer === undefined) continue;
    removed += 1;
    say(`${nameOf(object)} ${isDryRun ? "would be removed" : "removed"}`);
  }
  return removed;
}

/** Lets the server write what is stored of our kinds anew, in the form of the definitions as they are now. */
export async function rewriteStored(client: Client, definitions: readonly KubernetesObject[]): Promise<number> {
  let count = 0;
  for (const { spec } of definitions) {
    const { group, scope, names, versions } = spec as unknown as {
      group: string;
      scope: string;
      names: { plural: string };
      versions: { name: string; storage: boolean }[];
    };
    const version = versions.find(({ storage }) => storage)!.name;
    const key = { group, version, resource: names.plural, namespaced: scope === "Namespaced" };
    const { items } = await client.listAll<AnyObject>(key);
    for (const item of items) {
      // Somebody who writes at the same time does what is meant here.
      await client.update(key, item, { fieldManager }).catch((error: unknown) => {
        if (!isReason(error, "Conflict", "NotFound")) throw error;
      });
      count += 1;
    }
  }
  return count;
}
