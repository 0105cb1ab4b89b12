/** What of an installation is as it should be, and what is not, in sentences. Pure. */
import {
  annotations,
  isReady,
  matchesClass,
  nodeClassOf,
  queueSelectorOf,
  selectorOf,
  type Node,
  type Queue,
} from "@berth/kinds";
import { installationFormat, type PolicyLevel } from "@berth/kinds/install";
import { levelSentences } from "./levels.ts";

export interface HealthFacts {
  gitVersion: string;
  /** Of this program. */
  ownVersion: string;
  /** Milliseconds since 1970, as the API server and as this machine have it. */
  serverTime?: number;
  localTime: number;
  /** Undefined where who asks may not read it. */
  installation?: {
    definitions: { name: string; isEstablished: boolean; message?: string | undefined }[];
    /** How many there should be. */
    wantedDefinitions: number;
    format?: number;
    level?: PolicyLevel;
    /** Names of policies, there and wanted. */
    policies: string[];
    wantedPolicies: string[];
    /** Nobody who serves the webhook has said how to know them. */
    isWebhookUnknown?: boolean;
    /** Whether the server could fill in what is missing. */
    couldMutate: boolean;
    controllers?: { image?: string; version?: string; replicas: number; ready: number; message?: string };
    /** Of Volcano: whether the controllers are to run its Jobs, and whether it runs them itself. */
    runsVolcano?: boolean;
    hasVolcano?: boolean;
    /** Lines of passwd(5) that the controllers know. */
    users?: number;
  };
  lease?: { holder: string; renewTime?: string; durationSeconds: number };
  nodes?: Node[];
  /** By name of the node: when it last renewed its Lease. */
  heartbeats?: Map<string, string>;
  queues: Queue[];
  /** Namespaces with an owner, and what they say of their identity. */
  namespaces?: { name: string; owner: string; hasIdentity: boolean }[];
  /** Jobs that were refused: their names and why. */
  refused: { name: string; message: string }[];
  /** Jobs that wait because the API or a node would not take their pods, though there is room. */
  stuck?: { name: string; message: string }[];
}

export interface Health {
  /** What is so. */
  facts: string[];
  /** What is wrong, each with what would be right. */
  problems: string[];
  /** What is odd, and may be meant. */
  notes: string[];
}

/** Clocks that are further apart than this make wall times and heartbeats mean different things. */
const clockToleranceMs = 15_000;

export function healthOf(facts: HealthFacts): Health {
  const health: Health = { facts: [], problems: [], notes: [] };
  installed(facts, health);
  led(facts, health);
  clocks(facts, health);
  selected(facts, health);
  for (const { name, owner } of (facts.namespaces ?? []).filter(({ hasIdentity }) => !hasIdentity))
    health.notes.push(
      `namespace ${name} belongs to ${owner}, but does not say as whom its pods run, so that only Berth may make pods there: kubectl annotate namespace ${name} ${annotations.uid}=UID ${annotations.gid}=GID`,
    );
  for (const { name, message } of facts.refused.slice(0, 5)) health.notes.push(`job ${name} was refused: ${message}`);
  const stuck = facts.stuck ?? [];
  for (const { name, message } of stuck.slice(0, 5))
    health.notes.push(`job ${name} waits, and not for room: ${message}`);
  if (stuck.length > 5) health.notes.push(`… and ${stuck.length - 5} more jobs wait, and not for room`);
  if (facts.refused.length > 5) health.notes.push(`… and ${facts.refused.length - 5} more jobs were refused`);
  return health;
}

