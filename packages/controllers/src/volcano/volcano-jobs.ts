/**
 * Jobs of batch.volcano.sh, where Volcano does not run: each is one Workload with a pod set a task. Once it has places its pods are made
 * there; those beyond its gang, and those whose place was lost, are made without a node and wait one by one.
 */
import { generateKeyPairSync } from "node:crypto";
import { type AnyObject, Informer, isReason, type ResourceReference, resources } from "@berth/client";
import type { Pod } from "@berth/kinds";
import { annotations, cancelRequest, isFinal, labels, volcanoCommands, volcanoJobs, workloads } from "@berth/kinds";
import { seconds, timestamp } from "../context.ts";
import { tellByEvent } from "../events.ts";
import type { HeldJobsParts } from "../hosted/held-jobs.ts";
import { hostedWorkload, placedTemplate, podSetName, wallTimeOf } from "../hosted/templates.ts";
import type { AttemptEnd } from "../model/ends.ts";
import { kindsOfHosts } from "../model/hosts-of-pods.ts";
import { type Attempt, noTask, type WorkloadRecord } from "../model/record.ts";
import { isUnscheduled, WrappingError } from "../pod/wrapping.ts";
import { kubeletTraitsOf } from "../scheduler/kubelet-pods.ts";
import { hostKey } from "../stores.ts";
import { isFinished, type JobAction, podNameOf, problemOf, type Task, tasksOf, type VolcanoJob } from "./job.ts";
import { type Eviction, type JobPlan, planJob, taskOfPod } from "./lifecycle.ts";
import { volcanoPodAnnotations } from "./names.ts";
import { claimNameOf, podOfTask, templateOf } from "./pod.ts";
import { isPlugin, type PluginObject, pluginObjects, type Plugins, pluginsOf } from "./plugins.ts";
import { VolcanoPresence } from "./presence.ts";
import { sshPublicKey } from "./ssh-key.ts";
import { VolcanoQueues } from "./volcano-queues.ts";

/** Who cancels a Workload whose Job is over. */
const ownName = "volcano-job-controller";
/** How soon a pod that was refused for a cause that may pass is tried again. */
const refusedMs = 10_000;
/** After so many refusals in turn a Job gives its places back. */
const mostRefusals = 3;

interface Command extends AnyObject {
  action?: string;
  target?: { kind: string; name: string; uid?: string };
}

const objectKeys: Record<PluginObject["kind"], ResourceReference> = {
  ConfigMap: resources.configMaps,
  Secret: resources.secrets,
  Service: { group: "", version: "v1", resource: "services", namespaced: true },
  NetworkPolicy: { group: "networking.k8s.io", version: "v1", resource: "networkpolicies", namespaced: true },
};
const claims: ResourceReference = { group: "", version: "v1", resource: "persistentvolumeclaims", namespaced: true };

export class VolcanoJobs {
  readonly #parts: HeldJobsParts;
  readonly #presence: VolcanoPresence;
  #jobs: Informer<VolcanoJob> | undefined;
  #commands: Informer<Command> | undefined;
  #ending: AbortController | undefined;
  #isStarted = false;
  /** By Job: pods that somebody else took away since it last moved. */
  readonly #evictions = new Map<string, Eviction[]>();
  /** Pods that are removed here, by uid. */
  readonly #removed = new Set<string>();
  /** By Job and version: whose objects of plugins are there. */
  readonly #prepared = new Set<string>();
  /** By Job: how often in turn its pods were refused. */
  readonly #refusals = new Map<string, number>();
  readonly #told = new Set<string>();
  /** Commands, by uid, of which it may not have been heard yet that they are gone. */
  readonly #obeyed = new Set<string>();

