/** The process `node`: all nodes of this machine, real and simulated. */
import { startNodeAgent, type Capabilities, type Identity, type NodeSpec } from "@berth/node";
import { type AnyObject, type Client, resources } from "@berth/client";
import { currentUser, LocalUsers } from "@berth/identity";
import { annotations } from "@berth/kinds";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { holders } from "./access.ts";
import type { RunningRole } from "./child.ts";
import type { Log } from "./json-log.ts";
import type { RoleSettings } from "./messages.ts";
import { partClient, tokenOf } from "./part-connection.ts";

export async function runNode(settings: RoleSettings, log: Log, signal: AbortSignal): Promise<RunningRole> {
  const { data, driver } = settings;
  const client = partClient(data, holders.node);
  const nodes = settings.nodes.map(({ simulated, ...described }): NodeSpec => ({
    ...described,
    // The sandbox is what is taken where it works; asking for it is asking that it work.
    ...(simulated ? { driver: "simulated" } : driver === "process" ? { driver } : {}),
  }));
  const [cert, key] = await Promise.all(
    ["apiserver.crt", "apiserver.key"].map((name) => readFile(join(data, "pki", name))),
  );
  const agent = await startNodeAgent({
    client,
    dataDirectory: data,
    nodes,
    endpoint: { cert: cert!, key: key!, token: tokenOf(data, holders.apiserver) },
    defaultIdentity: ownerIdentity(client),
    log,
    signal,
  });
  if (driver === "sandbox" && agent.driver === "process")
    throw new Error(
      `--driver sandbox: jobs cannot be sandboxed on this machine (${agent.capabilities?.ownNamespaces})`,
    );
  return {
    notes: notesOf(agent.capabilities, nodes.filter((node) => node.driver === "simulated").length),
    stop: async () => {
      await agent.done;
      client.close();
    },
  };
}

/** Pods that say no user are work of their namespace's owner, as Workloads are; without one, of whoever started the cluster. */
function ownerIdentity(client: Client): (namespace: string) => Promise<Identity> {
  const users = new LocalUsers();
  const self = currentUser();
  return async (namespace) => {
    const { metadata } = await client.get<AnyObject>(resources.namespaces, namespace);
    const owner = metadata.annotations?.[annotations.owner] ?? self.name;
    const user = (await users.byName(owner)) ?? (owner === self.name ? self : undefined);
    if (user !== undefined) return { uid: user.uid, gid: user.gid, groups: user.groups };
    throw new Error(`namespace ${namespace} belongs to ${owner}, and this machine knows no user of that name`);
  };
}

/** What whoever starts the cluster should know of its nodes, in sentences. */
function notesOf(capabilities: Capabilities | undefined, simulated: number): string[] {
  const notes: string[] = [];
  const say = (state: true | string | undefined, sentence: (why: string) => string): void => {
    if (typeof state === "string") notes.push(sentence(state));
  };
  say(capabilities?.ownNamespaces, (why) => `jobs are NOT sandboxed on this machine: ${why}`);
  say(capabilities?.memoryLimit, (why) => `memory limits of jobs are not enforced: ${why}`);
  say(capabilities?.cpuBinding, (why) => `jobs are not bound to their cores: ${why}`);
  if (simulated > 0)
    notes.push(
      `${simulated === 1 ? "1 node is" : `${simulated} nodes are`} simulated: what is placed there only seems to run`,
    );
  return notes;
}
