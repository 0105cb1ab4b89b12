/** What a URL path means in the grammar of the Kubernetes API. */
export interface ResourcePath {
  group: string;
  version: string;
  resource: string;
  /** Empty on cluster-scoped and all-namespaces requests. */
  namespace: string;
  /** Empty on collections. */
  name: string;
  /** Empty on the object itself. */
  subresource: string;
  /** What stands after the subresource (proxy paths), without a leading slash. */
  rest: string;
  /** The deprecated `/watch/` prefix. */
  watch: boolean;
}

const namespaceSubresources = new Set(["status", "finalize"]);

/**
 * Parses `/api/v1/…` and `/apis/GROUP/VERSION/…` down to a resource; `undefined` for all other paths (discovery,
 * health, …). Throws URIError on a malformed escape.
 */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const core = path.startsWith("/api/");
  if (!core && !path.startsWith("/apis/")) return undefined;
  const parts = (path.includes("%") ? path.split("/").map(decodeURIComponent) : path.split("/")).slice(2);
  if (parts.at(-1) === "") parts.pop();
  const group = core ? "" : (parts.shift() ?? "");
  const version = parts.shift() ?? "";
  let watch = false;
  if (parts[0] === "watch" && parts.length > 1) {
    watch = true;
    parts.shift();
  }
  if (parts.length === 0 || version === "") return undefined;
  let namespace = "";
  if (parts[0] === "namespaces" && parts.length > 2 && !namespaceSubresources.has(parts[2]!)) {
    namespace = parts[1]!;
    parts.splice(0, 2);
  }
  const [resource = "", name = "", subresource = "", ...rest] = parts;
  return { group, version, resource, namespace, name, subresource, rest: rest.join("/"), watch };
}