  constructor(parts: HeldJobsParts) {
    this.#parts = parts;
    this.#presence = new VolcanoPresence(parts.context, parts.stores, (isOurs) => {
      if (isOurs) this.#open();
      else this.#close();
    });
    parts.stores.pods.addHandler({ delete: (pod) => this.#gone(pod) });
  }

  /** Resolves when it is known which pods belong to Jobs. */
  get synced(): Promise<void> {
    return this.#presence.synced.then(() => this.#jobs?.synced);
  }

  start(): void {
    this.#isStarted = true;
    for (const job of this.#jobs?.values() ?? []) this.#look(job);
  }

  has(namespace: string, host: string): boolean {
    return this.#jobs?.get(namespace, nameIn(host)) !== undefined;
  }

  #open(): void {
    const { client, log } = this.#parts.context;
    this.#ending = new AbortController();
    const signal = AbortSignal.any([this.#ending.signal, this.#parts.context.signal]);
    const common = {
      client,
      signal,
      onError: (error: unknown) => {
        if (!signal.aborted) log("warn", `watching Jobs of Volcano failed: ${(error as Error).message}`);
      },
    };
    const look = (job: VolcanoJob): void => this.#look(job);
    this.#jobs = new Informer<VolcanoJob>({
      ...common,
      resource: volcanoJobs,
      transform: (job) => {
        delete job.metadata.managedFields;
        return job;
      },
      handlers: [{ add: look, update: look, delete: look }],
    });
    this.#commands = new Informer<Command>({
      ...common,
      resource: volcanoCommands,
      indexers: { target: ({ metadata, target }) => [`${metadata.namespace}/${target?.kind}/${target?.name}`] },
      handlers: [
        {
          add: ({ metadata, target }) => {
            if (target?.kind === "Job")
              this.#parts.look(hostKey(metadata.namespace, `${kindsOfHosts.volcanoJob}/${target.name}`));
          },
          delete: ({ metadata }) => this.#obeyed.delete(metadata.uid ?? ""),
        },
      ],
    });
    new VolcanoQueues({ ...this.#parts.context, signal }, this.#parts.stores).start();
  }

  /** Volcano has come: what it has is its own from now on. */
  #close(): void {
    this.#ending?.abort();
    this.#jobs = undefined;
    this.#commands = undefined;
  }

  #look({ metadata: { name, namespace } }: VolcanoJob): void {
    if (this.#isStarted) this.#parts.look(hostKey(namespace, `${kindsOfHosts.volcanoJob}/${name}`));
  }

  /** A pod that had not done its work, and that nobody here took away. */
  #gone(pod: Pod): void {
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
    if (this.#jobs === undefined || owner?.kind !== "Job" || !owner.apiVersion.startsWith("batch.volcano.sh/")) return;
    const { uid = "", name, namespace, annotations: has = {} } = pod.metadata;
    const hasSucceeded = pod.status?.phase === "Succeeded";
    if (this.#removed.delete(uid) || hasSucceeded || has[annotations.stopped] !== undefined) return;
    const job = this.#jobs.get(namespace, owner.name);
    if (job === undefined || job.metadata.uid !== owner.uid) return;
    const version = Number(has[volcanoPodAnnotations.jobVersion] ?? 0);
    const eviction = { task: taskOfPod(pod), pod: name, version, time: this.#parts.context.now() };
    this.#evictions.set(owner.uid, [...(this.#evictions.get(owner.uid) ?? []), eviction]);
  }

  async sync(namespace: string, host: string): Promise<number | void> {
    const job = this.#jobs?.get(namespace, nameIn(host));
    if (job === undefined || !this.#isStarted || job.metadata.deletionTimestamp !== undefined) return;
    const { stores, ledger, context } = this.#parts;
    const uid = job.metadata.uid!;
    const key = hostKey(namespace, host);
    const mine = stores.workloads
      .byIndex("host", key)
      .filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid) === true)
      .sort((a, b) => (seconds(a.metadata.creationTimestamp) ?? 0) - (seconds(b.metadata.creationTimestamp) ?? 0));
    const current = mine.find(({ status }) => !isFinal(status?.phase));
    const record = ledger.byUid(current?.metadata.uid ?? "");
    // Its end is being written.
    if (isFinal(record?.phase)) return;
    const attempt = record?.live.get(noTask);
    const tasks = tasksOf(job);
    const command = this.#commandFor(job);
    const pods = stores.pods
      .byIndex("host", key)
      .filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid) === true);
    const plan = planJob({
      job,
      tasks,
      pods,
      workload: current,
      last: mine.findLast(({ status, metadata }) => isFinal(status?.phase) && cancelledBy(metadata) !== ownName),
      hasPlaces: attempt !== undefined && attempt.stopped === undefined && attempt.state !== "Ended",
      isHeldUp: attempt !== undefined && (attempt.stopped !== undefined || attempt.state === "Ended"),
      evictions: this.#evictions.get(uid) ?? [],
      command: command?.action as JobAction | undefined,
      problem: this.#problemOf(job),
      now: context.now(),
    });
    for (const pod of plan.remove) await this.#remove(pod);
    if (plan.status !== undefined) {
      const isMoved = plan.status.state?.phase !== job.status?.state?.phase;
      if (await this.#writeStatus(job, plan.status)) {
        if (isMoved) {
          this.#evictions.delete(uid);
          await this.#tellMove(job, plan.status.state!);
        }
        if (command !== undefined) await this.#done(command);
      }
      // What has moved is looked at again when that is heard of.
      if (isMoved) return;
    } else if (command !== undefined) await this.#done(command);
    if (plan.isExpired === true) {
      await this.#ignoring(
        context.client.delete(volcanoJobs, job.metadata.name, {
          namespace,
          preconditions: { uid },
          propagationPolicy: "Background",
        }),
      );
      return;
    }
    const soon = await this.#workload(job, tasks, plan, { mine: mine.length, record, attempt });
    const again = await this.#make(job, plan, record, attempt);
    await this.#waitAlone(job, tasks, pods, attempt);
    const waits = [plan.lookAgainMs, soon, again].filter((each) => each !== undefined);
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  #problemOf(job: VolcanoJob): string | undefined {
    const problem = problemOf(job, isPlugin);
    if (problem !== undefined) return problem;
    try {
      pluginsOf(job);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  #commandFor({ metadata: { name, namespace, uid } }: VolcanoJob): Command | undefined {
    return this.#commands
      ?.byIndex("target", `${namespace}/Job/${name}`)
      .filter(({ metadata }) => !this.#obeyed.has(metadata.uid ?? ""))
      .find(({ target }) => (target?.uid ?? "") === "" || target?.uid === uid);
  }

  async #done({ metadata: { name, namespace, uid = "" } }: Command): Promise<void> {
    this.#obeyed.add(uid);
    await this.#ignoring(
      this.#parts.context.client.delete(volcanoCommands, name, { namespace, preconditions: { uid } }),
    );
  }

  async #workload(
    job: VolcanoJob,
    tasks: readonly Task[],
    { workload: what }: JobPlan,
    { mine, record, attempt }: { mine: number; record: WorkloadRecord | undefined; attempt: Attempt | undefined },
  ): Promise<number | undefined> {
    const { context, hosted, takeBack } = this.#parts;
    const { client } = context;
    if (what === "Create") return this.#create(job, tasks, mine);
    if (record === undefined || what === undefined) return undefined;
    const { name, namespace } = record;
    const patch = (body: object): Promise<void> =>
      this.#ignoring(client.patch<AnyObject>(workloads, name, body, { namespace }));
    switch (what) {
      case "Hold":
        if (record.workload.spec.hold === undefined) await patch({ spec: { hold: "User" } });
        if (attempt !== undefined && attempt.stopped === undefined) takeBack(record, attempt);
        break;
      case "Release":
        await patch({ spec: { hold: null } });
        break;
      case "Cancel":
        if (cancelRequest(record.workload) === undefined)
          await patch({
            metadata: { annotations: { [annotations.cancel]: `${ownName} ${timestamp(context.now())}` } },
          });
        break;
      case "Succeeded":
      case "Failed":
      case "Cancelled": {
        const used: AttemptEnd = attempt?.worst ?? { phase: what, exitCode: 0, signal: 0 };
        const failed = { exitCode: used.exitCode || 1, message: job.status?.state?.message };
        const ended = { endTime: job.status?.state?.lastTransitionTime };
        hosted.end(record, {
          ...used,
          ...(what === "Failed" ? failed : { exitCode: 0, signal: 0 }),
          ...ended,
          phase: what,
        });
      }
    }
    return undefined;
  }

  async #create(job: VolcanoJob, tasks: readonly Task[], round: number): Promise<undefined> {
    const { metadata, spec } = job;
    const { name, namespace = "", uid = "" } = metadata;
    try {
      const times = tasks.map(({ template }) => template.spec.activeDeadlineSeconds);
      const graces = tasks.flatMap(({ template }) => template.spec.terminationGracePeriodSeconds ?? []);
      const workload = hostedWorkload({
        host: `${kindsOfHosts.volcanoJob}/${name}`,
        namespace,
        round,
        uid,
        jobName: name,
        owner: { apiVersion: "batch.volcano.sh/v1alpha1", kind: "Job", name, uid, controller: true },
        podSets: tasks
          .filter(({ inGang }) => inGang > 0)
          .map((task) => {
            const { labels: own, spec: of } = templateOf(job, task);
            return {
              name: setName(task.name),
              template: placedTemplate({ metadata: { labels: own }, spec: of }),
              count: task.inGang,
            };
          }),
        queue: metadata.labels?.[labels.queue] ?? (spec.queue === "default" ? undefined : spec.queue),
        account: metadata.labels?.[labels.account],
        wallTimeSeconds:
          wallTimeOf(metadata.annotations?.[annotations.wallTimeSeconds]) ??
          (times.every((time) => time !== undefined) ? Math.max(...times) : undefined),
        graceSeconds: graces.length === 0 ? undefined : Math.max(...graces),
        comesAgain: true,
      });
      await this.#parts.context.client.create(workloads, workload);
    } catch (error) {
      if (isReason(error, "AlreadyExists")) return;
      if (!(error instanceof WrappingError) && !isReason(error, "Invalid", "BadRequest")) throw error;
      await this.#fail(job, "Invalid", (error as Error).message);
    }
  }

  async #fail(job: VolcanoJob, reason: string, message: string): Promise<void> {
    const lastTransitionTime = timestamp(this.#parts.context.now());
    const state = { phase: "Failed" as const, reason, message, lastTransitionTime };
    const conditions = [...(job.status?.conditions ?? []), { status: state.phase, lastTransitionTime }];
    if (await this.#writeStatus(job, { ...job.status, state, conditions })) await this.#tellMove(job, state);
  }

  /** Makes what is missing: in the gang at its place, the others without a node. */
  async #make(
    job: VolcanoJob,
    { make }: JobPlan,
    record: WorkloadRecord | undefined,
    attempt: Attempt | undefined,
  ): Promise<number | undefined> {
    if (make.length === 0 || record === undefined || attempt === undefined) return undefined;
    const { context, hosted, stores } = this.#parts;
    const plugins = pluginsOf(job);
    const uid = job.metadata.uid!;
    try {
      await this.#prepare(job, plugins);
      const identity = record.workload.status?.identity;
      await Promise.all(
        make.map(async ({ task, index }) => {
          if (hosted.has(attempt, podNameOf(job.metadata.name, task.name, index))) return;
          const place = hosted.placeFor(attempt, setName(task.name), index);
          // Of one that waits for a node by itself it is not known yet which it will be: what Berth's own nodes need not have harms no other.
          const traits = kubeletTraitsOf(stores.nodes.get(undefined, place?.node ?? attempt.pods[0]?.node ?? ""));
          const pod = podOfTask({ job, task, index, plugins, identity, kubelet: traits });
          if (place !== undefined) await hosted.make(record, attempt, place, pod);
          else if (attempt.state === "Running")
            await context.client.create<Pod>(resources.pods, pod).catch(ignoreExisting);
        }),
      );
      this.#refusals.delete(uid);
      return undefined;
    } catch (error) {
      if (context.signal.aborted) return undefined;
      const { message } = error as Error;
      await this.#tell(job, "Warning", "FailedCreate", message, message);
      const times = (this.#refusals.get(uid) ?? 0) + 1;
      this.#refusals.set(uid, times);
      if (isReason(error, "Invalid", "BadRequest") || !(error as { code?: number }).code) {
        await this.#fail(job, "Invalid", message);
        return undefined;
      }
      if (times < mostRefusals) return refusedMs;
      // Its places are for others meanwhile; who has mended it resumes it.
      this.#refusals.delete(uid);
      const lastTransitionTime = timestamp(context.now());
      const state = { phase: "Aborting" as const, reason: "FailedCreate", message, lastTransitionTime };
      const conditions = [...(job.status?.conditions ?? []), { status: state.phase, lastTransitionTime }];
      await this.#writeStatus(job, { ...job.status, state, conditions });
      return undefined;
    }
  }

  /** Objects of plugins and claims are there before the first pod that needs them. */
  async #prepare(job: VolcanoJob, plugins: Plugins): Promise<void> {
    const { client } = this.#parts.context;
    const { uid = "", name, namespace = "" } = job.metadata;
    if (this.#prepared.has(uid)) return;
    for (const object of pluginObjects(job, plugins, makeKeys))
      await client.create(objectKeys[object.kind], object as AnyObject).catch(ignoreExisting);
    for (const [at, { volumeClaim, volumeClaimName }] of (job.spec.volumes ?? []).entries()) {
      if (volumeClaim === undefined || volumeClaimName !== undefined) continue;
      const owner = { apiVersion: "batch.volcano.sh/v1alpha1", kind: "Job", name, uid, controller: true };
      const metadata = { name: claimNameOf(job, at), namespace, ownerReferences: [owner] };
      const claim = { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata, spec: volumeClaim };
      await client.create(claims, claim as AnyObject).catch(ignoreExisting);
    }
    this.#prepared.add(uid);
    const controlledResources = Object.fromEntries(Object.keys(plugins).map((each) => [`plugin-${each}`, each]));
    await this.#ignoring(
      client.patchStatus<AnyObject>(
        volcanoJobs,
        name,
        { metadata: { uid }, status: { controlledResources } },
        { namespace },
      ),
    );
  }

  /** Pods without a place of the gang; where one of theirs has become free they are made again there. */
  async #waitAlone(
    job: VolcanoJob,
    tasks: readonly Task[],
    pods: readonly Pod[],
    attempt: Attempt | undefined,
  ): Promise<void> {
    const { isAlone, pods: lone, hosted } = this.#parts;
    const { queue } = job.spec;
    const has = job.metadata.labels ?? {};
    const of = {
      ...(has[labels.queue] === undefined
        ? queue === undefined || queue === "default"
          ? {}
          : { queue }
        : { queue: has[labels.queue] }),
      ...(has[labels.account] === undefined ? {} : { account: has[labels.account] }),
    };
    if (isFinished(job.status?.state?.phase)) return;
    for (const { name } of tasks) {
      const waiting = pods.filter(
        (pod) =>
          taskOfPod(pod) === name &&
          isUnscheduled(pod, isAlone) &&
          // About to be bound at its place.
          (attempt === undefined || !hosted.has(attempt, pod.metadata.name)),
      );
      const isFree = attempt?.stopped === undefined && attempt && hosted.placeFor(attempt, setName(name), -1);
      if (isFree && waiting[0] !== undefined) await this.#remove(waiting.shift()!);
      for (const pod of waiting) lone.alone(pod, of);
    }
  }

  async #remove({ metadata: { name, namespace, uid = "" } }: Pod): Promise<void> {
    this.#removed.add(uid);
    await this.#ignoring(
      this.#parts.context.client.delete(resources.pods, name, { namespace, preconditions: { uid } }),
    );
  }

  /** False where it has changed meanwhile. */
  async #writeStatus(job: VolcanoJob, status: NonNullable<VolcanoJob["status"]>): Promise<boolean> {
    const { controlledResources } = job.status ?? {};
    const object = {
      ...job,
      status: { ...status, ...(controlledResources === undefined ? {} : { controlledResources }) },
    };
    try {
      await this.#parts.context.client.updateStatus<VolcanoJob>(volcanoJobs, object);
      return true;
    } catch (error) {
      if (isReason(error, "NotFound", "Conflict")) return false;
      throw error;
    }
  }

  async #tellMove(job: VolcanoJob, state: NonNullable<NonNullable<VolcanoJob["status"]>["state"]>): Promise<void> {
    const { phase = "Pending", message, lastTransitionTime = "" } = state;
    const type = phase === "Failed" || phase === "Aborting" || phase === "Terminating" ? "Warning" : "Normal";
    await this.#tell(job, type, phase, lastTransitionTime, message ?? `it is ${phase} now`);
  }

  async #tell(
    job: VolcanoJob,
    type: "Normal" | "Warning",
    reason: string,
    key: string,
    message: string,
  ): Promise<void> {
    const told = `${job.metadata.uid} ${reason} ${key}`;
    if (this.#told.has(told)) return;
    this.#told.add(told);
    const object = { ...job, apiVersion: "batch.volcano.sh/v1alpha1", kind: "Job" };
    await tellByEvent(this.#parts.context, object, { type, reason, key, message });
  }

  async #ignoring(done: Promise<unknown>): Promise<void> {
    await done.catch((error: unknown) => {
      if (!isReason(error, "NotFound", "Conflict")) throw error;
    });
  }
}

function nameIn(host: string): string {
  return host.slice(kindsOfHosts.volcanoJob.length + 1);
}

/** A pod set's name is shorter than a task's may be. */
function setName(task: string): string {
  return task.length <= 40 ? task : podSetName({ metadata: { labels: { task } }, spec: { containers: [] } });
}

function cancelledBy(metadata: AnyObject["metadata"]): string | undefined {
  return metadata.annotations?.[annotations.cancel]?.split(" ")[0];
}

function ignoreExisting(error: unknown): void {
  if (!isReason(error, "AlreadyExists")) throw error;
}

function makeKeys(): { privateKey: string; publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    privateKey: privateKey.export({ type: "pkcs1", format: "pem" }).toString(),
    publicKey: sshPublicKey(publicKey),
  };
}
