import type { FieldError, KubernetesObject } from "@berth/machinery";
import {
  checkDns1035Label,
  checkDns1123Subdomain,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
} from "@berth/machinery";
import { compileCelRules, compileCustomSchema, compileJsonPath } from "@berth/machinery/server";
import { defineBuiltin } from "../kinds/define.ts";
import type { Kind } from "../registry/kind.ts";
import type { Registry } from "../registry/registry.ts";
import type { DefinitionSpec } from "./custom-kind.ts";
import { establishedStatus } from "./custom-kind.ts";

export const definitionsBucket = "customresourcedefinitions.apiextensions.k8s.io";
export const cleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io";

function specOf(object: KubernetesObject): DefinitionSpec {
  return object.spec as unknown as DefinitionSpec;
}

function validate(object: KubernetesObject): FieldError[] {
  const spec = specOf(object);
  const errors: FieldError[] = [];
  const names = spec?.names ?? {};
  if (!spec?.group) errors.push(fieldRequired("spec.group"));
  if (!names.plural) errors.push(fieldRequired("spec.names.plural"));
  if (!names.kind) errors.push(fieldRequired("spec.names.kind"));
  if (errors.length > 0) return errors;
  errors.push(...checkDns1123Subdomain(spec.group).map((message) => fieldInvalid("spec.group", spec.group, message)));
  errors.push(
    ...checkDns1035Label(names.plural).map((message) => fieldInvalid("spec.names.plural", names.plural, message)),
  );
  if (object.metadata.name !== `${names.plural}.${spec.group}`) {
    errors.push(fieldInvalid("metadata.name", object.metadata.name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (spec.scope !== "Namespaced" && spec.scope !== "Cluster") {
    errors.push(fieldNotSupported("spec.scope", spec.scope ?? "", ["Cluster", "Namespaced"]));
  }
  const versions = spec.versions ?? [];
  if (versions.length === 0) errors.push(fieldRequired("spec.versions"));
  const storage = versions.filter((version) => version.storage === true).length;
  if (versions.length > 0 && storage !== 1) {
    errors.push(fieldInvalid("spec.versions", storage, "must have exactly one version marked as storage version"));
  }
  errors.push(...validateSchemas(spec));
  versions.forEach((version, index) => {
    if (version.schema?.openAPIV3Schema === undefined) {
      errors.push(fieldRequired(`spec.versions[${index}].schema.openAPIV3Schema`, "schemas are required"));
    } else if (version.schema.openAPIV3Schema.type !== "object") {
      errors.push(
        fieldInvalid(
          `spec.versions[${index}].schema.openAPIV3Schema.type`,
          version.schema.openAPIV3Schema.type ?? "",
          "must be object at the root",
        ),
      );
    }
  });
  return errors;
}

/** Schemas that cannot be compiled, rules that are no CEL, columns whose path cannot be read. */
function validateSchemas(spec: DefinitionSpec): FieldError[] {
  const errors: FieldError[] = [];
  (spec.versions ?? []).forEach((version, index) => {
    const path = `spec.versions[${index}]`;
    const schema = version.schema?.openAPIV3Schema;
    if (schema === undefined) return;
    try {
      errors.push(...compileCelRules(compileCustomSchema(schema), `${path}.schema.openAPIV3Schema`).errors);
    } catch (error) {
      errors.push(fieldInvalid(`${path}.schema.openAPIV3Schema`, "", (error as Error).message));
    }
    (version.additionalPrinterColumns ?? []).forEach((column, place) => {
      try {
        compileJsonPath(column.jsonPath);
      } catch (error) {
        errors.push(
          fieldInvalid(
            `${path}.additionalPrinterColumns[${place}].jsonPath`,
            column.jsonPath,
            (error as Error).message,
          ),
        );
      }
    });
  });
  return errors;
}

/** Names of a definition that another one of its group has already; undefined when all are free. */
function conflictOf(registry: Registry, spec: DefinitionSpec): string | undefined {
  for (const kind of registry.all()) {
    if (kind.group !== spec.group || kind.resource === spec.names.plural) continue;
    if (kind.kind === spec.names.kind) return `"${spec.names.kind}" is already in use`;
    const short = (spec.names.shortNames ?? []).find(
      (name) => kind.shortNames.includes(name) || kind.resource === name,
    );
    if (short !== undefined) return `"${short}" is already in use`;
  }
  return undefined;
}

/** The kind CustomResourceDefinition itself. Definitions are established in the write that brings them. */
export function definitionKind(registry: Registry): Kind {
  return defineBuiltin({
    resource: "customresourcedefinitions",
    group: "apiextensions.k8s.io",
    generation: "spec",
    ageless: true,
    columns: [{ name: "Created At", type: "date", cell: (object) => object.metadata.creationTimestamp }],
    default: (object) => {
      const spec = specOf(object);
      if (spec?.names?.kind === undefined) return;
      spec.names.singular ||= spec.names.kind.toLowerCase();
      spec.names.listKind ||= `${spec.names.kind}List`;
      (spec as unknown as Record<string, unknown>)["conversion"] ??= { strategy: "None" };
    },
    strategy: {
      prepareForCreate: (object) => {
        delete object.status;
      },
      admit: (object, old, context) => {
        const spec = specOf(object);
        // What is not valid is refused after this.
        if (spec?.names?.plural === undefined || !(spec.versions ?? []).some((version) => version.storage)) return;
        if (object.metadata.deletionTimestamp !== undefined) return;
        if (!(object.metadata.finalizers ?? []).includes(cleanupFinalizer)) {
          object.metadata.finalizers = [...(object.metadata.finalizers ?? []), cleanupFinalizer];
        }
        const spoken = conflictOf(registry, spec);
        object.status = establishedStatus(spec, spoken, context.now, old?.status);
      },
      validate,
      validateUpdate: (object, old) =>
        ["scope", "group"].flatMap((field) => {
          const value = object.spec?.[field];
          return value === old.spec?.[field] ? [] : [fieldInvalid(`spec.${field}`, value, "field is immutable")];
        }),
    },
  });
}
