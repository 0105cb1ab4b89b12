/** `sacctmgr`'s everyday part: accounts, who is in them, and qualities of service. */
import { isReason } from "@berth/client";
import type { ResourceKey } from "@berth/machinery";
import {
  type Account,
  accounts,
  apiVersion,
  type Membership,
  memberships,
  qualitiesOfService,
  type QualityOfService,
} from "@berth/kinds";
import {
  formatSacctmgr,
  readSacctmgrCommand,
  type SacctmgrCommand,
  sacctmgrChanges,
  type SacctmgrRow,
  SlurmError,
} from "@berth/slurm";
import { connect, type Cluster } from "../connect.ts";
import { withCluster } from "./contact.ts";
import { showText } from "./help.ts";

const examples =
  "Examples:\n  sacctmgr show assoc format=account,user,share\n  sacctmgr add account bio fairshare=3\n  sacctmgr add user ada account=bio\n  sacctmgr modify user where name=ada account=bio set maxjobs=10\n  sacctmgr add qos urgent priority=1000\n";
const usage = "[-nPpiQ] show|add|modify|delete account|user|qos|association [NAME] [WHERE] [set NAME=VALUE…]";

interface Named {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: object;
}

export async function sacctmgr(words: string[]): Promise<number> {
  const shown = {
    "--help": "help",
    "-h": "help",
    "--usage": "usage",
    "--version": "version",
    "-V": "version",
  } as const;
  const [first = ""] = words;
  if (Object.hasOwn(shown, first)) return showText("sacctmgr", shown[first as keyof typeof shown], [], examples, usage);
  const command = readSacctmgrCommand(words);
  // What cannot be said is refused before anything is asked.
  formatSacctmgr([], command);
  sacctmgrChanges(command.entity, command.set);
  return await withCluster("sacctmgr", async () => {
    const cluster = await connect();
    try {
      if (command.verb === "show") return await show(cluster, command);
      return await change(cluster, command);
    } catch (error) {
      if (isReason(error, "Forbidden"))
        throw new SlurmError(1, "error: Access/permission denied", `: ${error.message}`);
      if (isReason(error, "Invalid", "BadRequest")) throw new SlurmError(1, ` Bad value: ${error.message}`);
      throw error;
    }
  });
}

const has = (wanted: readonly string[] | undefined, value: string | undefined): boolean =>
  wanted === undefined || (value !== undefined && wanted.includes(value));

async function show(cluster: Cluster, command: SacctmgrCommand): Promise<number> {
  process.stdout.write(formatSacctmgr(await rowsOf(cluster, command), command));
  return 0;
}

async function rowsOf({ client }: Cluster, { entity, where }: SacctmgrCommand): Promise<SacctmgrRow[]> {
  const names = where["names"];
  const byName = (a: Named, b: Named): number => (a.metadata.name < b.metadata.name ? -1 : 1);
  switch (entity) {
    case "cluster":
      return [{ cluster: "berth" }];
    case "qos": {
      const { items } = await client.listAll<QualityOfService>(qualitiesOfService);
      return items
        .toSorted(byName)
        .filter(({ metadata }) => has(names, metadata.name))
        .map(qosRow);
    }
    case "account": {
      const { items } = await client.listAll<Account>(accounts);
      return items
        .toSorted(byName)
        .filter(({ metadata }) => has(names ?? where["account"], metadata.name))
        .map(accountRow);
    }
    case "user": {
      const { items } = await client.listAll<Membership>(memberships);
      const users = Map.groupBy(items, ({ spec }) => spec.user);
      return [...users]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .filter(
          ([user, own]) =>
            has(names ?? where["user"], user) && own.some(({ spec }) => has(where["account"], spec.account)),
        )
        .map(([user, own]) => ({
          user,
          defaultAccount: (own.find(({ spec }) => spec.default === true) ?? own[0]!).spec.account,
          operator: own.some(({ spec }) => spec.operator === true),
        }));
    }
    case "association": {
      const [all, members] = await Promise.all([
        client.listAll<Account>(accounts),
        client.listAll<Membership>(memberships),
      ]);
      return all.items.toSorted(byName).flatMap((account) => {
        const isMeant = has(where["account"], account.metadata.name);
        const inside = members.items
          .filter(({ spec }) => isMeant && spec.account === account.metadata.name && has(where["user"], spec.user))
          .map(({ spec }): SacctmgrRow => Object.assign({ cluster: "berth" }, spec));
        if (isMeant && where["user"] === undefined) inside.unshift(accountRow(account));
        return inside;
      });
    }
  }
}

