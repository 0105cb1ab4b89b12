/** Asks a real cluster for what {@link healthOf} judges; what who asks may not read stays unknown. */
import { isReason, resources, type AnyObject, type Client, type Lease } from "@berth/client";
import {
  annotations,
  customResourceDefinitions,
  systemNamespace,
  type Node,
  type Queue,
  type Workload,
} from "@berth/kinds";
import { controllersName, manifests } from "@berth/kinds/install";
import { ApiError } from "@berth/machinery";
import { absent } from "./absent.ts";
import type { HealthFacts } from "./health.ts";
import { ownVersion } from "./install.ts";
import { readInstallation } from "./installation.ts";
import { mutatingVersionOf } from "./server-facts.ts";

export async function readHealthFacts(
  client: Client,
  known: { nodes: Node[] | undefined; queues: Queue[]; workloads: Workload[] },
): Promise<HealthFacts> {
  const [version, mutatingVersion] = await Promise.all([
    client.request<{ gitVersion: string }>({ method: "GET", path: "/version" }),
    mutatingVersionOf(client),
  ]);
  const [installation, lease, heartbeats, namespaces, serverTime] = await Promise.all([
    allowed(installationFacts(client, mutatingVersion)),
    allowed(leaseFacts(client)),
    allowed(heartbeatsOf(client)),
    allowed(namespacesOf(client)),
    serverClock(client),
  ]);
  return {
    gitVersion: version.gitVersion,
    ownVersion: ownVersion(),
    localTime: Date.now(),
    ...(serverTime === undefined ? {} : { serverTime }),
    ...(installation === undefined ? {} : { installation }),
    ...(lease === undefined ? {} : { lease }),
    ...(known.nodes === undefined ? {} : { nodes: known.nodes }),
    ...(heartbeats === undefined ? {} : { heartbeats }),
    ...(namespaces === undefined ? {} : { namespaces }),
    queues: known.queues,
    refused: known.workloads.flatMap(({ metadata: { name, namespace }, status }) => {
      const refusal = status?.conditions?.find(({ type, status: holds }) => type === "Admitted" && holds === "False");
      return refusal === undefined ? [] : [{ name: `${namespace}/${name}`, message: refusal.message }];
    }),
    stuck: known.workloads.flatMap(({ metadata: { name, namespace }, status }) => {
      const { phase, reason, message = "" } = status ?? {};
      const isStuck = reason === "InvalidTemplate" || /^node \S+ did not take it/.test(message);
      return phase === "Pending" && isStuck ? [{ name: `${namespace}/${name}`, message }] : [];
    }),
  };
}

/** What who asks may not read, or is not there, is undefined. */
async function allowed<T>(asked: Promise<T>): Promise<T | undefined> {
  return asked.catch((error: unknown) => {
    if (isReason(error, "Forbidden", "NotFound")) return undefined;
    throw error;
  });
}

