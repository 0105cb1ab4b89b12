/** The shared informers: one copy of each collection that any controller needs, kept small. */
import { type AnyObject, type Client, Informer, resources } from "@berth/client";
import type { Account, Membership, Pod, Queue, Site, Workload } from "@berth/kinds";
import { accounts, labels, memberships, queues, sites, workloads } from "@berth/kinds";
import type { Log } from "./context.ts";
import type { Node } from "./scheduler/snapshot.ts";

export type Namespace = AnyObject;

export interface Stores {
  workloads: Informer<Workload>;
  pods: Informer<Pod>;
  nodes: Informer<Node>;
  queues: Informer<Queue>;
  accounts: Informer<Account>;
  memberships: Informer<Membership>;
  sites: Informer<Site>;
  namespaces: Informer<Namespace>;
}

function withoutManagedFields<T extends AnyObject>(object: T): T {
  delete object.metadata.managedFields;
  return object;
}

/** Of Berth's own pods only what their life is told by; of foreign ones also what they ask for. */
function slimPod(pod: Pod): Pod {
  delete pod.metadata.managedFields;
  const { containers, initContainers, nodeName, schedulerName } = pod.spec;
  const isOwn = pod.metadata.labels?.[labels.workload] !== undefined;
  if (isOwn) pod.spec = { nodeName, containers: [] };
  else {
    const slim = (list: typeof containers | undefined): typeof containers =>
      (list ?? []).map(({ name, resources }) => ({ name, resources }));
    pod.spec = {
      ...(schedulerName === "berth" || nodeName === undefined ? pod.spec : { nodeName, schedulerName }),
      containers: slim(containers),
      initContainers: slim(initContainers),
    };
  }
  return pod;
}

/** Starts all informers; await their `synced`. */
export function startStores(client: Client, log: Log, signal: AbortSignal): Stores {
  const onError = (error: unknown): void => {
    if (!signal.aborted) log("warn", `watching failed, and is begun again: ${(error as Error).message}`);
  };
  const common = { client, signal, onError };
  return {
    workloads: new Informer<Workload>({ ...common, resource: workloads, transform: withoutManagedFields }),
    pods: new Informer<Pod>({ ...common, resource: resources.pods, transform: slimPod }),
    nodes: new Informer<Node>({ ...common, resource: resources.nodes, transform: withoutManagedFields }),
    queues: new Informer<Queue>({ ...common, resource: queues, transform: withoutManagedFields }),
    accounts: new Informer<Account>({ ...common, resource: accounts, transform: withoutManagedFields }),
    memberships: new Informer<Membership>({
      ...common,
      resource: memberships,
      transform: withoutManagedFields,
      indexers: { user: (membership) => [membership.spec.user] },
    }),
    sites: new Informer<Site>({ ...common, resource: sites, transform: withoutManagedFields }),
    namespaces: new Informer<Namespace>({ ...common, resource: resources.namespaces, transform: withoutManagedFields }),
  };
}

export async function storesSynced(stores: Stores): Promise<void> {
  await Promise.all(Object.values(stores).map((informer: Informer) => informer.synced));
}