function qosRow({ metadata, spec }: QualityOfService): SacctmgrRow {
  const { mode, graceSeconds } = spec.preemption ?? {};
  return {
    ...spec,
    name: metadata.name,
    ...(mode === undefined ? {} : { preemptMode: mode }),
    ...(graceSeconds === undefined ? {} : { graceSeconds }),
  };
}

function accountRow({ metadata, spec }: Account): SacctmgrRow {
  return {
    ...spec,
    account: metadata.name,
    cluster: "berth",
    ...(spec.parent === undefined ? {} : { parent: spec.parent }),
  };
}

/** What of the command's objects there is, or is to be: its resource, its name and what it is made of. */
interface Target {
  resource: ResourceKey;
  kind: string;
  name: string;
  /** Of what is made anew. */
  base: object;
  /** As it is told to who asked. */
  label: string;
}

async function targetsOf({ client }: Cluster, { entity, where, verb }: SacctmgrCommand): Promise<Target[]> {
  const names = where["names"] ?? where[entity] ?? [];
  if (names.length === 0) throw new SlurmError(1, ` Need name of ${entity} to ${verb}`);
  if (entity === "account")
    return names.map((name) => ({ resource: accounts, kind: "Account", name, base: {}, label: name }));
  if (entity === "qos")
    return names.map((name) => ({
      resource: qualitiesOfService,
      kind: "QualityOfService",
      name,
      base: {},
      label: name,
    }));
  if (entity !== "user")
    throw new SlurmError(1, `error: sacctmgr ${verb} ${entity} is not honoured by Berth; name the account or the user`);
  const { items } = await client.listAll<Membership>(memberships);
  const inside = where["account"];
  if (verb === "add" && inside === undefined) throw new SlurmError(1, " Need name of account to add user to");
  if (verb === "add")
    return names.flatMap((user) =>
      inside!.map((account) => ({
        resource: memberships,
        kind: "Membership",
        name:
          items.find(({ spec }) => spec.user === user && spec.account === account)?.metadata.name ??
          `${account}.${user.toLowerCase().replaceAll(/[^a-z0-9.-]/g, "-")}`,
        base: { user, account },
        label: `${user} in ${account}`,
      })),
    );
  return items
    .filter(({ spec }) => names.includes(spec.user) && has(inside, spec.account))
    .map(({ metadata, spec }) => ({
      resource: memberships,
      kind: "Membership",
      name: metadata.name,
      base: {},
      label: `${spec.user} in ${spec.account}`,
    }));
}

async function change(cluster: Cluster, command: SacctmgrCommand): Promise<number> {
  const { client } = cluster;
  const { verb, entity, set } = command;
  const spec = sacctmgrChanges(entity, set);
  const targets = await targetsOf(cluster, command);
  const done: string[] = [];
  for (const { resource, kind, name, base, label } of targets) {
    try {
      if (verb === "add")
        await client.create<Named>(resource, { apiVersion, kind, metadata: { name }, spec: { ...base, ...spec } });
      else if (verb === "delete") await client.delete(resource, name);
      else await client.patch<Named>(resource, name, { spec });
      done.push(label);
    } catch (error) {
      if (!isReason(error, "AlreadyExists", "NotFound")) throw error;
    }
  }
  if (done.length === 0) {
    process.stdout.write(
      verb === "add"
        ? ` This ${entity} ${targets.map(({ label }) => label).join(", ")} already exists.  Not added.\n`
        : " Nothing " + (verb === "delete" ? "deleted" : "modified") + "\n",
    );
    return 1;
  }
  if (!command.quiet) {
    const title = { add: "Adding", modify: "Modified", delete: "Deleting" }[verb as "add" | "modify" | "delete"];
    process.stdout.write(` ${title} ${entity}(s)\n${done.map((label) => `  ${label}\n`).join("")}`);
  }
  return 0;
}