async function installationFacts(
  client: Client,
  mutatingVersion: string | undefined,
): Promise<NonNullable<HealthFacts["installation"]>> {
  const found = await readInstallation(client, mutatingVersion);
  const { definitions, format, level, policies, isWebhookUnknown, controllers, image, version, users } = found;
  const hasVolcano =
    found.volcano.some(({ name, isOwn }) => name === "jobs.batch.volcano.sh" && !isOwn) || (await runsVolcano(client));
  const wanted = manifests({
    image: "",
    version: "",
    level: level ?? "policies",
    managedBy: "berth",
    users: { passwd: "", group: "" },
    givesIds: false,
    ...(mutatingVersion === undefined ? {} : { mutatingVersion }),
    ...(found.runsVolcano ? { volcano: { left: [] } } : {}),
  });
  const unavailable = controllers?.status?.conditions?.find(
    ({ type, status }) =>
      (type === "Progressing" || type === "Available" || type === "ReplicaFailure") && status !== "True",
  );
  return {
    definitions: definitions.map(({ metadata: { name }, status }) => {
      const conditions = status?.conditions ?? [];
      const wrong = conditions.find(({ type, status: holds }) => type === "NamesAccepted" && holds !== "True");
      return {
        name,
        isEstablished: conditions.some(({ type, status: holds }) => type === "Established" && holds === "True"),
        message: wrong?.message,
      };
    }),
    wantedDefinitions: customResourceDefinitions.length,
    ...(format === undefined ? {} : { format }),
    ...(level === undefined ? {} : { level }),
    policies,
    wantedPolicies: wanted
      .filter(({ kind }) => /^(Validating|Mutating)AdmissionPolicy$/.test(kind))
      .map(({ metadata }) => metadata.name),
    isWebhookUnknown,
    couldMutate: mutatingVersion !== undefined,
    runsVolcano: found.runsVolcano,
    hasVolcano,
    ...(controllers === undefined
      ? {}
      : {
          controllers: {
            replicas: controllers.spec?.replicas ?? 1,
            ready: controllers.status?.readyReplicas ?? 0,
            ...(image === undefined ? {} : { image }),
            ...(version === undefined ? {} : { version }),
            ...messageOf((await lastWords(client)) ?? unavailable?.message),
          },
        }),
    ...(users === undefined || users.settings !== undefined
      ? {}
      : { users: users.passwd.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#")).length }),
  };
}

const messageOf = (message: string | undefined) => (message === undefined ? {} : { message });

interface ControllersPod extends AnyObject {
  status?: {
    containerStatuses?: {
      ready: boolean;
      state?: { waiting?: { reason?: string; message?: string } };
      lastState?: { terminated?: { message?: string; exitCode: number } };
    }[];
  };
}

/** Why a pod of the controllers is not up: what it said when it ended, else what its kubelet says. */
async function lastWords(client: Client): Promise<string | undefined> {
  const labelSelector = `app.kubernetes.io/name=${controllersName}`;
  const { items } = await client.list<ControllersPod>(resources.pods, { namespace: systemNamespace, labelSelector });
  for (const { ready, state, lastState } of items.flatMap(({ status }) => status?.containerStatuses ?? [])) {
    if (ready || state?.waiting === undefined) continue;
    const said = lastState?.terminated?.message?.trim().split("\n").at(-1);
    const words = said === undefined ? undefined : (/"message":"((?:[^"\\]|\\.)*)"/.exec(said)?.[1] ?? said);
    if (words !== undefined) return words;
    if (state.waiting.reason !== "ContainerCreating") return `${state.waiting.reason}: ${state.waiting.message ?? ""}`;
  }
  return undefined;
}

/** Whether Volcano's own controllers or scheduler are there. */
async function runsVolcano(client: Client): Promise<boolean> {
  const deployments = { group: "apps", version: "v1", resource: "deployments", namespaced: true };
  const labelSelector = "app in (volcano-controller, volcano-scheduler)";
  const found = await allowed(client.list(deployments, { labelSelector, limit: 1 }));
  return (found?.items.length ?? 0) > 0;
}

async function leaseFacts(client: Client): Promise<NonNullable<HealthFacts["lease"]>> {
  const lease = await absent(client.get<Lease>(resources.leases, "controllers", { namespace: systemNamespace }));
  const { holderIdentity = "", renewTime, leaseDurationSeconds = 15 } = lease?.spec ?? {};
  return {
    holder: holderIdentity,
    durationSeconds: leaseDurationSeconds,
    ...(renewTime === undefined ? {} : { renewTime }),
  };
}

async function heartbeatsOf(client: Client): Promise<Map<string, string>> {
  const { items } = await client.listAll<Lease>(resources.leases, { namespace: "kube-node-lease" });
  return new Map(
    items.flatMap(({ metadata, spec }) => (spec?.renewTime === undefined ? [] : [[metadata.name, spec.renewTime]])),
  );
}

async function namespacesOf(client: Client): Promise<NonNullable<HealthFacts["namespaces"]>> {
  const { items } = await client.listAll<AnyObject>(resources.namespaces);
  return items.flatMap(({ metadata: { name, annotations: own = {} } }) => {
    const owner = own[annotations.owner];
    return owner === undefined
      ? []
      : [{ name, owner, hasIdentity: own[annotations.uid] !== undefined && own[annotations.gid] !== undefined }];
  });
}

/** When the API server has it, to the second: it says so on what it answers from memory. */
async function serverClock(client: Client): Promise<number | undefined> {
  try {
    const { metadata } = await client.request<AnyObject>({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
    });
    const time = Date.parse(metadata.creationTimestamp ?? "");
    return Number.isNaN(time) ? undefined : time;
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}
