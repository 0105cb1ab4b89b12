import type { Kind } from "../registry/kind.ts";
import type { Registry } from "../registry/registry.ts";
import type { Entry } from "../storage/entry.ts";
import { parseEntry } from "../storage/entry.ts";
import type { DefinitionSpec } from "./custom-kind.ts";
import { kindsOfDefinition } from "./custom-kind.ts";
import { definitionsBucket } from "./definition-kind.ts";

/** Keeps the registry's custom kinds as the stored CustomResourceDefinitions say; they are served at once. */
export function followDefinitions(registry: Registry): void {
  const served = new Map<string, Kind[]>();
  const remove = (entry: Entry): void => {
    for (const kind of served.get(entry.name) ?? []) registry.remove(kind);
    served.delete(entry.name);
  };
  const put = (entry: Entry): void => {
    const object = parseEntry(entry);
    const conditions = (object.status?.["conditions"] ?? []) as { type: string; status: string }[];
    remove(entry);
    if (!conditions.some((one) => one.type === "Established" && one.status === "True")) return;
    const kinds = kindsOfDefinition(object.spec as unknown as DefinitionSpec);
    for (const kind of kinds) registry.add(kind);
    served.set(entry.name, kinds);
  };
  const bucket = registry.store.bucket(definitionsBucket);
  for (const entry of bucket.entries.values()) put(entry);
  bucket.subscribe({
    trigger: undefined,
    deliver: (events) => {
      for (const event of events) (event.type === "DELETED" ? remove : put)(event.entry);
    },
  });
}
