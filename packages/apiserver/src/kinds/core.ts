import { checkDns1123Label } from "@berth/machinery";
import type { Kind } from "../registry/kind.ts";
import { defineBuiltin } from "./define.ts";

/** Built-in kinds that are only data. */
export function coreKinds(): Kind[] {
  return [
    defineBuiltin({
      resource: "configmaps",
      kind: "ConfigMap",
      shortNames: ["cm"],
      columns: [
        {
          name: "Data",
          type: "integer",
          cell: (object) =>
            Object.keys(object["data"] ?? {}).length + Object.keys(object["binaryData"] ?? {}).length,
        },
      ],
    }),
    defineBuiltin({
      resource: "secrets",
      kind: "Secret",
      selectable: ["type"],
      columns: [
        { name: "Type", type: "string", cell: (object) => object["type"] },
        { name: "Data", type: "integer", cell: (object) => Object.keys(object["data"] ?? {}).length },
      ],
      default: (object) => {
        const secret = object as unknown as Record<string, unknown>;
        secret["type"] ??= "Opaque";
        const plain = secret["stringData"] as Record<string, string> | undefined;
        if (plain !== undefined) {
          const data = (secret["data"] ?? {}) as Record<string, string>;
          for (const [key, value] of Object.entries(plain)) data[key] = Buffer.from(value).toString("base64");
          secret["data"] = data;
          delete secret["stringData"];
        }
      },
    }),
    defineBuiltin({
      resource: "serviceaccounts",
      kind: "ServiceAccount",
      shortNames: ["sa"],
      returnsDeletedObject: true,
      columns: [
        {
          name: "Secrets",
          type: "integer",
          cell: (object) => ((object["secrets"] ?? []) as unknown[]).length,
        },
      ],
    }),
    defineBuiltin({
      resource: "leases",
      group: "coordination.k8s.io",
      kind: "Lease",
      unconditionalUpdate: false,
      columns: [{ name: "Holder", type: "string", cell: (object) => object.spec?.["holderIdentity"] ?? "" }],
    }),
    defineBuiltin({
      resource: "nodes",
      kind: "Node",
      shortNames: ["no"],
      clusterScoped: true,
      status: true,
      selectable: ["spec.unschedulable"],
    }),
    defineBuiltin({
      resource: "namespaces",
      kind: "Namespace",
      shortNames: ["ns"],
      clusterScoped: true,
      status: true,
      selectable: ["status.phase"],
      returnsDeletedObject: true,
      strategy: { validateName: checkDns1123Label },
    }),
  ];
}
