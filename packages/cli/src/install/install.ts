/** `berth install` and `berth upgrade`: puts Berth on a real Kubernetes, or brings it to what this version is. */
import { isPostgresUrl, shownPlace } from "@berth/accounting";
import { isReason, type Client } from "@berth/client";
import { accounts, defaultObjects, queues, sites } from "@berth/kinds";
import { parseUserSettings } from "@berth/identity";
import {
  installationFormat,
  manifests,
  webhookName,
  type ManifestSettings,
  type SiteUsers,
  usersPath,
  type VolcanoSettings,
} from "@berth/kinds/install";
import type { KubernetesObject } from "@berth/machinery";
import { load } from "js-yaml";
import { readFileSync } from "node:fs";
import { CommandError } from "../command-error.ts";
import { formatData, paint } from "../table.ts";
import { type Installation, readInstallation, refuseForeign } from "./installation.ts";
import { requireRights, type VerbsFor } from "./rights.ts";
import { levelSentences, type WantedLevel } from "./levels.ts";
import { levelOf, namedCluster, readServerFacts, type ServerFacts } from "./server-facts.ts";
import { leftovers, removeObjects, rewriteStored, writeManifests } from "./write-manifests.ts";

export interface InstallOptions {
  dryRun?: boolean;
  output?: "yaml" | "json";
  image?: string;
  level?: WantedLevel;
  users?: string;
  passwd?: string;
  group?: string;
  accounting?: string;
  volcano?: boolean;
  force?: boolean;
}

/** What an earlier installation had and this one has not is removed. */
const verbs: VerbsFor = (kind) =>
  /Role|Policy|Webhook/.test(kind) ? ["get", "list", "create", "patch", "delete"] : ["get", "create", "patch"];
