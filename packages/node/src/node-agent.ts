import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Informer, isReason, resources, type Client } from "@berth/client";
import { annotations as named, suspensionCondition, type Pod } from "@berth/kinds";
import { createHash } from "node:crypto";
import { findCgroups } from "./cgroups.ts";
import { Claims } from "./claims.ts";
import { CoreBinding } from "./cores.ts";
import { numaDomains } from "./numa.ts";
import { capabilitiesOf, chooseDriver, type Capabilities, type Driver, type DriverName } from "./driver.ts";
import { startEndpoint, type EndpointOptions } from "./endpoint.ts";
import { EventRecorder } from "./events.ts";
import { usableCores } from "./host.ts";
import { LeaseRun } from "./lease-run.ts";
import { Leftovers } from "./leftovers.ts";
import { MemorySampler } from "./memory-sampler.ts";
import { nodeObject, registerNode, renewLease, type NodeSpec } from "./node-objects.ts";
import type { NodeContext } from "./node-context.ts";
import { PodWorker } from "./pod-worker.ts";
import { References } from "./references.ts";
import { SimulatedPod } from "./simulated.ts";
import { StatusWriter, type Told } from "./status-writer.ts";
import { Steps } from "./steps.ts";
import { Suspensions } from "./suspensions.ts";
import { type Identity, nobody } from "./task.ts";
import { Tasks } from "./tasks.ts";
import { Volumes } from "./volumes.ts";
import { Watchdog } from "./watchdog.ts";

export type Log = (level: "info" | "warn" | "error", message: string, fields?: Record<string, unknown>) => void;

export interface NodeAgentOptions {
  client: Client;
  /** Berth's data folder: what the agent writes lies in `nodes/` below it, and no job sees any of it. */
  dataDirectory: string;
  nodes: NodeSpec[];
  /** Where the API asks for logs and exec; absent: neither is to be had. */
  endpoint?: EndpointOptions;
  /**
   * As root: who pods of a namespace run as that do not say; rejects in words where nobody can be. Default nobody, 65534. Elsewhere
   * it is the agent's own user.
   */
  defaultIdentity?: (namespace: string) => Promise<Identity>;
  log?: Log;
  signal: AbortSignal;
}

export interface NodeAgent {
  /** Port of the HTTPS endpoint on 127.0.0.1. */
  readonly endpointPort: number | undefined;
  readonly driver: DriverName | undefined;
  readonly capabilities: Capabilities | undefined;
  /** Resolves when the agent has ended by its signal. What it started goes on. */
  readonly done: Promise<void>;
}

type Held = PodWorker | SimulatedPod;

