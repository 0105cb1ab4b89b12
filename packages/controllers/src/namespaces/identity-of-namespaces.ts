/** As whom pods of a namespace run: what policies hold them to is kept as the directory has it. */
import { type AnyObject, type Informer, isReason, resources } from "@berth/client";
import type { ClaimedIdentity } from "@berth/identity";
import { annotations } from "@berth/kinds";
import type { Context, Identity } from "../context.ts";
import type { Stores } from "../stores.ts";
import type { Writer } from "../writer.ts";

/** All namespaces are looked at so often: directories tell nobody of changes. */
const roundMs = 600_000;
/** After a directory did not answer. */
const retryMs = 30_000;

/** For `OidcUsers`: what stands on the namespaces of an owner. */
export function claimsOn(namespaces: Informer): (owner: string) => ClaimedIdentity[] {
  return (owner) =>
    [...namespaces.byIndex("owner", owner)].map(({ metadata: { name, annotations: stated = {} } }) => ({
      namespace: name,
      uid: stated[annotations.uid],
      gid: stated[annotations.gid],
      groups: stated[annotations.groups],
    }));
}

/** What is written on a namespace of somebody; groups besides the first one. */
function annotationsOf({ uid, gid, groups }: Identity): Record<string, string | null> {
  const others = groups.filter((group) => group !== gid);
  return {
    [annotations.uid]: String(uid),
    [annotations.gid]: String(gid),
    [annotations.groups]: others.length === 0 ? null : others.join(","),
  };
}

export class IdentityOfNamespaces {
  readonly #context: Context;
  readonly #stores: Stores;
  readonly #writer: Writer;
  /** Names whose turn has not come. */
  readonly #waiting = new Set<string>();
  #isAtWork = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: Context, stores: Stores, writer: Writer) {
    this.#context = context;
    this.#stores = stores;
    this.#writer = writer;
  }

  start(): void {
    const look = ({ metadata }: AnyObject): void => this.#look(metadata.name);
    this.#stores.namespaces.addHandler({
      add: look,
      update: (namespace, before) => {
        if (JSON.stringify(statedBy(namespace)) !== JSON.stringify(statedBy(before))) look(namespace);
      },
    });
    this.#again(roundMs);
    this.#context.signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  #again(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (this.#context.signal.aborted) return;
    this.#timer = setTimeout(() => {
      for (const { metadata } of this.#stores.namespaces.values()) this.#look(metadata.name);
      this.#again(roundMs);
    }, milliseconds);
  }

  #look(name: string): void {
    const owner = this.#stores.namespaces.get(undefined, name)?.metadata.annotations?.[annotations.owner];
    if (owner === undefined) return;
    this.#waiting.add(name);
    if (!this.#isAtWork) void this.#work();
  }

  async #work(): Promise<void> {
    const { log, signal } = this.#context;
    this.#isAtWork = true;
    for (const name of this.#waiting) {
      if (signal.aborted) break;
      this.#waiting.delete(name);
      await this.#keep(name).catch((error: unknown) => {
        if (signal.aborted) return;
        log("warn", `namespace ${name} is not told as whom its pods run: ${(error as Error).message}`);
        this.#again(retryMs);
      });
    }
    this.#isAtWork = false;
  }

  async #keep(name: string): Promise<void> {
    const { client, users, log } = this.#context;
    const namespace = this.#stores.namespaces.get(undefined, name);
    const owner = namespace?.metadata.annotations?.[annotations.owner];
    if (namespace === undefined || owner === undefined || namespace.metadata.deletionTimestamp !== undefined) return;
    const user = await users.byName(owner);
    // Of who is gone no job is admitted any more; what stands there keeps others from being them.
    if (user === undefined) return;
    const wanted = annotationsOf(user);
    const stated = namespace.metadata.annotations ?? {};
    if (Object.entries(wanted).every(([key, value]) => (stated[key] ?? null) === value)) return;
    const { uid, resourceVersion } = namespace.metadata;
    const patch = { metadata: { uid, resourceVersion, annotations: wanted } };
    await this.#writer
      .run(() => client.patch(resources.namespaces, name, patch))
      .catch((error: unknown) => {
        // It changed meanwhile, which is another event.
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      });
    log("info", `namespace ${name} of ${owner}: its pods run as uid ${user.uid}, gid ${user.gid}`);
  }
}

function statedBy({ metadata }: AnyObject): (string | undefined)[] {
  return [annotations.owner, annotations.uid, annotations.gid, annotations.groups].map(
    (name) => metadata.annotations?.[name],
  );
}
