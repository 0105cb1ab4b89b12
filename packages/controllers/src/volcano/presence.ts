/** Whether Jobs and Queues of Volcano's kinds are Berth's to run: not where Volcano does. */
import { type AnyObject, type Client, Informer, resources } from "@berth/client";
import { annotations, isOwnVolcanoKind, volcanoJobs } from "@berth/kinds";
import type { Log } from "../context.ts";
import type { Stores } from "../stores.ts";

/** By this label Volcano's own manifests and chart name the pods of its controllers and its scheduler. */
const appLabel = "app";
const volcanoApps = new Set(["volcano-controller", "volcano-scheduler"]);

export class VolcanoPresence {
  readonly #stores: Stores;
  readonly #definitions: Informer;
  readonly #known = Promise.withResolvers<void>();
  #isOurs = false;

  constructor(
    { client, log, signal }: { client: Client; log: Log; signal: AbortSignal },
    stores: Stores,
    changed: (isOurs: boolean) => void,
  ) {
    this.#stores = stores;
    this.#definitions = new Informer({
      client,
      resource: resources.customResourceDefinitions,
      fieldSelector: `metadata.name=${volcanoJobs.resource}.${volcanoJobs.group}`,
      signal,
      transform: ({ apiVersion, kind, metadata, ...rest }) => {
        delete metadata.managedFields;
        return { apiVersion, kind, metadata, status: (rest as { status?: unknown }).status } as AnyObject;
      },
      onError: (error) => {
        // Nobody waits for what cannot be read.
        this.#known.resolve();
        if (!signal.aborted) log("warn", `whose the kinds of Volcano are cannot be read: ${(error as Error).message}`);
      },
    });
    const look = (): void => {
      const isOurs = this.#look();
      if (isOurs === this.#isOurs) return;
      this.#isOurs = isOurs;
      log(
        "info",
        isOurs
          ? "Jobs of batch.volcano.sh are run here"
          : "Jobs of batch.volcano.sh are left alone: their kind is not Berth's, or Volcano's own controllers run here",
      );
      changed(isOurs);
    };
    this.#definitions.addHandler({ add: look, update: look, delete: look });
    this.#definitions.synced.then(
      () => this.#known.resolve(),
      () => this.#known.resolve(),
    );
    const ofPod = ({ metadata }: AnyObject): void => {
      if (volcanoApps.has(metadata.labels?.[appLabel] ?? "")) look();
    };
    stores.pods.addHandler({ add: ofPod, delete: ofPod });
  }

  get synced(): Promise<void> {
    return this.#known.promise;
  }

  #look(): boolean {
    const [definition] = this.#definitions.list();
    if (definition === undefined || !isOwnVolcanoKind(definition) || !isEstablished(definition)) return false;
    for (const app of volcanoApps)
      for (const { metadata } of this.#stores.pods.byIndex("volcano", app)) {
        // In a namespace of a user the label means nothing.
        const { annotations: stated } =
          this.#stores.namespaces.get(undefined, metadata.namespace ?? "")?.metadata ?? {};
        if (stated?.[annotations.owner] === undefined) return false;
      }
    return true;
  }
}

function isEstablished(definition: AnyObject): boolean {
  const { status } = definition as { status?: { conditions?: { type: string; status: string }[] } };
  return status?.conditions?.some(({ type, status: holds }) => type === "Established" && holds === "True") === true;
}