/** Registers the nodes, takes the pods bound to them, and takes back what an earlier agent began. Resolves when all that is under way. */
export async function startNodeAgent(options: NodeAgentOptions): Promise<NodeAgent> {
  const { client, signal, log = () => {} } = options;
  const names = new Set(options.nodes.map(({ name }) => name));
  const real = options.nodes.filter(({ driver }) => driver !== "simulated");
  const simulated = new Set(options.nodes.filter(({ driver }) => driver === "simulated").map(({ name }) => name));
  const events = new EventRecorder(client, signal, log);
  const held = new Map<string, Held>();
  const deleting = new Set<string>();
  const local = real.length === 0 ? undefined : createLocal(options, real, log);

  const writer = new StatusWriter({
    client,
    signal,
    onFinal: (told) => void finishDeletion(told),
    onError: (error, pod) => log("warn", `status of pod ${pod.metadata.name}: ${words(error)}`),
  });

  async function finishDeletion(told: Told): Promise<void> {
    const { uid, name, namespace, deletionTimestamp, finalizers } = told.pod.metadata;
    if (deletionTimestamp === undefined || !told.finished || deleting.has(uid!)) return;
    if ((finalizers?.length ?? 0) > 0 && told.pod.metadata.deletionGracePeriodSeconds === 0) return;
    deleting.add(uid!);
    try {
      await client.delete(resources.pods, name, { namespace, gracePeriodSeconds: 0, preconditions: { uid }, signal });
    } catch (error) {
      if (isReason(error, "NotFound", "Conflict") || signal.aborted) return;
      deleting.delete(uid!);
      log("warn", `deletion of pod ${name}: ${words(error)}`);
      setTimeout(() => void finishDeletion(told), 1000).unref();
    }
  }

  function context(nodeName: string): NodeContext {
    const { node, tasks, volumes, claims, suspensions, steps, driver, cgroups, references } = local!;
    return {
      nodeName,
      driver: node.get(nodeName)!.driver ?? driver,
      cores: node.get(nodeName)!.cores,
      tasks,
      volumes,
      claims,
      suspensions,
      steps,
      dataDirectory: options.dataDirectory,
      podsDirectory: join(options.dataDirectory, "nodes", "pods"),
      limitsMemory: cgroups?.limitsMemory === true,
      defaultIdentity: local!.defaultIdentity,
      references: (namespace) => references.texts(namespace),
      event: (pod, type, reason, message) => events.record(pod, nodeName, type, reason, message),
      changed(worker, urgency) {
        writer.changed(worker, urgency);
        if (worker.finished) local!.leftovers?.end(worker.pod.metadata.uid!);
      },
      log,
    };
  }

  function add(pod: Pod): void {
    const uid = pod.metadata.uid!;
    const nodeName = pod.spec.nodeName!;
    if (!names.has(nodeName)) return;
    const known = held.get(uid);
    if (known !== undefined) {
      known.update(pod);
      // Its end was told before it was asked to go.
      if (known.finished) void finishDeletion(known);
      return;
    }
    const phase = pod.status?.phase;
    if (phase === "Succeeded" || phase === "Failed") {
      if (pod.metadata.deletionTimestamp === undefined) return;
      void finishDeletion({ pod, finished: true, facts: { pod, startedAt: 0, init: [], main: [] } });
      return;
    }
    if (simulated.has(nodeName)) {
      const one: SimulatedPod = new SimulatedPod(pod, (urgency) => queueMicrotask(() => writer.changed(one, urgency)));
      held.set(uid, one);
    } else held.set(uid, new PodWorker(context(nodeName), pod));
    if (pod.metadata.deletionTimestamp !== undefined) held.get(uid)!.update(pod);
  }

  function remove(pod: Pod): void {
    const uid = pod.metadata.uid!;
    const one = held.get(uid);
    held.delete(uid);
    deleting.delete(uid);
    writer.forget(uid);
    if (one instanceof PodWorker) {
      one.end("deleted", 0);
      void one.done.then(() => {
        local!.claims.release(uid);
        local!.suspensions.forget(uid);
        local!.tasks.forget(uid);
        local!.steps.forget(pod);
      });
    } else if (one === undefined) local?.tasks.forget(uid);
    else one.close();
  }

  const endpoint =
    options.endpoint === undefined || local === undefined
      ? undefined
      : await startEndpoint({
          ...options.endpoint,
          signal,
          log,
          podsDirectory: join(options.dataDirectory, "nodes", "pods"),
          tasks: local.tasks,
          find: (namespace, name) =>
            [...held.values()].find(({ pod }) => pod.metadata.name === name && pod.metadata.namespace === namespace) as
              | PodWorker
              | undefined,
          finishedPod: (namespace, name) => informer.get(namespace, name),
        });

  const onError = (error: unknown): void => log("warn", words(error));
  const single = options.nodes.length === 1 ? options.nodes[0] : undefined;
  // Nodes and their leases are many small writes: some at once, not all.
  const waiting = [...options.nodes];
  const register = async (): Promise<void> => {
    for (let spec = waiting.shift(); spec !== undefined; spec = waiting.shift()) {
      const driver =
        spec.driver === "simulated" ? "simulated" : (local!.node.get(spec.name)!.driver ?? local!.driver).name;
      const capabilities = spec.driver === "simulated" ? undefined : local!.capabilities;
      const node = await registerNode(client, nodeObject(spec, driver, endpoint?.port, capabilities), signal);
      void renewLease(client, node, driver, signal, onError);
    }
  };
  await Promise.all(Array.from({ length: 16 }, register));

  const informer = new Informer<Pod>({
    client,
    resource: resources.pods,
    fieldSelector: single === undefined ? "spec.nodeName!=" : `spec.nodeName=${single.name}`,
    transform: (pod) => (simulated.has(pod.spec.nodeName!) ? simulatedPart(pod) : withoutManagedFields(pod)),
    handlers: [{ add, update: add, delete: remove }],
    onError,
    signal,
  });
  await informer.synced;
  if (local !== undefined) {
    endOrphans(local, join(options.dataDirectory, "nodes", "pods"), held, informer);
    local.volumes.dropUnused();
    local.steps.keepOnly(informer.values());
  }

  const done = informer.done.then(async () => {
    writer.close();
    await local?.close();
    for (const one of held.values()) if (one instanceof SimulatedPod) one.close();
  });
  return { endpointPort: endpoint?.port, driver: local?.driver.name, capabilities: local?.capabilities, done };
}

