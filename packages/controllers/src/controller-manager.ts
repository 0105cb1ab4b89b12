/** All controllers of one cluster in one process, led by one leader, on one set of informers. */
import { hostname } from "node:os";
import { randomUUID } from "node:crypto";
import { type Client, electLeader, resources } from "@berth/client";
import { isReason } from "@berth/client";
import { OidcUsers, type UserDirectory } from "@berth/identity";
import type { Pod } from "@berth/kinds";
import { annotations, attemptOf, isActive, isFinal, labels, systemNamespace } from "@berth/kinds";
import { Claims } from "./claims/claims.ts";
import { watchedAccounting } from "./accounting-watch.ts";
import type { Context } from "./context.ts";
import type { LonePods } from "./hosted/groups.ts";
import { Hosts } from "./hosted/hosts.ts";
import { claimsOn, IdentityOfNamespaces } from "./namespaces/identity-of-namespaces.ts";
import { startJobController } from "./job/job-controller.ts";
import { Ledger } from "./model/ledger.ts";
import { byJobId, currentAttempt, noTask, type WorkloadRecord } from "./model/record.ts";
import { hostOf, isPodOf } from "./model/wrapped-pod.ts";
import { NodeLifecycle } from "./node-lifecycle/node-lifecycle.ts";
import { renewServices } from "./pod/services.ts";
import { startPodController } from "./pod/pod-controller.ts";
import { Retention } from "./retention.ts";
import { Scheduling } from "./scheduler/scheduling.ts";
import { isGang } from "./scheduler/snapshot.ts";
import { answerViews } from "./questions/answer-views.ts";
import { answerStartEstimates } from "./questions/start-estimates.ts";
import { type Stores, startStores, storesSynced } from "./stores.ts";
import { Admissions } from "./workload/admissions.ts";
import { JobIds } from "./workload/job-ids.ts";
import { AttemptLife } from "./workload/life.ts";
import { Writer } from "./writer.ts";

export interface ControllersOptions extends Omit<Context, "users"> {
  /** `Claims`: what tokens said of users, as it stands on their namespaces. */
  users: UserDirectory | "Claims";
  /**
   * True where something else sees to it that there is one leader only, as the lock on the data folder of an embedded cluster
   * does: the leader of before is then known to be dead, and its Lease is not waited for. Nobody else runs batch/v1 Jobs then.
   */
  isAlone?: boolean;
  /** Runs Jobs of Volcano's, where their kinds are there and Berth's own, and Volcano does not. */
  volcano?: boolean;
  /**
   * Begins to serve questions while this process leads, and gives the client by which they are answered; undefined: nobody can ask.
   * Absent: they are served by the API itself, where `isAlone`.
   */
  questions?(signal: AbortSignal): Promise<Client | undefined>;
  /** Told each time this process has become the leader and has read everything. */
  onReady?(): void;
  /** Told each time it leads no more. */
  onEnd?(): void;
}

/**
 * Takes part in the election of the controllers until the signal aborts, and leads while elected. Resolves when all is stopped.
 */
export async function runControllers(options: ControllersOptions): Promise<void> {
  const { client, log, signal } = options;
  await ensureSystemNamespace(options);
  if (signal.aborted) return;
  if (options.isAlone === true) {
    await lead(options);
    return;
  }
  await electLeader({
    client,
    namespace: systemNamespace,
    name: "controllers",
    identity: `${hostname()}_${process.pid}_${randomUUID().slice(0, 8)}`,
    lead: (leading) => lead({ ...options, signal: leading }).finally(() => options.onEnd?.()),
    onError: (error) => log("warn", `leader election: ${(error as Error).message}`),
    signal,
  });
}