const many = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`;

function installed({ installation, ownVersion, gitVersion }: HealthFacts, { facts, problems, notes }: Health): void {
  if (installation === undefined) {
    facts.push(`Kubernetes ${gitVersion}; how Berth is installed may be read by an operator only`);
    return;
  }
  const { definitions, wantedDefinitions, format, level, controllers, couldMutate } = installation;
  if (definitions.length === 0) {
    problems.push("Berth is not installed here: berth install");
    return;
  }
  const names = definitions.filter(({ isEstablished }) => isEstablished).length;
  facts.push(`Kubernetes ${gitVersion}; ${names} of ${wantedDefinitions} kinds served, format ${format}`);
  if (definitions.length < wantedDefinitions) problems.push("definitions of kinds are missing: berth upgrade");
  for (const { name, message } of definitions.filter(({ isEstablished }) => !isEstablished))
    problems.push(
      `the server does not serve ${name}: ${message ?? "it is not established"}; kubectl describe crd ${name}`,
    );
  if (format !== undefined && format < installationFormat)
    problems.push(`the definitions have format ${format}, this is ${installationFormat}: berth upgrade`);
  if (format !== undefined && format > installationFormat)
    problems.push(`the definitions have format ${format}, this Berth knows ${installationFormat}: use a newer one`);
  if (level === undefined)
    problems.push(
      "no policy is in force: nothing keeps users from being somebody else; berth upgrade puts the policies back",
    );
  else {
    facts.push(levelSentences[level]);
    if (installation.isWebhookUnknown === true)
      problems.push(
        "the webhook has no caBundle, so that the API server does not ask it: the controllers set it when they begin; kubectl get mutatingwebhookconfiguration berth-fill",
      );
    const absent = installation.wantedPolicies.filter((name) => !installation.policies.includes(name));
    if (absent.length > 0) problems.push(`policies are missing: ${absent.join(", ")}; berth upgrade puts them back`);
    if (level === "policies" && couldMutate)
      notes.push("this server has MutatingAdmissionPolicy: berth upgrade --level mutating fills in what is missing");
  }
  if (installation.hasVolcano === true) {
    facts.push("Volcano is here: its Jobs, Queues and the pods of its scheduler are left alone");
    if (installation.runsVolcano === true)
      notes.push("the controllers were installed with --volcano, and do nothing of it while Volcano is here");
  } else if (installation.runsVolcano === true) facts.push("Jobs and Queues of Volcano are run by Berth");
  if (controllers === undefined) {
    notes.push("no Deployment of the controllers: they run elsewhere, or berth upgrade puts it back");
  } else {
    const { image, version, replicas, ready, message } = controllers;
    facts.push(`controllers: ${ready} of ${replicas} ready, image ${image ?? "unknown"}`);
    if (replicas === 0)
      problems.push(
        "the Deployment of the controllers is scaled to 0: kubectl -n berth-system scale deployment berth-controllers --replicas=1",
      );
    else if (ready === 0)
      problems.push(
        `the controllers are not ready${message === undefined ? "" : `: ${message}`}; kubectl -n berth-system describe pods -l app.kubernetes.io/name=berth-controllers`,
      );
    if (version !== undefined && version !== ownVersion)
      notes.push(`the controllers are Berth ${version}, this is ${ownVersion}: berth upgrade`);
    if (installation.users === 0)
      problems.push(
        "no user is known, so that every job is refused: berth upgrade --passwd FILE --group FILE (getent passwd, getent group)",
      );
  }
}

function led({ lease, serverTime, localTime }: HealthFacts, { facts, problems }: Health): void {
  if (lease === undefined) return;
  const { holder, renewTime, durationSeconds } = lease;
  if (holder === "") {
    problems.push("nobody leads: no job is admitted or started until a controllers process runs");
    return;
  }
  const ageMs = renewTime === undefined ? Infinity : (serverTime ?? localTime) - Date.parse(renewTime);
  if (ageMs > 2 * durationSeconds * 1000 + clockToleranceMs)
    problems.push(
      `nobody leads: ${holder} last renewed the Lease ${renewTime === undefined ? "never" : `at ${renewTime}`}; no job is admitted or started until a controllers process runs`,
    );
  else facts.push(`leader: ${holder}`);
  if (ageMs < -clockToleranceMs)
    problems.push(
      `the clock of the leader ${holder} is ${Math.round(-ageMs / 1000)} s ahead of the API server's: set both by NTP`,
    );
}

function clocks({ serverTime, localTime, heartbeats }: HealthFacts, { problems, notes }: Health): void {
  if (serverTime === undefined) return;
  const apart = localTime - serverTime;
  if (Math.abs(apart) > clockToleranceMs)
    notes.push(
      `the clock of this machine is ${Math.round(Math.abs(apart) / 1000)} s ${apart > 0 ? "ahead of" : "behind"} the API server's`,
    );
  const ahead = [...(heartbeats ?? [])].filter(([, time]) => Date.parse(time) - serverTime > clockToleranceMs);
  if (ahead.length > 0)
    problems.push(
      `the clock of ${ahead.length === 1 ? "node" : "nodes"} ${listed(ahead.map(([name]) => name))} is ahead of the API server's: set both by NTP`,
    );
}

function listed(names: readonly string[]): string {
  return names.length <= 5 ? names.join(", ") : `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;
}

function selected({ nodes, queues, installation }: HealthFacts, { problems }: Health): void {
  if (queues.length === 0 && (installation?.definitions.length ?? 1) > 0)
    problems.push("there is no queue: the controllers make one when they first run; berth apply makes others");
  if (nodes === undefined || nodes.length === 0) return;
  for (const queue of queues) {
    const { name } = queue.metadata;
    const selector = queueSelectorOf(queue.spec);
    const own = nodes.filter(
      (node) => selector === undefined || matchesClass(selector, nodeClassOf(node.metadata.labels)),
    );
    const labels = Object.entries(queue.spec.nodeSelector ?? {}).map(([key, value]) => `${key}=${value}`);
    if (own.length === 0) {
      problems.push(
        `queue ${name} selects no node: none has ${labels.length > 1 ? "all the labels" : "the label"} ${labels.join(", ")}; kubectl label node NAME ${labels.join(" ")}, or change spec.nodeSelector`,
      );
      continue;
    }
    const tolerant = selectorOf({}, queue.spec);
    const open = own.filter(({ metadata, spec }) => matchesClass(tolerant, nodeClassOf(metadata.labels, spec?.taints)));
    if (open.length === 0) {
      const taints = new Set(
        own.flatMap(({ spec }) => (spec?.taints ?? []).filter(({ effect }) => effect !== "PreferNoSchedule")),
      );
      const keys = [...new Set([...taints].map(({ key, value }) => (value === undefined ? key : `${key}=${value}`)))];
      problems.push(
        `queue ${name}: all of its ${many(own.length, "node")} have taints that it does not tolerate (${keys.join(", ")}); add them to spec.tolerations`,
      );
    } else if (!open.some((node) => isReady(node) && node.spec?.unschedulable !== true))
      problems.push(
        `queue ${name}: none of its ${many(open.length, "node")} is ready and takes pods; kubectl get nodes`,
      );
  }
}
