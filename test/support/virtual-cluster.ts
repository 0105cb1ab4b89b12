/** The whole embedded cluster in this process and in virtual time: the API server, the controllers and simulated nodes, as `berth up` runs them. */
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Accounting } from "@berth/accounting";
import type { Client, AnyObject } from "@berth/client";
import type { NodeSpec } from "@berth/node";
import { VirtualClock } from "./virtual-clock.ts";

export interface VirtualCluster extends AsyncDisposable {
  clock: VirtualClock;
  /** The administrator's. */
  client: Client;
  accounting: Accounting;
  /** Complaints of the parts. */
  logs: string[];
  /** Milliseconds since 1970 at which the cluster was ready; a whole minute. */
  start: number;
}

export interface VirtualClusterOptions {
  nodes: Omit<NodeSpec, "driver">[];
  /** Site, queues, accounts …: made, or laid over what an empty cluster has. */
  objects?: readonly AnyObject[];
  /** Milliseconds since 1970 at which the cluster is to be ready: a whole minute. Default: about now. */
  start?: number;
  /** Takes the journal of decisions. */
  journal?: (line: string) => void;
}

const minuteMs = 60_000;
/** What of the clock's time the start may take. */
const startMs = 5 * minuteMs;
/**
 * Real time without a request after which nothing happens any more, where keys are made and files opened. On a machine with much else
 * to do they take long; if they take longer, timers run too early, and only the start is longer.
 */
const patienceMs = 1000;

/** In memory where that can be had: nothing here is about the disk, which a machine with much to do waits for. */
function temporaryFolder(): string {
  try {
    accessSync("/dev/shm", constants.W_OK);
    return "/dev/shm";
  } catch {
    return tmpdir();
  }
}

export async function startVirtualCluster(options: VirtualClusterOptions): Promise<VirtualCluster> {
  const data = mkdtempSync(join(temporaryFolder(), "berth-virtual-"));
  const start = options.start ?? Math.ceil(Date.now() / minuteMs) * minuteMs + startMs;
  const clock = new VirtualClock(start - startMs);
  const ending = new AbortController();
  const logs: string[] = [];
  const log = (level: string, message: string, fields?: object): void => {
    if (level !== "debug" && level !== "info") logs.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  };
  const [{ runApiserver }, { holders }, { partClient }, { openAccounting }, { runControllers }, { startNodeAgent }] =
    await Promise.all([
      import("../../packages/daemon/src/apiserver-role.ts"),
      import("../../packages/daemon/src/access.ts"),
      import("../../packages/daemon/src/part-connection.ts"),
      import("@berth/accounting"),
      import("@berth/controllers"),
      import("@berth/node"),
    ]);
  const { createClient, loadKubeconfig } = await import("@berth/client");
  const settings = { data, version: "test", port: 0, nodes: [] };
  let isReady = false;
  let failure: unknown;

  const api = await drive(clock, runApiserver(settings, log, ending.signal));
  const admin = loadKubeconfig({ path: join(data, "admin.kubeconfig") }).connection;
  const client = createClient({
    server: "http://localhost",
    socketPath: join(data, "api", "socket"),
    token: admin.token,
  });
  for (const object of options.objects ?? []) await drive(clock, putObject(client, object));
  const accounting = await openAccounting(join(data, "accounting.db"));
  // Nodes first: controllers list them in the order of their names, which decides who gets which.
  const node = partClient(data, holders.node);
  const agent = await drive(
    clock,
    startNodeAgent({
      client: node,
      dataDirectory: data,
      nodes: options.nodes.map((spec) => ({ ...spec, driver: "simulated" as const })),
      endpoint: undefined,
      log,
      signal: ending.signal,
    }),
  );
  const controllers = partClient(data, holders.controllers);
  const controlling = runControllers({
    client: controllers,
    accounting,
    users: {
      byName: async (name) => ({ name, uid: 1001, gid: 1001, groups: [1001], home: `/home/${name}`, shell: "/bin/sh" }),
    },
    now: Date.now,
    log,
    isAlone: true,
    journal: options.journal,
    onReady: () => (isReady = true),
    signal: ending.signal,
  }).catch((error: unknown) => (failure = error));
  await clock.runUntil(() => isReady || failure !== undefined, patienceMs);
  if (failure !== undefined) throw failure;
  if (clock.now() > start)
    throw new Error(`the cluster took ${(clock.now() - start + startMs) / 1000} s of its time to start`);
  // Exactly then, however long it took: what is played comes out the same on every machine.
  let reached = false;
  clock.at(start, () => (reached = true));
  await clock.runUntil(() => reached);
  return {
    clock,
    client,
    accounting,
    logs,
    start,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await drive(clock, Promise.all([controlling, agent.done]));
      for (const one of [client, controllers, node]) one.close();
      clock[Symbol.dispose]();
      await api.stop();
      await accounting.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Lets time pass until a promise is settled. */
export async function drive<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = promise.finally(() => (isSettled = true));
  settled.catch(() => {});
  await clock.runUntil(() => isSettled, patienceMs);
  return await settled;
}

/** Makes an object of one of Berth's cluster-scoped kinds, or gives the one that is there this spec. */
async function putObject(client: Client, object: AnyObject & { spec?: unknown }): Promise<void> {
  const { isReason } = await import("@berth/client");
  const { kindDefinitions, group, version } = await import("@berth/kinds");
  const definition = kindDefinitions.find(({ kind }) => kind === object.kind);
  if (definition === undefined) throw new Error(`${String(object.kind)} is none of Berth's kinds`);
  const resource = { group, version, resource: definition.plural, namespaced: definition.namespaced };
  try {
    await client.create(resource, object);
  } catch (error) {
    if (!isReason(error, "AlreadyExists")) throw error;
    await client.patch(resource, object.metadata.name, { spec: object.spec });
  }
}
