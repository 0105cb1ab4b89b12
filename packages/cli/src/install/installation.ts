/** What of Berth a cluster has already, and whether this Berth may take it further. */
import { isPostgresUrl } from "@berth/accounting";
import { resources, type AnyObject, type Client } from "@berth/client";
import { customResourceDefinitions, isOwnVolcanoKind, systemNamespace } from "@berth/kinds";
import {
  controllersName,
  fileSettings,
  formatAnnotation,
  installationFormat,
  managedByLabel,
  partOfLabel,
  usersName,
  versionLabel,
  volcanoDefinitions,
  webhookName,
  type PolicyLevel,
  type SiteUsers,
} from "@berth/kinds/install";
import { CommandError } from "../command-error.ts";
import { absent } from "./absent.ts";

export interface Definition extends AnyObject {
  spec?: { group?: string };
  status?: { conditions?: { type: string; status: string; message?: string }[] };
}

interface Deployment extends AnyObject {
  spec?: { replicas?: number; template?: { spec?: { containers?: Container[] } } };
  status?: { readyReplicas?: number; conditions?: { type: string; status: string; message?: string }[] };
}

interface Container {
  image?: string;
  args?: string[];
}

export interface Installation {
  /** Definitions of our kinds that are there. */
  definitions: Definition[];
  /** Lowest format of them; undefined where there are none. */
  format: number | undefined;
  controllers?: Deployment;
  /** Of the controllers' image. */
  image?: string;
  /** Version of Berth that the Deployment is of. */
  version?: string;
  users?: SiteUsers;
  /** `postgres://…`, where accounting is not on the claim. */
  accounting?: string;
  /** The controllers run Jobs of Volcano's. */
  runsVolcano: boolean;
  /** Definitions of Volcano's kinds that are there, and whether each is Berth's. */
  volcano: { name: string; isOwn: boolean }[];
  /** What is in force; undefined: nothing is. */
  level?: PolicyLevel;
  /** Names of the policies that are there. */
  policies: string[];
  /** Nobody who serves the webhook has said how to know them. */
  isWebhookUnknown: boolean;
}

interface WebhookConfiguration extends AnyObject {
  webhooks?: { clientConfig?: { caBundle?: string } }[];
}

const deployments = { group: "apps", version: "v1", resource: "deployments", namespaced: true } as const;
export const policyKey = (resource: string, version = "v1") =>
  ({ group: "admissionregistration.k8s.io", version, resource, namespaced: false }) as const;

/**
 * Reads what is there.
 * @throws CommandError where definitions of these names are not Berth's, or of a newer one
 */
export async function readInstallation(client: Client, mutatingVersion?: string): Promise<Installation> {
  const [definitions, volcano, controllers, users, validating, mutating, webhook] = await Promise.all([
    readDefinitions(client, customResourceDefinitions),
    readDefinitions(client, volcanoDefinitions),
    readControllers(client),
    readUsers(client),
    policyNames(client, policyKey("validatingadmissionpolicies")),
    mutatingVersion === undefined ? [] : policyNames(client, policyKey("mutatingadmissionpolicies", mutatingVersion)),
    absent(client.get<WebhookConfiguration>(policyKey("mutatingwebhookconfigurations"), webhookName)),
  ]);
  const container = controllers?.spec?.template?.spec?.containers?.[0];
  const filling = mutating.length > 0 ? "mutating" : webhook === undefined ? "policies" : "webhook";
  const level = validating.length > 0 ? filling : undefined;
  const version = controllers?.metadata.labels?.[versionLabel];
  const words = container?.args ?? [];
  const accounting = words.includes("--accounting") ? words[words.indexOf("--accounting") + 1] : undefined;
  return {
    definitions,
    volcano: volcano.map((each) => ({ name: each.metadata.name, isOwn: isOwnVolcanoKind(each) })),
    runsVolcano: words.includes("--volcano"),
    format: formatOf(definitions),
    ...(controllers === undefined ? {} : { controllers }),
    ...(container?.image === undefined ? {} : { image: container.image }),
    ...(version === undefined ? {} : { version }),
    ...(accounting === undefined || !isPostgresUrl(accounting) ? {} : { accounting }),
    ...(users === undefined ? {} : { users: usersOf(users.data ?? {}) }),
    ...(level === undefined ? {} : { level }),
    policies: [...validating, ...mutating],
    isWebhookUnknown:
      level === "webhook" && (webhook?.webhooks ?? []).some(({ clientConfig }) => !clientConfig?.caBundle),
  };
}

async function readDefinitions(client: Client, wanted: readonly AnyObject[]): Promise<Definition[]> {
  const found = await Promise.all(
    wanted.map(({ metadata }) => absent(client.get<Definition>(resources.customResourceDefinitions, metadata.name))),
  );
  return found.filter((definition) => definition !== undefined);
}

function readControllers(client: Client): Promise<Deployment | undefined> {
  return absent(client.get<Deployment>(deployments, controllersName, { namespace: systemNamespace }));
}

function readUsers(client: Client): Promise<(AnyObject & { data?: Record<string, string> }) | undefined> {
  return absent(client.get(resources.configMaps, usersName, { namespace: systemNamespace }));
}

function usersOf({ passwd = "", group = "", "users.yaml": settings }: Record<string, string>): SiteUsers {
  return { passwd, group, ...(settings === undefined || settings === fileSettings ? {} : { settings }) };
}

async function policyNames(client: Client, key: ReturnType<typeof policyKey>): Promise<string[]> {
  const { items } = await client.listAll(key, { labelSelector: `${partOfLabel}=berth` });
  return items.map(({ metadata }) => metadata.name);
}

/** The lowest format of definitions; 0 where one says none. */
function formatOf(definitions: readonly AnyObject[]): number | undefined {
  if (definitions.length === 0) return undefined;
  return Math.min(...definitions.map(({ metadata }) => Number(metadata.annotations?.[formatAnnotation] ?? 0)));
}

/** Refuses what belongs to somebody else, or to a newer Berth, in words. */
export function refuseForeign(definitions: readonly AnyObject[]): void {
  for (const { metadata } of definitions) {
    const { name, labels = {}, annotations = {} } = metadata;
    const text = annotations[formatAnnotation];
    const owner = labels[managedByLabel];
    if (owner === "Helm") {
      const release = annotations["meta.helm.sh/release-name"] ?? "RELEASE";
      const where = annotations["meta.helm.sh/release-namespace"] ?? systemNamespace;
      throw new CommandError(
        `Berth was installed here by Helm, as release ${release} of namespace ${where}: go on with helm upgrade ${release} charts/berth -n ${where}, or remove it with helm uninstall`,
      );
    }
    if (owner !== undefined && owner !== "berth")
      throw new CommandError(
        `CustomResourceDefinition ${name} is managed by ${owner}; use that to change it, or take away its label ${managedByLabel} to make it Berth's`,
      );
    if (text === undefined)
      throw new CommandError(
        `CustomResourceDefinition ${name} is there, and does not say that it is Berth's (annotation ${formatAnnotation}). ` +
          `If another product made it, the two cannot share a cluster. If it was applied by hand from an older Berth: kubectl annotate crd ${name} ${formatAnnotation}=0, then berth upgrade`,
      );
    if (!/^\d{1,9}$/.test(text))
      throw new CommandError(
        `CustomResourceDefinition ${name}: annotation ${formatAnnotation} is ${JSON.stringify(text)}, not a number`,
      );
    if (Number(text) > installationFormat)
      throw new CommandError(
        `CustomResourceDefinition ${name} has format ${text}; this Berth knows ${installationFormat}. A newer Berth was here: use that one`,
      );
  }
}
