import { createHash } from "node:crypto";
import type { Kind } from "../registry/kind.ts";
import { apiVersion } from "../registry/kind.ts";
import type { Registry } from "../registry/registry.ts";

/** Groups of Kubernetes in the order that clients prefer them (kubectl resolves short names by it); others after. */
const groupOrder = [
  "",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "batch",
  "rbac.authorization.k8s.io",
  "apiextensions.k8s.io",
  "scheduling.k8s.io",
  "coordination.k8s.io",
];

interface GroupVersions {
  group: string;
  /** Most preferred first. */
  versions: string[];
}

function groupsOf(registry: Registry): GroupVersions[] {
  const groups = new Map<string, Set<string>>();
  for (const kind of registry.all()) {
    const versions = groups.get(kind.group);
    if (versions === undefined) groups.set(kind.group, new Set([kind.version]));
    else versions.add(kind.version);
  }
  const place = (group: string): number => {
    const index = groupOrder.indexOf(group);
    return index < 0 ? groupOrder.length : index;
  };
  return [...groups]
    .map(([group, versions]) => ({ group, versions: [...versions].sort(compareVersions) }))
    .sort((a, b) => place(a.group) - place(b.group) || (a.group < b.group ? -1 : 1));
}

/** Kubernetes' order of versions: v2 before v1 before v1beta1 before v1alpha1 before anything else. */
function compareVersions(a: string, b: string): number {
  const parse = (version: string): [number, number, number] => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (match === null) return [-1, 0, 0];
    const stability = match[2] === undefined ? 2 : match[2] === "beta" ? 1 : 0;
    return [stability, Number(match[1]), Number(match[3] ?? 0)];
  };
  const left = parse(a);
  const right = parse(b);
  for (let index = 0; index < 3; index++) {
    if (left[index] !== right[index]) return right[index]! - left[index]!;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

function kindsOf(registry: Registry, group: string, version: string): Kind[] {
  return [...registry.all()]
    .filter((kind) => kind.group === group && kind.version === version)
    .sort((a, b) => (a.resource < b.resource ? -1 : 1));
}

interface DiscoveredSubresource {
  name: string;
  kind: string;
  group: string;
  version: string;
  verbs: readonly string[];
}

export function subresourcesOf(kind: Kind): DiscoveredSubresource[] {
  const own = { group: kind.group, version: kind.version };
  const result: DiscoveredSubresource[] = [];
  if (kind.status) result.push({ ...own, name: "status", kind: kind.kind, verbs: ["get", "patch", "update"] });
  if (kind.scale !== undefined) {
    result.push({
      group: "autoscaling",
      version: "v1",
      name: "scale",
      kind: "Scale",
      verbs: ["get", "patch", "update"],
    });
  }
  for (const one of kind.subresources) {
    result.push({
      name: one.name,
      kind: one.kind,
      group: one.group ?? kind.group,
      version: one.version ?? kind.version,
      verbs: one.verbs,
    });
  }
  return result.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Discovery documents of the kinds that are served, made anew when these change. */
export class Discovery {
  private readonly registry: Registry;
  private revision = -1;
  private readonly documents = new Map<string, { bytes: Buffer; etag: string }>();

  constructor(registry: Registry) {
    this.registry = registry;
  }

  private document(key: string, make: () => unknown): { bytes: Buffer; etag: string } {
    if (this.revision !== this.registry.revision) {
      this.documents.clear();
      this.revision = this.registry.revision;
    }
    let document = this.documents.get(key);
    if (document === undefined) {
      const bytes = Buffer.from(`${JSON.stringify(make())}\n`);
      document = { bytes, etag: `"${createHash("sha256").update(bytes).digest("hex").toUpperCase()}"` };
      this.documents.set(key, document);
    }
    return document;
  }

  /** APIGroupDiscoveryList of the core group (`/api`) or of all others (`/apis`). */
  aggregated(core: boolean, version: "v2" | "v2beta1"): { bytes: Buffer; etag: string } {
    return this.document(`aggregated/${core}/${version}`, () => ({
      kind: "APIGroupDiscoveryList",
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items: groupsOf(this.registry)
        .filter(({ group }) => (group === "") === core)
        .map(({ group, versions }) => ({
          metadata: group === "" ? {} : { name: group },
          versions: versions.map((one) => ({
            version: one,
            resources: kindsOf(this.registry, group, one).map((kind) => aggregatedResource(kind)),
            freshness: "Current",
          })),
        })),
    }));
  }

  /** `/api`: APIVersions. */
  coreVersions(address: string): { bytes: Buffer; etag: string } {
    return this.document(`core/${address}`, () => ({
      kind: "APIVersions",
      versions: ["v1"],
      serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: address }],
    }));
  }

  /** `/apis`: APIGroupList. */
  groups(): { bytes: Buffer; etag: string } {
    return this.document("groups", () => ({
      kind: "APIGroupList",
      apiVersion: "v1",
      groups: groupsOf(this.registry)
        .filter(({ group }) => group !== "")
        .map(legacyGroup),
    }));
  }

  /** `/apis/GROUP`: APIGroup; `undefined` for a group that is not served. */
  group(name: string): { bytes: Buffer; etag: string } | undefined {
    const found = groupsOf(this.registry).find(({ group }) => group === name && group !== "");
    if (found === undefined) return undefined;
    return this.document(`group/${name}`, () => ({ kind: "APIGroup", apiVersion: "v1", ...legacyGroup(found) }));
  }

  /** `/api/v1`, `/apis/GROUP/VERSION`: APIResourceList. */
  resources(group: string, version: string): { bytes: Buffer; etag: string } | undefined {
    if (!this.registry.hasGroupVersion(group, version)) return undefined;
    return this.document(`resources/${group}/${version}`, () => ({
      kind: "APIResourceList",
      apiVersion: "v1",
      groupVersion: group === "" ? version : `${group}/${version}`,
      resources: kindsOf(this.registry, group, version).flatMap(legacyResources),
    }));
  }

  /** Every path below which something is served, as `/` lists them. */
  paths(): string[] {
    const paths = ["/api", "/api/v1", "/apis"];
    for (const { group, versions } of groupsOf(this.registry)) {
      if (group === "") continue;
      paths.push(`/apis/${group}`, ...versions.map((version) => `/apis/${group}/${version}`));
    }
    return [...paths, "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];
  }
}

function aggregatedResource(kind: Kind): unknown {
  const subresources = subresourcesOf(kind);
  return {
    resource: kind.resource,
    responseKind: { group: kind.group, version: kind.version, kind: kind.kind },
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: kind.verbs,
    ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
    ...(subresources.length === 0
      ? {}
      : {
          subresources: subresources.map((one) => ({
            subresource: one.name,
            responseKind: { group: one.group, version: one.version, kind: one.kind },
            verbs: one.verbs,
          })),
        }),
  };
}

function legacyGroup({ group, versions }: GroupVersions): Record<string, unknown> {
  const list = versions.map((version) => ({ groupVersion: apiVersion({ group, version }), version }));
  return { name: group, versions: list, preferredVersion: list[0] };
}

function legacyResources(kind: Kind): Record<string, unknown>[] {
  const own: Record<string, unknown> = {
    name: kind.resource,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: kind.verbs,
  };
  if (kind.shortNames.length > 0) own["shortNames"] = kind.shortNames;
  if (kind.categories.length > 0) own["categories"] = kind.categories;
  const resources = [own];
  for (const one of subresourcesOf(kind)) {
    const foreign = one.group !== kind.group || one.version !== kind.version;
    resources.push({
      name: `${kind.resource}/${one.name}`,
      singularName: "",
      namespaced: kind.namespaced,
      group: foreign ? one.group : undefined,
      version: foreign ? one.version : undefined,
      kind: one.kind,
      verbs: one.verbs,
    });
  }
  return resources;
}