async function ensureSystemNamespace({ client, log, signal }: ControllersOptions): Promise<void> {
  for (let pause = 50; !signal.aborted; pause = Math.min(5000, pause * 2)) {
    try {
      await client.create(resources.namespaces, {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name: systemNamespace },
      });
      return;
    } catch (error) {
      // Who may make no namespaces was given this one.
      if (isReason(error, "AlreadyExists", "Forbidden")) return;
      log("warn", `the API does not answer yet: ${(error as Error).message}`);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** Leads until the signal aborts: everything in here may be thrown away and made again from objects. */
async function lead({ users, ...rest }: ControllersOptions): Promise<void> {
  const { client, log, signal } = rest;
  const stores = startStores(client, log, signal);
  const known = { ...rest, users: users === "Claims" ? new OidcUsers(claimsOn(stores.namespaces)) : users };
  const options = { ...known, accounting: watchedAccounting(known) };
  const writer = new Writer({ log, signal });
  const jobIds = new JobIds(client);
  const ledger = new Ledger();
  const retention = new Retention(options, stores, writer);
  const isAlone = rest.isAlone === true;
  // The embedded cluster has no claims.
  const claims = isAlone ? undefined : new Claims(options, stores, writer);
  const finished = (record: WorkloadRecord): void => {
    admissions.finished(record);
    if (!record.isGone) retention.finished(record);
  };
  const scheduling = new Scheduling(options, ledger, stores, writer, finished, claims);
  const life = new AttemptLife(options, ledger, writer, scheduling);
  const admissions = new Admissions({ context: options, ledger, stores, writer, jobIds, life, scheduling });
  await storesSynced(stores);
  await claims?.synced();
  await scheduling.prepare(life);
  let lonePods: LonePods | undefined;
  const hosts = new Hosts({
    context: options,
    stores,
    ledger,
    life,
    isAlone,
    hasVolcano: rest.volcano === true,
    pods: {
      alone: (pod, of) => lonePods?.alone(pod, of),
      tell: async (pod, report) => lonePods?.tell(pod, report),
    },
  });
  life.hosted.host = hosts;
  await hosts.synced;
  await resume(stores, ledger, admissions, life);
  if (signal.aborted) return;
  const nodeLifecycle = new NodeLifecycle({ context: options, ledger, stores, life, writer, isAlone });
  watch(stores, { admissions, life, scheduling, retention, nodeLifecycle, ledger });
  retention.begin(ledger.values());
  lonePods = startPodController({
    context: options,
    stores,
    isAlone,
    hasHost: (pod) => hosts.hostFor(pod) !== undefined,
  });
  hosts.start();
  const judge = async (record: WorkloadRecord) => (await admissions.judge(record, true)).verdict;
  renewServices({ context: options, stores, ledger, judge });
  scheduling.start();
  nodeLifecycle.start();
  // On a real cluster Jobs are kube-controller-manager's.
  if (isAlone) startJobController(options, stores);
  if (!isAlone) {
    scheduling.keepTrees();
    stores.namespaces.addHandler({
      delete: ({ metadata: { name, annotations: stated } }) => {
        if (stated?.[annotations.owner] !== undefined) scheduling.namespaceRemoved(name);
      },
    });
  }
  // The embedded node looks users up by itself, and tokens are told of by who has them.
  if (!isAlone && users !== "Claims") new IdentityOfNamespaces(options, stores, writer).start();
  const answer = (asked: Client | undefined): void => {
    if (asked === undefined || signal.aborted) return;
    const context = { ...options, client: asked };
    answerStartEstimates({ context, jobIds, admissions, scheduling });
    answerViews(context, { ledger, stores, scheduling });
  };
  if (isAlone) answer(client);
  // Work does not wait for those who ask.
  else void rest.questions?.(signal).then(answer);
  measure(options, ledger, writer);
  rest.onReady?.();
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  // In an orderly stop the API still answers; ids that were not given go back.
  await Promise.allSettled([jobIds.release(), scheduling.stop()]);
  for (const record of ledger.values()) clearTimeout(record.flushTimer);
}

/** What a leader tells of itself; its series replace those that another lead of this process left. */
function measure({ metrics }: Context, ledger: Ledger, writer: Writer): void {
  metrics?.gauge("berth_workloads", "Workloads that are known, by phase.", () => {
    const phases = new Map<string, number>();
    for (const { phase = "New" } of ledger.values()) phases.set(phase, (phases.get(phase) ?? 0) + 1);
    return [...phases].map(([phase, count]) => [{ phase }, count] as const);
  });
  metrics?.gauge("berth_writes_queued", "Writes to the API that wait for their turn.", () => writer.queued);
}

/** Goes on where the last leader stopped: Workloads first, then the attempts that their pods tell of. */
async function resume(stores: Stores, ledger: Ledger, admissions: Admissions, life: AttemptLife): Promise<void> {
  const workloads = [...stores.workloads.values()].sort(bySubmission);
  const records = workloads.map((workload) => admissions.added(workload));
  // Outcomes of jobs that others depend on need all records.
  const admitted = records.filter(({ jobId, phase }) => jobId !== undefined && !isFinal(phase)).sort(byJobId);
  for (const record of admitted) await admissions.resume(record);
  for (const { record, task, number, pods } of attemptsOf(stores.pods.values(), ledger)) {
    life.adopt(record, task, number, pods);
  }
  for (const record of admitted) {
    if (record.book === undefined) {
      if (!isActive(record.workload.status?.phase) || record.live.size > 0 || !isActive(record.phase)) continue;
      // Its pods may be just between one and the next.
      if (hostOf(record.workload) !== undefined) life.adopt(record, noTask, currentAttempt(record, noTask), []);
      // A gang that was only starting had not begun: nothing of it is lost.
      else if (record.phase === "Starting" && isGang(record.workload)) record.phase = "Pending";
      else life.vanished(record, noTask);
    } else {
      for (const task of record.book.wasRunning.intersect(record.book.pending)) life.vanished(record, task);
    }
  }
  for (const record of admitted) admissions.resumed(record);
}

function bySubmission(a: { metadata: { creationTimestamp?: string; name: string } }, b: typeof a): number {
  const [first = "", second = ""] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  if (first !== second) return first < second ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

interface FoundAttempt {
  record: WorkloadRecord;
  task: number;
  number: number;
  pods: Pod[];
}

/** Pods by attempt, of each task the lower numbers first. */
function attemptsOf(pods: Iterable<Pod>, ledger: Ledger): FoundAttempt[] {
  const found = new Map<string, FoundAttempt>();
  for (const pod of pods) {
    const name = attemptOf(pod);
    if (name === undefined) continue;
    const record = ledger.byName(pod.metadata.namespace ?? "", name.workload);
    if (record === undefined || !isPodOf(record, pod)) continue;
    const task = name.task ?? noTask;
    const key = `${record.uid} ${task} ${name.attempt}`;
    const attempt = found.get(key);
    if (attempt === undefined) found.set(key, { record, task, number: name.attempt, pods: [pod] });
    else attempt.pods.push(pod);
  }
  return [...found.values()].sort((a, b) => a.number - b.number);
}

interface Watchers {
  admissions: Admissions;
  life: AttemptLife;
  scheduling: Scheduling;
  retention: Retention;
  nodeLifecycle: NodeLifecycle;
  ledger: Ledger;
}

/** Hands each event to whom it concerns; what the stores held already was read by {@link resume}. */
function watch(stores: Stores, parts: Watchers): void {
  const { admissions, life, scheduling, retention, nodeLifecycle, ledger } = parts;
  let isReading = true;
  stores.workloads.addHandler({
    add: (workload) => {
      if (!isReading || ledger.byUid(workload.metadata.uid ?? "") === undefined) admissions.added(workload);
    },
    update: (workload, before) => admissions.updated(workload, before),
    delete: (workload) => {
      admissions.deleted(workload);
      retention.removed(workload.metadata.uid ?? "");
    },
  });
  const onPod = (pod: Pod, isDeleted: boolean): void => {
    if (pod.metadata.labels?.[labels.workload] === undefined) scheduling.countForeign(pod, isDeleted);
    else life.onPod(pod, isDeleted);
  };
  stores.pods.addHandler({
    add: (pod) => {
      if (!isReading) onPod(pod, false);
    },
    update: (pod) => onPod(pod, false),
    delete: (pod) => onPod(pod, true),
  });
  stores.nodes.addHandler({
    add: (node) => {
      if (isReading) return;
      admissions.nodesChanged();
      scheduling.putNode(node);
      nodeLifecycle.changed(node);
    },
    update: (node, before) => {
      nodeLifecycle.changed(node);
      if (!hasChanged(node, before)) return;
      admissions.nodesChanged();
      scheduling.putNode(node);
    },
    delete: (node) => {
      admissions.nodesChanged();
      scheduling.removeNode(node.metadata.name);
      nodeLifecycle.removed(node.metadata.name);
    },
  });
  stores.queues.addHandler({
    add: (queue) => {
      if (!isReading) scheduling.putQueue(queue);
    },
    update: (queue) => scheduling.putQueue(queue),
    delete: (queue) => scheduling.removeQueue(queue.metadata.name),
  });
  const accountsChanged = (): void => {
    if (!isReading) scheduling.accountsChanged();
  };
  stores.accounts.addHandler({
    add: accountsChanged,
    // Its status is the controllers' own.
    update: (account, before) => {
      if (account.metadata.generation !== before.metadata.generation) accountsChanged();
    },
    delete: accountsChanged,
  });
  stores.memberships.addHandler({
    add: (membership) => {
      if (!isReading) scheduling.membershipChanged(membership, false);
    },
    update: (membership) => scheduling.membershipChanged(membership, false),
    delete: (membership) => scheduling.membershipChanged(membership, true),
  });
  stores.qualitiesOfService.addHandler({
    add: (qos) => {
      if (!isReading) scheduling.qualityOfServiceChanged(qos, false);
    },
    update: (qos) => scheduling.qualityOfServiceChanged(qos, false),
    delete: (qos) => scheduling.qualityOfServiceChanged(qos, true),
  });
  stores.reservations.addHandler({
    add: (reservation) => {
      if (!isReading) scheduling.reservationChanged(reservation, false);
    },
    // Its status is the controllers' own.
    update: (reservation, before) => {
      if (reservation.metadata.generation !== before.metadata.generation) {
        scheduling.reservationChanged(reservation, false);
      }
    },
    delete: (reservation) => scheduling.reservationChanged(reservation, true),
  });
  const siteChanged = (): void => {
    if (isReading) return;
    scheduling.siteChanged();
    retention.siteChanged();
  };
  stores.sites.addHandler({ add: siteChanged, update: siteChanged, delete: siteChanged });
  isReading = false;
}

/** Heartbeats of a node are no change to scheduling. */
function hasChanged(node: NonNullable<ReturnType<Stores["nodes"]["get"]>>, before: typeof node): boolean {
  const view = ({ metadata, spec, status }: typeof node): string =>
    JSON.stringify([
      metadata.labels,
      spec,
      status?.allocatable,
      status?.conditions?.map(({ type, status }) => `${type}=${status}`),
    ]);
  return view(node) !== view(before);
}
