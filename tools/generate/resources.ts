/** The table of built-in resources, from the discovery documents that Kubernetes publishes with its source. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileStem } from "./group-versions.ts";

interface ApiResource {
  name: string;
  singularName: string;
  kind: string;
  namespaced: boolean;
  verbs: string[];
  group?: string;
  version?: string;
  shortNames?: string[];
  categories?: string[];
}

export function resourcesTable(kubernetes: string, groupVersions: [string, string][]): unknown[] {
  return groupVersions.flatMap((groupVersion) => {
    const [group, version] = groupVersion;
    const file = join(kubernetes, "api/discovery", `${fileStem(groupVersion)}.json`);
    const { resources } = JSON.parse(readFileSync(file, "utf8")) as { resources: ApiResource[] };
    return resources
      .filter(({ name }) => !name.includes("/"))
      .map((resource) => ({
        group,
        version,
        resource: resource.name,
        singular: resource.singularName,
        kind: resource.kind,
        namespaced: resource.namespaced,
        shortNames: resource.shortNames ?? [],
        categories: resource.categories ?? [],
        verbs: resource.verbs,
        subresources: resources
          .filter(({ name }) => name.startsWith(`${resource.name}/`))
          .map((one) => ({
            name: one.name.slice(resource.name.length + 1),
            group: one.group ?? group,
            version: one.version ?? version,
            kind: one.kind,
            verbs: one.verbs,
          })),
      }));
  });
}
