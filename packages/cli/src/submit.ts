/** From an sbatch command line to a Workload that has an id, or to the words of its refusal. */
import { isReason, resources, type AnyObject } from "@berth/client";
import { namespaceOf } from "@berth/identity";
import { annotations, sites, siteName, workloads, type Site, type Workload } from "@berth/kinds";
import { quantityToMilli } from "@berth/machinery";
import {
  cannotOpen,
  checkScript,
  readSbatchCommandLine,
  resolveSbatch,
  submissionFailed,
  toSubmission,
  wrapScript,
  type ResolvedSbatch,
  type SbatchCommandLine,
  type SubmissionObjects,
} from "@berth/slurm";
import { randomBytes } from "node:crypto";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { renewClaimedIdentity } from "./claimed-identity.ts";
import type { Cluster } from "./connect.ts";
import { refusalOf } from "./refusals.ts";
import { storeTrouble } from "./store-trouble.ts";
import { watchWorkload } from "./watch-workload.ts";

const slowAdmissionMilliseconds = 5000;

/** What is asked for, before any cluster is spoken to. */
export interface Request {
  commandLine: SbatchCommandLine;
  resolved: ResolvedSbatch;
  script: Buffer;
  frontend: string;
}

/** Reads the command line and the script; throws SlurmError in Slurm's words. */
export function readRequest(words: readonly string[], frontend: string): Request {
  const commandLine = readSbatchCommandLine(words);
  const script = readScript(commandLine);
  checkScript(script);
  const resolved = resolveSbatch(commandLine, {
    environment: process.env,
    nowSeconds: Math.floor(Date.now() / 1000),
    ...(commandLine.wrap === undefined && {
      script: { name: commandLine.script ?? "stdin", text: script.toString("utf8") },
    }),
  });
  return { commandLine, resolved, script, frontend };
}

function readScript({ script, wrap }: SbatchCommandLine): Buffer {
  if (wrap !== undefined) return Buffer.from(wrapScript(wrap));
  if (script === undefined) return readFileSync(0);
  const path = findScript(script);
  try {
    // A folder or a device is no script, and reads as an empty one.
    return statSync(path).isFile() ? readFileSync(path) : Buffer.alloc(0);
  } catch {
    throw cannotOpen(script);
  }
}