/** Everything that real nodes need and simulated ones do not. */
function createLocal(options: NodeAgentOptions, real: NodeSpec[], log: Log) {
  const directory = join(options.dataDirectory, "nodes");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const cores = usableCores();
  // Each data folder has its own groups, so that two clusters on one machine do not meet.
  const name = `berth-${createHash("sha256").update(options.dataDirectory).digest("hex").slice(0, 8)}`;
  const cgroups = findCgroups(name, cores);
  const wanted = real.some(({ driver }) => driver !== "process") ? undefined : "process";
  const { driver, whyNotSandbox } = chooseDriver(wanted);
  const capabilities = capabilitiesOf(driver, whyNotSandbox, cgroups);
  if (driver.name === "process") log("warn", `jobs are NOT sandboxed on this machine: ${whyNotSandbox}`);
  for (const [capability, state] of Object.entries(capabilities)) {
    if (state !== true) log("info", `${capability}: ${state}`);
  }
  const asRoot = process.getuid?.() === 0;
  const watchdog = new Watchdog(directory);
  const tasks = new Tasks({ directory, cgroups, watchdog, log });
  const suspensions = new Suspensions(directory, watchdog);
  const claims = new Claims();
  claims.restore(join(directory, "pods"));
  const references = new References(options.client);
  // Without mount namespaces other users must be able to reach their volumes, and the data folder is closed to them.
  const volumesDirectory = driver.name === "process" && asRoot ? join("/run", name) : join(directory, "volumes");
  const volumes = new Volumes(volumesDirectory, options.dataDirectory, references);
  const steps = new Steps(directory, join(volumesDirectory, "bin"));
  const leftovers = driver.name === "process" ? new Leftovers() : undefined;
  const sampler = cgroups?.limitsMemory !== true ? new MemorySampler(tasks) : undefined;
  const enough = real.reduce((sum, { cpus }) => sum + cpus, 0) <= cores.length;
  let next = 0;
  const node = new Map<string, { cores: CoreBinding; driver?: Driver }>();
  for (const spec of real) {
    // Of cores that several nodes share, none can be one pod's alone.
    const domains = enough ? numaDomains(cores.slice(next, next + spec.cpus), spec.memoryBytes) : undefined;
    if (domains !== undefined) {
      spec.annotations = { ...spec.annotations, [named.numaDomains]: JSON.stringify(domains) };
    }
    const own = enough ? cores.slice(next, (next += spec.cpus)) : cores;
    const other = spec.driver === "process" && driver.name !== "process" ? chooseDriver("process").driver : undefined;
    node.set(spec.name, { cores: new CoreBinding(own), driver: other });
  }
  cgroups?.tidy(new Set());
  return {
    driver,
    capabilities,
    cgroups,
    tasks,
    volumes,
    claims,
    suspensions,
    steps,
    references,
    leftovers,
    node,
    defaultIdentity: (namespace: string): Promise<Identity> => {
      const { getuid, getgid, getgroups } = process;
      if (!asRoot) return Promise.resolve({ uid: getuid!(), gid: getgid!(), groups: getgroups!() });
      return options.defaultIdentity?.(namespace) ?? Promise.resolve(nobody);
    },
    async close() {
      sampler?.close();
      leftovers?.close();
      await tasks.close();
    },
  };
}

/** Runs whose pod was deleted while no agent was there: they are ended, and their folders removed. */
function endOrphans(
  { tasks, claims, suspensions }: { tasks: Tasks; claims: Claims; suspensions: Suspensions },
  directory: string,
  held: Map<string, Held>,
  informer: Informer<Pod>,
): void {
  const wanted = new Set([...informer.values()].map(({ metadata }) => metadata.uid));
  for (const uid of readdirSync(directory)) {
    if (held.has(uid) || wanted.has(uid)) continue;
    const ends = readdirSync(join(directory, uid)).map((container) => {
      const run = `${uid}/${container}`;
      if (tasks.state(run) === undefined) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      const leased = tasks.leased(run);
      const lease = leased && new LeaseRun(tasks, run, { tasks: leased, seconds: 0 }, leased);
      tasks.takeBack(run, () => {
        lease?.close();
        resolve();
      });
      lease?.begun();
      if (lease === undefined) tasks.end(run, 0, "deleted");
      else lease.end("deleted", 0);
      return promise;
    });
    // What stands still cannot end.
    suspensions.of(uid, () => {}).set(false);
    void Promise.all(ends).then(() => {
      claims.release(uid);
      suspensions.forget(uid);
      tasks.forget(uid);
    });
  }
}

function withoutManagedFields(pod: Pod): Pod {
  delete pod.metadata.managedFields;
  return pod;
}

/** Of tens of thousands of simulated pods only what their seeming needs is kept. */
function simulatedPart({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const { name, namespace, uid, resourceVersion, labels, annotations, finalizers } = metadata;
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata;
  const { phase, startTime } = status ?? {};
  const stood = status?.conditions?.find(({ type }) => type === suspensionCondition);
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion,
      labels: annotations?.[named.tasks] === undefined ? undefined : labels,
      annotations,
      finalizers,
      deletionTimestamp,
      deletionGracePeriodSeconds,
    },
    spec: {
      nodeName: spec.nodeName,
      restartPolicy: spec.restartPolicy,
      containers: spec.containers.map((container) => ({ name: container.name, image: container.image })),
    },
    status: { phase, startTime, conditions: stood === undefined ? undefined : [stood] },
  };
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
