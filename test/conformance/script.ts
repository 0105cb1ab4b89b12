/** What a conformance script is made of: requests as data, played to two servers alike. */

/** One request. In `path` and `body`, `$ns` is the script's own namespace, and `${NAME.field.0.field}` a value of a saved answer. */
export interface Ask {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  body?: unknown;
  /** Default application/json. */
  contentType?: string;
  accept?: string;
  /** Keeps the answer's body under this name. */
  save?: string;
}

/** Begins a watch, whose events are compared at `Unwatch`. */
export interface Watch {
  watch: string;
  path: string;
  accept?: string;
}

/** Ends a watch when so many events have come, or after ten seconds; half a second more shows events too many. */
export interface Unwatch {
  unwatch: string;
  events: number;
}

/** Asks until the path is gone, or answers with this text somewhere in it; compared is only whether that comes within twenty seconds. */
export interface Wait {
  wait: string;
  until: "gone" | { has: string };
}

export type Step = Ask | Watch | Unwatch | Wait;

export interface Script {
  name: string;
  steps: Step[];
}

type Extra = Omit<Partial<Ask>, "method" | "path" | "body">;

export const get = (path: string, extra: Extra = {}): Ask => ({ method: "GET", path, ...extra });
export const post = (path: string, body: unknown, extra: Extra = {}): Ask => ({ method: "POST", path, body, ...extra });
export const put = (path: string, body: unknown, extra: Extra = {}): Ask => ({ method: "PUT", path, body, ...extra });
export const remove = (path: string, body?: unknown, extra: Extra = {}): Ask => ({
  method: "DELETE",
  path,
  body,
  ...extra,
});

const patchTypes = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

export const patch = (type: keyof typeof patchTypes, path: string, body: unknown, extra: Extra = {}): Ask => ({
  method: "PATCH",
  path,
  body,
  contentType: patchTypes[type],
  ...extra,
});

export const table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
export const partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json";
export const partialList = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

/** The path of a namespaced collection in the script's namespace. */
export function inNamespace(resource: string, groupVersion = "v1"): string {
  const root = groupVersion === "v1" ? "/api/v1" : `/apis/${groupVersion}`;
  return `${root}/namespaces/$ns/${resource}`;
}