/** A bare name that is not here may be one on the search path, as for a command. */
function findScript(name: string): string {
  if (name.includes("/") || statSync(name, { throwIfNoEntry: false }) !== undefined) return name;
  for (const folder of (process.env["PATH"] ?? "").split(":")) {
    const candidate = join(folder || ".", name);
    try {
      accessSync(candidate, constants.R_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      continue;
    }
  }
  return name;
}

/** The objects that stand for the request on this cluster. */
export async function objectsOf(cluster: Cluster, request: Request): Promise<SubmissionObjects> {
  const { commandLine, resolved } = request;
  const { options } = resolved;
  const user = userInfo().username;
  // Both are asked only where an answer matters.
  const [clusterName, largestNodeCpus] = await Promise.all([
    options.cluster === undefined ? undefined : clusterNameOf(cluster),
    (options.tasks ?? 1) > 1 && options.tasksPerNode === undefined ? largestNode(cluster) : undefined,
  ]);
  return toSubmission(resolved, {
    user,
    namespace: namespaceOf(user),
    workingDirectory: process.cwd(),
    host: hostname(),
    environment: process.env,
    nowSeconds: Math.floor(Date.now() / 1000),
    umask: process.umask(),
    script: request.script,
    ...(commandLine.script !== undefined && { scriptPath: commandLine.script }),
    arguments: commandLine.scriptArguments,
    nameSuffix: randomBytes(4).toString("hex"),
    frontend: request.frontend,
    operator: cluster.namespace === undefined,
    ...(clusterName !== undefined && { clusterName }),
    ...(largestNodeCpus !== undefined && { largestNodeCpus }),
  });
}

async function clusterNameOf({ client }: Cluster): Promise<string> {
  const site = await client.get<Site>(sites, siteName).catch(() => undefined);
  return site?.spec.clusterName ?? "berth";
}

async function largestNode({ client }: Cluster): Promise<number | undefined> {
  const { items } = await client.listAll<AnyObject>(resources.nodes);
  const cpus = items.map(({ status }) => {
    const allocatable = (status as { allocatable?: Record<string, string> } | undefined)?.allocatable;
    return Math.floor(quantityToMilli(allocatable?.["cpu"] ?? 0) / 1000);
  });
  return cpus.length === 0 ? undefined : Math.max(...cpus);
}

/**
 * Creates the objects, and waits until the cluster has given the job an id. Throws SlurmError when it refuses; nothing is left
 * behind then.
 */
export async function submit(cluster: Cluster, objects: SubmissionObjects): Promise<Workload> {
  const { client } = cluster;
  const { workload } = objects;
  const { namespace, name } = workload.metadata;
  await createSecret(cluster, objects);
  const removeAll = async (): Promise<void> => {
    await client.delete(workloads, name, { namespace }).catch(() => undefined);
    await client.delete(resources.secrets, name, { namespace }).catch(() => undefined);
  };
  try {
    await client.create<Workload>(workloads, workload).catch(async (error: unknown) => {
      // It may be that a token says more of its user than was known here.
      if (!isReason(error, "Forbidden") || !(await renewClaimedIdentity(client, namespace ?? "").catch(() => false)))
        throw error;
      await client.create<Workload>(workloads, workload);
    });
  } catch (error) {
    // The name is ours alone: one that exists was made by this request, whose answer was lost.
    if (!isReason(error, "AlreadyExists")) {
      await client.delete(resources.secrets, name, { namespace }).catch(() => undefined);
      if (isReason(error, "Invalid", "Forbidden", "BadRequest", "RequestEntityTooLarge"))
        throw submissionFailed(error.message);
      throw error;
    }
  }
  const slow = setTimeout(() => void tellOfWaiting(cluster, objects), slowAdmissionMilliseconds);
  const admitted = await watchWorkload(
    cluster,
    { namespace, name },
    ({ status }) =>
      status?.jobId !== undefined ||
      status?.conditions?.some((condition) => condition.type === "Admitted" && condition.status === "False") === true,
  ).finally(() => clearTimeout(slow));
  if (admitted === undefined) throw submissionFailed("the job was removed before it was admitted");
  const refused = admitted.status?.conditions?.find(({ type, status }) => type === "Admitted" && status === "False");
  if (refused !== undefined && admitted.status?.jobId === undefined) {
    await removeAll();
    throw refusalOf(refused, admitted);
  }
  return admitted;
}

/** Whoever waits for an id is told why there is none yet. */
async function tellOfWaiting(cluster: Cluster, { workload }: SubmissionObjects): Promise<void> {
  const trouble = await storeTrouble(cluster).catch(() => undefined);
  const why = trouble ?? "nobody has answered yet (berth status tells whether the controllers run)";
  process.stderr.write(
    `the job is stored as workload ${workload.metadata.name}, but has no id yet: ${why}; waiting for it\n`,
  );
}

/** Creates the Secret; one that exists was made by this request, whose answer was lost. */
async function createSecret(cluster: Cluster, { secret, workload }: SubmissionObjects): Promise<void> {
  const create = () => cluster.client.create<AnyObject>(resources.secrets, secret as unknown as AnyObject);
  await withNamespace(cluster, workload, create).catch((error: unknown) => {
    if (!isReason(error, "AlreadyExists")) throw error;
  });
}

/** Creates an object in a user's namespace, and before it the namespace where this is the user's first. */
export async function withNamespace<T>(
  { client }: Cluster,
  { metadata, spec }: Workload,
  create: () => Promise<T>,
): Promise<T> {
  try {
    return await create();
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    const object = {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: metadata.namespace ?? "", annotations: { [annotations.owner]: spec.user ?? "" } },
    };
    await client.create<AnyObject>(resources.namespaces, object).catch((failure: unknown) => {
      if (!isReason(failure, "AlreadyExists")) throw failure;
    });
    return await create();
  }
}
