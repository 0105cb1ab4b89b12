/** Trees of files that a queue gives its jobs: on kubelets a claim in the namespace of the job, of a volume that is for it alone. */
import { type AnyObject, isReason, type ResourceReference } from "@berth/client";
import { group, type Queue, type SharedTree, type VolumeMount } from "@berth/kinds";
import { createHash } from "node:crypto";
import type { Context } from "../context.ts";
import type { Writer } from "../writer.ts";

const volumes: ResourceReference = { group: "", version: "v1", resource: "persistentvolumes", namespaced: false };
const claims: ResourceReference = { group: "", version: "v1", resource: "persistentvolumeclaims", namespaced: true };
/** On volumes: the namespace of their claim. */
const ofNamespace = `${group}/tree-of`;
/** Trees have no size of their own; a volume must say one, and a claim ask for no more. */
const storage = "1Ti";
const retryMs = 5000;

const sourceOf = ({ nfs, csi, hostPath }: SharedTree): Record<string, unknown> => ({
  ...(nfs === undefined ? {} : { nfs }),
  ...(csi === undefined ? {} : { csi }),
  ...(hostPath === undefined ? {} : { hostPath }),
});

/** The name says the source: another is another claim, and what runs keeps its own. */
function claimName(tree: SharedTree): string {
  const source = JSON.stringify([sourceOf(tree), tree.readOnly === true]);
  return `tree-${tree.name}-${createHash("sha256").update(source).digest("hex").slice(0, 8)}`;
}

const volumeName = (namespace: string, tree: SharedTree): string => `berth-${namespace}-${claimName(tree)}`;

/** Of a pod, and where its first container has them; on Berth's own nodes a tree is where the machine has it. */
export function treesOf(
  queue: Queue,
  isKubelet: boolean,
): { volumes: ({ name: string } & Record<string, unknown>)[]; mounts: VolumeMount[] } {
  const trees = (queue.spec.sharedTrees ?? []).filter(({ hostPath }) => isKubelet || hostPath !== undefined);
  return {
    volumes: trees.map((tree) => ({
      name: `tree-${tree.name}`,
      ...(isKubelet ? { persistentVolumeClaim: { claimName: claimName(tree) } } : { hostPath: tree.hostPath }),
    })),
    mounts: trees.map(({ name, mountPath, readOnly }) => {
      const mount = { name: `tree-${name}`, mountPath };
      return readOnly === true ? Object.assign(mount, { readOnly }) : mount;
    }),
  };
}

/** The volume is bound to its claim beforehand, so that no other claim gets it. */
function manifestsOf(namespace: string, tree: SharedTree): [volume: AnyObject, claim: AnyObject] {
  const accessModes = [tree.readOnly === true ? "ReadOnlyMany" : "ReadWriteMany"];
  const labels = { "app.kubernetes.io/managed-by": "berth", [ofNamespace]: namespace };
  const source = sourceOf(tree) as { nfs?: object; csi?: object };
  const isReadOnly = tree.readOnly === true ? { readOnly: true } : {};
  if (source.nfs !== undefined) source.nfs = { ...source.nfs, ...isReadOnly };
  if (source.csi !== undefined) source.csi = { ...source.csi, ...isReadOnly };
  const name = claimName(tree);
  const common = { accessModes, storageClassName: "" };
  return [
    {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: volumeName(namespace, tree), labels },
      spec: {
        ...common,
        ...source,
        capacity: { storage },
        // What is in a tree is never a claim's to remove.
        persistentVolumeReclaimPolicy: "Retain",
        claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name },
      },
    } as AnyObject,
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name, namespace, labels },
      spec: { ...common, volumeName: volumeName(namespace, tree), resources: { requests: { storage } } },
    } as AnyObject,
  ];
}

/** Makes claims when a job needs them; a pod that comes before its claim waits for it on its node. */
export class SharedTrees {
  readonly #context: Context;
  readonly #writer: Writer;
  readonly #made = new Set<string>();

  constructor(context: Context, writer: Writer) {
    this.#context = context;
    this.#writer = writer;
  }

  ensure(namespace: string, { spec }: Queue): void {
    for (const tree of spec.sharedTrees ?? []) {
      const key = `${namespace}/${claimName(tree)}`;
      if (this.#made.has(key)) continue;
      this.#made.add(key);
      void this.#make(namespace, tree, key);
    }
  }

  /** Its claims went with it; their volumes are nobody's now. What is in the trees stays. */
  removed(namespace: string): void {
    const { client, log, signal } = this.#context;
    const mine = [...this.#made].filter((key) => key.startsWith(`${namespace}/`));
    for (const key of mine) this.#made.delete(key);
    this.#writer
      .run(() => client.deleteCollection(volumes, { labelSelector: `${ofNamespace}=${namespace}` }))
      .catch((error: unknown) => {
        if (!signal.aborted) log("warn", `volumes of namespace ${namespace} stay: ${(error as Error).message}`);
      });
  }

  async #make(namespace: string, tree: SharedTree, key: string): Promise<void> {
    const { client, log, signal } = this.#context;
    const [volume, claim] = manifestsOf(namespace, tree);
    const create = (resource: ResourceReference, object: AnyObject): Promise<unknown> =>
      this.#writer
        .run(() => client.create(resource, object))
        .catch((error: unknown) => {
          if (!isReason(error, "AlreadyExists")) throw error;
        });
    try {
      await create(volumes, volume);
      await create(claims, claim);
    } catch (error) {
      if (signal.aborted) return;
      log(
        "warn",
        `tree ${tree.name} has no claim in namespace ${namespace}, and is tried again: ${(error as Error).message}`,
      );
      const timer = setTimeout(() => {
        if (this.#made.has(key)) void this.#make(namespace, tree, key);
      }, retryMs);
      signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
    }
  }
}
