/** `berth uninstall`: takes away what an installation made, and leaves work and its record alone. */
import { resources, type AnyObject, type Client } from "@berth/client";
import {
  accountingFinalizer,
  isFinal,
  labels,
  systemNamespace,
  workloads,
  type Pod,
  type Workload,
} from "@berth/kinds";
import { manifests } from "@berth/kinds/install";
import { createInterface } from "node:readline/promises";
import { CommandError } from "../command-error.ts";
import { paint } from "../table.ts";
import { absent } from "./absent.ts";
import { readInstallation, refuseForeign } from "./installation.ts";
import { defaultImage, ownVersion } from "./install.ts";
import { nameOf } from "./manifest-resources.ts";
import { requireRights } from "./rights.ts";
import { namedCluster, readServerFacts } from "./server-facts.ts";
import { leftovers, removeObjects } from "./write-manifests.ts";

/** What holds work, or the record of it. */
const kept = new Set(["Namespace", "CustomResourceDefinition", "PersistentVolumeClaim", "ConfigMap"]);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

export async function uninstall(options: { yes?: boolean; dryRun?: boolean }): Promise<number> {
  const cluster = await namedCluster("uninstall");
  const { client, description } = cluster;
  const facts = await readServerFacts(cluster);
  const found = await readInstallation(client, facts.mutatingVersion);
  refuseForeign(found.definitions);
  const version = ownVersion();
  const objects = manifests({
    image: defaultImage(version),
    version,
    level: facts.mutatingVersion === undefined ? "policies" : "mutating",
    managedBy: "berth",
    users: { passwd: "", group: "" },
    givesIds: facts.givesIds,
    ...(facts.mutatingVersion === undefined ? {} : { mutatingVersion: facts.mutatingVersion }),
  }).filter(({ kind }) => !kept.has(kind));
  await requireRights(client, objects, (kind) => (/Role|Policy|Webhook/.test(kind) ? ["list", "delete"] : ["delete"]), {
    user: facts.user,
    command: "uninstall",
  });
  const stays = await whatStays(client);
  if (options.dryRun !== true && options.yes !== true) await ask(description, stays);
  // The controllers go first: nothing is begun while the rest goes. Policies go last but the rights of people.
  const known = new Set(objects.map(nameOf));
  const others = (await leftovers(client, objects, facts.mutatingVersion)).filter(
    (object) => !known.has(nameOf(object)),
  );
  const isDryRun = options.dryRun === true;
  const removed = await removeObjects(client, [...objects.toReversed(), ...others], { isDryRun, say });
  const done = isDryRun ? `${removed} objects would be removed` : `${removed} objects removed`;
  say(`${removed === 0 ? "nothing was installed" : done}; what stays:`);
  for (const line of stays) say(`  ${line}`);
  return 0;
}

async function ask(description: string, stays: readonly string[]): Promise<void> {
  if (!process.stdin.isTTY)
    throw new CommandError(
      `this takes Berth's controllers, rights and policies off ${description}; say --yes to do it`,
    );
  say(`This takes Berth's controllers, rights and policies off ${description}. What stays:`);
  for (const line of stays) say(`  ${line}`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question(paint("bold", "Go on? [y/N] "));
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError("nothing was changed");
  } finally {
    terminal.close();
  }
}

const many = (count: number, one: string, several = `${one}s`): string => `${count} ${count === 1 ? one : several}`;

/** What an uninstallation leaves, in sentences. */
async function whatStays(client: Client): Promise<string[]> {
  const [jobs, pods, claims] = await Promise.all([
    absent(client.listAll<Workload>(workloads)),
    client.listAll<Pod>(resources.pods, { labelSelector: labels.workload }),
    client.listAll<AnyObject>(
      { group: "", version: "v1", resource: "persistentvolumeclaims", namespaced: true },
      {
        namespace: systemNamespace,
      },
    ),
  ]);
  const lines: string[] = [];
  const living = pods.items.filter(({ status }) => status?.phase !== "Succeeded" && status?.phase !== "Failed");
  lines.push(
    living.length === 0
      ? "no job is running"
      : `${many(living.length, "running pod")} of jobs: they go on to their end or their wall time; nobody accounts them until Berth is installed again`,
  );
  const held = pods.items.filter(({ metadata }) => metadata.finalizers?.includes(accountingFinalizer) === true);
  if (held.length > 0)
    lines.push(
      `${many(held.length, "pod")} held by the finalizer ${accountingFinalizer} until accounted: berth install goes on with ${held.length === 1 ? "it" : "them"}; to let one go without: kubectl patch pod NAME --type=merge -p '{"metadata":{"finalizers":null}}'`,
    );
  if (jobs !== undefined) {
    const waiting = jobs.items.filter(({ status }) => !isFinal(status?.phase)).length;
    lines.push(
      `${many(jobs.items.length, "Workload")} (${waiting} not ended), the queues, accounts and what else an operator set, with their CustomResourceDefinitions`,
    );
  }
  const claimNames = claims.items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith("berth-"));
  lines.push(
    `namespace ${systemNamespace} with the counter of job ids${claimNames.length === 0 ? "" : ` and the claim ${claimNames.join(", ")} that accounting lies on`}`,
    `To remove that too, with all jobs, running ones included: kubectl delete crd -l app.kubernetes.io/part-of=berth; kubectl delete namespace ${systemNamespace}`,
  );
  return lines;
}
