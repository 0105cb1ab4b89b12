import { ApiError, badRequest, notFound } from "@berth/machinery";
import type { Entry } from "../storage/entry.ts";
import { parseEntry } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";

export interface NodeEndpoint {
  host: string;
  port: number;
}

/** Where the node of a pod answers for its logs and processes, and which container is meant. Throws in words. */
export function endpointOfPod(
  store: Store,
  namespace: string,
  name: string,
  wanted: string | undefined,
): { endpoint: NodeEndpoint; container: string } {
  const entry = store.get("pods", namespace, name);
  if (entry === undefined) throw notFound({ group: "", resource: "pods" }, name);
  const pod = parseEntry(entry);
  const container = containerOf(entry, wanted);
  const nodeName = pod.spec?.["nodeName"];
  if (typeof nodeName !== "string" || nodeName === "") {
    throw badRequest(`pod ${name} has no node yet: it waits to be scheduled`);
  }
  const node = store.get("nodes", "", nodeName);
  if (node === undefined) throw notFound({ group: "", resource: "nodes" }, nodeName);
  const status = (parseEntry(node).status ?? {}) as {
    addresses?: { type: string; address: string }[];
    daemonEndpoints?: { kubeletEndpoint?: { Port?: number } };
  };
  const address = ["InternalIP", "ExternalIP", "Hostname"]
    .map((type) => status.addresses?.find((one) => one.type === type)?.address)
    .find((one) => one !== undefined);
  const port = status.daemonEndpoints?.kubeletEndpoint?.Port;
  if (address === undefined || port === undefined || port === 0) {
    throw new ApiError(
      503,
      "ServiceUnavailable",
      `node ${nodeName} does not say where its logs and processes can be reached (status.addresses, status.daemonEndpoints)`,
    );
  }
  return { endpoint: { host: address, port }, container };
}

/** The named container, or the only one, or the one that the default-container annotation names. */
function containerOf(entry: Entry, wanted: string | undefined): string {
  const pod = parseEntry(entry);
  const names = (field: string): string[] =>
    ((pod.spec?.[field] ?? []) as { name: string }[]).map((container) => container.name);
  const main = names("containers");
  const all = [...main, ...names("initContainers"), ...names("ephemeralContainers")];
  if (wanted !== undefined && wanted !== "") {
    if (all.includes(wanted)) return wanted;
    throw badRequest(`container ${wanted} is not valid for pod ${entry.name}: it has ${all.join(", ")}`);
  }
  if (main.length === 1) return main[0]!;
  const preferred = pod.metadata.annotations?.["kubectl.kubernetes.io/default-container"];
  if (preferred !== undefined && all.includes(preferred)) return preferred;
  throw badRequest(`a container name must be specified for pod ${entry.name}, choose one of: [${main.join(" ")}]`);
}
