import { quantityToMilli } from "@berth/machinery";
import type { Container, Pod } from "@berth/kinds";

/** Reads what `valueFrom` and `envFrom` name; undefined where the object or the key is not there. */
export interface ReferencedData {
  secret(name: string): Promise<Record<string, string> | undefined>;
  configMap(name: string): Promise<Record<string, string> | undefined>;
}

/** A reference that cannot be resolved, as the kubelet's CreateContainerConfigError. */
export class ConfigurationError extends Error {
  override name = "CreateContainerConfigError";
}

interface KeyReference {
  name: string;
  key: string;
  optional?: boolean;
}

/**
 * The variables that a container states, in order, later ones over earlier; `$(NAME)` is replaced by what was stated before,
 * `$$(NAME)` is the text `$(NAME)`, an unknown name stays as it is written. (Kubernetes' rules for `env` and `envFrom`.)
 */
export async function containerEnvironment(
  pod: Pod,
  container: Container,
  nodeName: string,
  data: ReferencedData,
): Promise<Record<string, string>> {
  const environment: Record<string, string> = {};
  const from = (container["envFrom"] ?? []) as {
    prefix?: string;
    configMapRef?: { name: string; optional?: boolean };
    secretRef?: { name: string; optional?: boolean };
  }[];
  for (const source of from) {
    const reference = source.configMapRef ?? source.secretRef;
    if (reference === undefined) continue;
    const kind = source.configMapRef === undefined ? "secret" : "configmap";
    const values = kind === "secret" ? await data.secret(reference.name) : await data.configMap(reference.name);
    if (values === undefined && reference.optional !== true) {
      throw new ConfigurationError(`${kind} "${reference.name}" not found`);
    }
    for (const [key, value] of Object.entries(values ?? {})) environment[`${source.prefix ?? ""}${key}`] = value;
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (valueFrom === undefined) {
      environment[name] = expandReferences(value ?? "", environment);
      continue;
    }
    const resolved = await resolveValue(valueFrom, pod, container, nodeName, data);
    if (resolved !== undefined) environment[name] = resolved;
  }
  return environment;
}

async function resolveValue(
  from: Record<string, unknown>,
  pod: Pod,
  container: Container,
  nodeName: string,
  data: ReferencedData,
): Promise<string | undefined> {
  if (from["fieldRef"] !== undefined) {
    const path = (from["fieldRef"] as { fieldPath: string }).fieldPath;
    const value = podField(pod, path, nodeName);
    if (value === undefined)
      throw new ConfigurationError(`fieldRef: "${path}" is not a field that a container may ask for`);
    return value;
  }
  if (from["resourceFieldRef"] !== undefined) {
    return resourceField(container, from["resourceFieldRef"] as { resource: string; divisor?: string });
  }
  const [kind, reference] =
    from["secretKeyRef"] === undefined
      ? (["configmap", from["configMapKeyRef"] as KeyReference | undefined] as const)
      : (["secret", from["secretKeyRef"] as KeyReference] as const);
  if (reference === undefined)
    throw new ConfigurationError(`valueFrom: ${Object.keys(from).join(", ")} is not supported`);
  const values = kind === "secret" ? await data.secret(reference.name) : await data.configMap(reference.name);
  const value = values?.[reference.key];
  if (value !== undefined || reference.optional === true) return value;
  throw new ConfigurationError(
    values === undefined
      ? `${kind} "${reference.name}" not found`
      : `couldn't find key ${reference.key} in ${kind} ${reference.name}`,
  );
}

export function expandReferences(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^()]+)\)/g, (whole, name: string | undefined) => {
    if (name === undefined) return "$";
    return environment[name] ?? whole;
  });
}

/** The fields of the downward API; undefined for any other path. */
export function podField(pod: Pod, path: string, nodeName: string): string | undefined {
  const entry = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (entry !== null) return pod.metadata[entry[1] as "labels" | "annotations"]?.[entry[2]!] ?? "";
  switch (path) {
    case "metadata.name":
      return pod.metadata.name;
    case "metadata.namespace":
      return pod.metadata.namespace ?? "";
    case "metadata.uid":
      return pod.metadata.uid ?? "";
    case "metadata.labels":
      return formatMap(pod.metadata.labels);
    case "metadata.annotations":
      return formatMap(pod.metadata.annotations);
    case "spec.nodeName":
      return nodeName;
    case "spec.serviceAccountName":
      return String(pod.spec["serviceAccountName"] ?? "default");
    case "status.hostIP":
    case "status.podIP":
    case "status.hostIPs":
    case "status.podIPs":
      return "127.0.0.1";
    default:
      return undefined;
  }
}

function formatMap(map: Record<string, string> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}

function resourceField(container: Container, reference: { resource: string; divisor?: string }): string {
  const [list, resource] = reference.resource.split(".", 2) as ["limits" | "requests", string];
  const quantity = container.resources?.[list]?.[resource];
  if (quantity === undefined) return "0";
  const divisor = reference.divisor === undefined || reference.divisor === "0" ? 1 : quantityValue(reference.divisor);
  return String(Math.ceil(quantityValue(quantity) / divisor));
}

/** Value of a quantity in its base unit (cores, bytes), as a number. */
function quantityValue(quantity: string | number): number {
  return quantityToMilli(quantity) / 1000;
}