/** Looked for at every level: another may have been chosen before. */
const formerWebhook = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "MutatingWebhookConfiguration",
  metadata: { name: webhookName },
};
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Of this program. */
export function ownVersion(): string {
  const description = readFileSync(new URL("../../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(description) as { version: string }).version;
}

/** Never fetched from a registry that nobody named: nodes have it, or `--image` says where it is. */
export const defaultImage = (version: string): string => `localhost/berth:${version}`;

export async function install(options: InstallOptions): Promise<number> {
  if (options.output !== undefined) return await printManifests(options);
  const { client, description, facts, found } = await look("install");
  if (found.format !== undefined && found.format < installationFormat)
    throw new CommandError(
      `${description} has Berth in format ${found.format}, this is format ${installationFormat}: berth upgrade brings it forward, with what is stored`,
    );
  const settings = settingsFor(options, facts, found);
  return await bringTo(client, settings, { facts, found, options, command: "install", description });
}

export async function upgrade(options: InstallOptions): Promise<number> {
  const { client, description, facts, found } = await look("upgrade");
  if (found.format === undefined)
    throw new CommandError(`${description} has no Berth yet: berth install puts it there`);
  const version = ownVersion();
  const isOwn = found.image === undefined || found.image === defaultImage(found.version ?? version);
  if (!isOwn && options.image === undefined && found.version !== version)
    throw new CommandError(
      `the controllers run ${found.image}, version ${found.version ?? "unknown"}; this is ${version}. Name the image of this version with --image`,
    );
  const settings = settingsFor(
    {
      level: found.level ?? "auto",
      ...options,
      image: options.image ?? (isOwn ? defaultImage(version) : found.image!),
    },
    facts,
    found,
  );
  return await bringTo(client, settings, { facts, found, options, command: "upgrade", description });
}

/** Which cluster, what it is, and what of Berth it has; refuses what cannot be gone on with. */
async function look(command: string): Promise<{
  client: Client;
  description: string;
  facts: ServerFacts;
  found: Installation;
}> {
  const cluster = await namedCluster(command);
  const facts = await readServerFacts(cluster);
  const { client, description } = cluster;
  const found = await readInstallation(client, facts.mutatingVersion).catch((error: unknown) => {
    if (!isReason(error, "Forbidden")) throw error;
    return undefined;
  });
  // Who may not even read is told of all rights at once.
  if (found === undefined) {
    const settings = settingsFor({ level: "policies" }, facts);
    await requireRights(client, manifests(settings), verbs, { user: facts.user, command });
    throw new CommandError(`${facts.user} may not read what is installed on ${description}`);
  }
  refuseForeign(found.definitions);
  return { client, description, facts, found };
}

function settingsFor(
  options: InstallOptions,
  facts: ServerFacts | undefined,
  known: Partial<Pick<Installation, "users" | "accounting" | "volcano" | "runsVolcano">> = {},
): ManifestSettings {
  const version = ownVersion();
  const users: SiteUsers = known.users ?? { passwd: "", group: "" };
  const accounting = accountingOf(options.accounting, known.accounting);
  return {
    image: options.image ?? defaultImage(version),
    version,
    level: levelOf(options.level ?? "auto", facts),
    managedBy: "berth",
    givesIds: facts?.givesIds ?? false,
    ...(facts?.mutatingVersion === undefined ? {} : { mutatingVersion: facts.mutatingVersion }),
    ...(accounting === undefined ? {} : { accounting }),
    ...(options.volcano === true || known.runsVolcano === true ? { volcano: volcanoOf(known.volcano ?? []) } : {}),
    users: {
      passwd: options.passwd === undefined ? users.passwd : readLines(options.passwd),
      group: options.group === undefined ? users.group : readLines(options.group),
      ...userSettings(options, users),
    },
  };
}

/** `--users`, else `--passwd` and its like, else what was chosen before. */
function userSettings({ users, passwd }: InstallOptions, known: SiteUsers): Pick<SiteUsers, "settings"> {
  if (users === undefined)
    return passwd !== undefined || known.settings === undefined ? {} : { settings: known.settings };
  const settings = readLines(users);
  try {
    parseUserSettings(load(settings), usersPath);
  } catch (error) {
    throw new CommandError(`--users ${users}: ${(error as Error).message}`);
  }
  return { settings };
}

/** Kinds of Volcano's that are there already belong to whoever put them there; where its Jobs are, Volcano is. */
function volcanoOf(known: Installation["volcano"]): VolcanoSettings {
  const left = known.filter(({ isOwn }) => !isOwn).map(({ name }) => name);
  if (left.includes("jobs.batch.volcano.sh"))
    throw new CommandError(
      "--volcano: CustomResourceDefinition jobs.batch.volcano.sh is there, and not Berth's: where Volcano is installed it runs its Jobs, and Berth leaves them alone. " +
        "Leave --volcano out; or, where Volcano is gone and its Jobs with it, kubectl delete crd jobs.batch.volcano.sh",
    );
  return { left };
}

/** What was chosen before stays; `sqlite` goes back to the claim. */
function accountingOf(wanted: string | undefined, known: string | undefined): string | undefined {
  if (wanted === undefined) return known;
  if (wanted === "sqlite") return undefined;
  if (!isPostgresUrl(wanted))
    throw new CommandError(
      `--accounting ${wanted}: this must be sqlite, or postgres://USER@HOST/DATABASE?passwordfile=FILE`,
    );
  if (shownPlace(wanted) !== wanted)
    throw new CommandError(
      `--accounting ${shownPlace(wanted)}: a password does not go into a Deployment; put it into Secret berth-accounting as password, and name passwordfile=/etc/berth/accounting/password`,
    );
  return wanted;
}

function readLines(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

/** With no cluster named, for one that has no more than it must. */
async function printManifests(options: InstallOptions): Promise<number> {
  if (options.dryRun !== true)
    throw new CommandError("--output prints what would be written, and is for --dry-run; add --dry-run");
  const isNamed = (process.env["BERTH_CONTEXT"] ?? "") !== "";
  const facts = isNamed ? await readServerFacts(await namedCluster("install")) : undefined;
  const objects = manifests(settingsFor(options, facts));
  if (options.output === "json") {
    process.stdout.write(await formatData({ apiVersion: "v1", kind: "List", items: objects }, "json"));
    return 0;
  }
  const documents = await Promise.all(objects.map((object) => formatData(object, "yaml")));
  process.stdout.write(documents.map((document) => `---\n${document}`).join(""));
  return 0;
}

async function bringTo(
  client: Client,
  settings: ManifestSettings,
  where: { facts: ServerFacts; found: Installation; options: InstallOptions; command: string; description: string },
): Promise<number> {
  const { facts, found, options, command, description } = where;
  const { dryRun: isDryRun = false, force: isForced = false } = options;
  const objects = manifests(settings);
  await requireRights(client, [...objects, formerWebhook], verbs, { user: facts.user, command });
  say(
    `Berth ${settings.version} on ${description}: Kubernetes ${facts.gitVersion} at ${client.server}, as ${facts.user}`,
  );
  // What the server would refuse is found before anything is changed.
  const silent = { isDryRun: true, isForced, say: () => {} };
  if (!isDryRun) await writeManifests(client, objects, silent);
  let changed = await writeManifests(client, objects, { isDryRun, isForced, say });
  changed += await removeObjects(client, await leftovers(client, objects, facts.mutatingVersion), { isDryRun, say });
  if (isDryRun) {
    say(changed === 0 ? "nothing would change" : `${changed} objects would change; nothing was written`);
    return 0;
  }
  if (found.format !== undefined && found.format < installationFormat) {
    const rewritten = await rewriteStored(
      client,
      objects.filter(({ kind }) => kind === "CustomResourceDefinition"),
    );
    say(`brought from format ${found.format} to ${installationFormat}: ${rewritten} stored objects written anew`);
  }
  changed += await createDefaults(client);
  const done = changed === 0 ? "all was so already" : `${changed} objects changed`;
  say(`${paint("green", "done")}: ${done}; ${levelSentence(settings)}`);
  say(`Next: berth status --context ${process.env["BERTH_CONTEXT"]}`);
  return 0;
}

/** What an empty cluster begins with; what is there belongs to the cluster. */
async function createDefaults(client: Client): Promise<number> {
  const { items } = await client.list(sites, { limit: 1 });
  if (items.length > 0) return 0;
  const keys = { Site: sites, Queue: queues, Account: accounts } as Record<string, typeof sites>;
  let made = 0;
  // The Site last: as long as it is missing, this is gone through again.
  for (const object of defaultObjects.toReversed()) {
    try {
      await client.create<KubernetesObject>(keys[object.kind]!, object);
      say(`${object.kind} ${object.metadata.name} created`);
      made += 1;
    } catch (error) {
      if (!isReason(error, "AlreadyExists")) throw error;
    }
  }
  return made;
}

const levelSentence = ({ level }: ManifestSettings): string => levelSentences[level];
