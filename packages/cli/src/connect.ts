/** Which cluster a command speaks to, and as whom. A kubeconfig that nobody named is never used. */
import { createClient, loadKubeconfig, type Client, type ConnectionOptions } from "@berth/client";
import {
  asProcessIdentity,
  currentClusterFile,
  isAlive,
  machineDataFolder,
  publicFolderOf,
  type PublicEndpoint,
} from "@berth/identity";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import { CommandError, NoClusterError } from "./command-error.ts";
import { tokenByProof } from "./login.ts";
import { namespaceOf } from "@berth/identity";

export interface Cluster {
  client: Client;
  /** Data folder of an embedded cluster; absent for others. */
  data?: string;
  /** The only namespace that this user may see; absent: all. */
  namespace?: string;
  /** How the cluster was found, for people: `the data folder /home/ada/.local/share/berth`. */
  description: string;
}

/** Real Slurm's commands give up after about this long. */
const retryConnectionSeconds = 9;

/**
 * The cluster that `BERTH_CONTEXT` names (`--context` sets it): a data folder, a kubeconfig file or the name of a context in
 * the user's kubeconfig; else the user's running embedded cluster, else the machine's, which root started. Throws a
 * {@link NoClusterError} in words.
 */
export async function connect(): Promise<Cluster> {
  const named = process.env["BERTH_CONTEXT"];
  if (named !== undefined && named !== "") return connectNamed(named);
  const current = currentData();
  if (current !== undefined) return connectData(current);
  if (isFile(join(publicFolderOf(machineDataFolder), "endpoint.json"))) return connectData(machineDataFolder);
  throw new NoClusterError(
    "no cluster is running; start one on this machine with: berth up --detach (or name one with --context)",
  );
}

async function connectNamed(named: string): Promise<Cluster> {
  const path = resolve(named);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return connectData(path);
  if (found === undefined && named.includes("/"))
    throw new NoClusterError(`--context ${named}: there is no such data folder or kubeconfig`);
  const context = loadKubeconfig(found === undefined ? { context: named } : { path });
  return {
    client: clientOf(context.connection),
    description: found === undefined ? `the context ${named} of your kubeconfig` : `the kubeconfig ${path}`,
  };
}

/** Connects to the embedded cluster with this data folder: by its own kubeconfig, or by proving who one is to root's. */
export async function connectData(data: string): Promise<Cluster> {
  const description = `the data folder ${data}`;
  if (isReadable(data)) {
    const kubeconfig = join(data, "admin.kubeconfig");
    if (!isFile(kubeconfig) || !isRunning(data))
      throw new NoClusterError(`no cluster runs on ${description}; start it with: berth up --detach --data ${data}`);
    return { client: clientOf(loadKubeconfig({ path: kubeconfig }).connection), data, description };
  }
  const endpoint = readJson(join(publicFolderOf(data), "endpoint.json")) as PublicEndpoint | undefined;
  if (endpoint === undefined)
    throw new NoClusterError(`no cluster of root runs on ${description}, and you may not read it`);
  const connection = { server: endpoint.url, ca: endpoint.certificateAuthority };
  const token = await tokenByProof(endpoint, (token) => clientOf({ ...connection, token }));
  const namespace = namespaceOf(userInfo().username);
  return { client: clientOf({ ...connection, token }), data, namespace, description };
}

/** The data folder of this user's running cluster. */
function currentData(): string | undefined {
  const current = readJson(currentClusterFile()) as { data?: unknown } | undefined;
  return typeof current?.data === "string" && isRunning(current.data) ? current.data : undefined;
}

/** Whether a supervisor holds the lock of this data folder. */
function isRunning(data: string): boolean {
  const holder = asProcessIdentity(readJson(join(data, "supervisor.json")));
  return holder !== undefined && isAlive(holder);
}

export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** The data folder that a command about one is for: named by `--data`, by the context, or the running one. */
export function dataFolderOf(option: string | undefined, fallback?: () => string): string {
  if (option !== undefined) return resolve(option);
  const named = process.env["BERTH_CONTEXT"];
  if (named !== undefined && statSync(resolve(named), { throwIfNoEntry: false })?.isDirectory() === true)
    return resolve(named);
  const found = currentData() ?? fallback?.();
  if (found === undefined) throw new CommandError("no cluster of yours is running; name its data folder with --data");
  return found;
}

function clientOf(connection: ConnectionOptions): Client {
  return createClient({ ...connection, retryConnectionSeconds });
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isReadable(folder: string): boolean {
  try {
    accessSync(folder, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
