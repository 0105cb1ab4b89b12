/** Groups of pods: each becomes a Workload once its first pods are there, which are bound together; those that follow wait one by one. */
import { type AnyObject, Informer, isReason, resources } from "@berth/client";
import type { Pod, PodTemplate, Workload } from "@berth/kinds";
import { annotations, cancelRequest, isFinal, labels, workloads } from "@berth/kinds";
import { type Context, seconds, timestamp } from "../context.ts";
import type { Ledger } from "../model/ledger.ts";
import { noTask } from "../model/record.ts";
import {
  type Association,
  isOurs,
  isUnscheduled,
  waitingReport,
  type WaitingReport,
  workloadNameOf,
  WrappingError,
} from "../pod/wrapping.ts";
import { hostKey, type Stores } from "../stores.ts";
import type { HostedLife } from "../workload/hosted-life.ts";
import {
  type GroupDemand,
  type GroupForm,
  type GroupObject,
  groupReference,
  type GroupSeen,
  statusChange,
} from "./group.ts";
import { hostedWorkload, makerOf, placedTemplate, podSetName, wallTimeOf } from "./templates.ts";

/** How soon it is looked again whether a kind of groups is served, while pods name one. */
const unservedMs = 10_000;
/** Who cancels a Workload whose gang is not whole any more. */
const ownName = "pod-controller";
const taskAnnotation = "volcano.sh/task-spec";

export interface LonePods {
  /** The pod is to wait for a node by itself. */
  alone(pod: Pod, of: Association): void;
  tell(pod: Pod, report: WaitingReport): Promise<void>;
}

export interface GroupsParts {
  context: Context;
  stores: Stores;
  ledger: Ledger;
  hosted: HostedLife;
  isAlone: boolean;
  pods: LonePods;
  /** Something of a group changed; as {@link hostKey}. */
  look(key: string): void;
}

interface Found {
  form: GroupForm;
  name: string;
  namespace: string;
  host: string;
  group: GroupObject;
  demand: GroupDemand;
  /** All that name it, and those of them that wait for a node with it. */
  pods: readonly Pod[];
  waiting: readonly Pod[];
}

export class Groups {
  readonly #parts: GroupsParts;
  readonly #informers = new Map<GroupForm, Informer<GroupObject>>();
  /** What pods of one maker are to scheduling. */
  readonly #templates = new Map<string, PodTemplate>();

  constructor(parts: GroupsParts) {
    this.#parts = parts;
  }

  /** Does what is due; a number of milliseconds after which to look again. */
  async sync(namespace: string, host: string): Promise<number | void> {
    const { stores, isAlone, pods: lone } = this.#parts;
    const reference = groupReference(host);
    if (reference === undefined) return;
    const pods = stores.pods.byIndex("host", hostKey(namespace, host)).filter((pod) => isOurs(pod, isAlone));
    const waiting = pods
      .filter(
        (pod) => isUnscheduled(pod, isAlone) && stores.workloads.get(namespace, workloadNameOf(pod)) === undefined,
      )
      .sort(byAge);
    const { form, name, rest } = reference;
    const tellAll = async (reason: string, message: string): Promise<void> => {
      for (const pod of waiting) await lone.tell(pod, { reason, message, isOver: false });
    };
    if (pods.length === 0 && this.#ofHost(namespace, host).length === 0) return;
    const informer = await this.#informer(form);
    const { kind, group: of, version } = form.resource;
    const group = informer?.get(namespace, name);
    if (group === undefined) {
      await this.#cancel(this.#current(namespace, host), "its group is gone");
      const what = `${kind} ${name} of ${of}`;
      await tellAll(
        "GroupUnknown",
        informer === undefined
          ? `waits for ${what}, but this cluster does not serve ${of}/${version}; install that kind, or leave the group out`
          : `waits for ${what}, which is not there in namespace ${namespace}`,
      );
      return informer === undefined && waiting.length > 0 ? unservedMs : undefined;
    }
    const demand = form.demandOf(group, rest);
    const found: Found = { form, name, namespace, host, group, demand, pods, waiting };
    if (demand.problem !== undefined) await tellAll("GroupUnsupported", `${kind} ${name}: ${demand.problem}`);
    else await this.#place(found);
    await this.#writeStatus(found);
  }

  /** Undefined: the kind is not served. */
  async #informer(form: GroupForm): Promise<Informer<GroupObject> | undefined> {
    const { context, look } = this.#parts;
    const { client, log, signal } = context;
    const known = this.#informers.get(form);
    if (known !== undefined) {
      await known.synced;
      return known;
    }
    try {
      await client.list(form.resource, { limit: 1 });
    } catch (error) {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    }
    if (this.#informers.has(form)) return this.#informer(form);
    const informer = new Informer<GroupObject>({
      client,
      resource: form.resource,
      signal,
      transform: (object) => {
        delete object.metadata.managedFields;
        return object;
      },
      onError: (error) => {
        if (!signal.aborted) log("warn", `watching ${form.resource.resource} failed: ${(error as Error).message}`);
      },
    });
    this.#informers.set(form, informer);
    const changed = ({ metadata: { name, namespace = "" } }: GroupObject): void => {
      for (const key of this.#hostsNamed(form, name)) look(hostKey(namespace, key));
    };
    await informer.synced;
    informer.addHandler({ add: changed, update: changed, delete: changed });
    return informer;
  }

  /** Hosts of this name that something is known of. */
  #hostsNamed(form: GroupForm, name: string): string[] {
    const { kind, group } = form.resource;
    const plain = `${kind}.${group}/${name}`;
    return [plain, ...[...this.#seenHosts].filter((host) => host.startsWith(`${plain}/`))];
  }

  readonly #seenHosts = new Set<string>();

  #ofHost(namespace: string, host: string): Workload[] {
    return this.#parts.stores.workloads
      .byIndex("host", hostKey(namespace, host))
      .sort((a, b) => (a.metadata.creationTimestamp ?? "").localeCompare(b.metadata.creationTimestamp ?? ""));
  }

  #current(namespace: string, host: string): Workload | undefined {
    return this.#ofHost(namespace, host).find(({ status }) => !isFinal(status?.phase));
  }

  async #place(found: Found): Promise<void> {
    const { namespace, host, waiting } = found;
    if (host.split("/").length > 2) this.#seenHosts.add(host);
    const current = this.#current(namespace, host);
    if (current === undefined) {
      await this.#form(found);
      return;
    }
    const { ledger, hosted, pods: lone } = this.#parts;
    const record = ledger.byUid(current.metadata.uid ?? "");
    const attempt = record?.live.get(noTask);
    if (record === undefined || attempt === undefined) {
      // Its end is being written.
      if (isFinal(record?.phase)) return;
      if (!(await this.#isWhole(current, waiting))) {
        await this.#cancel(current, "its group is not whole any more");
        return;
      }
      const report = waitingReport(current);
      if (report !== undefined) for (const pod of waiting) await lone.tell(pod, report);
      return;
    }
    if (attempt.stopped !== undefined || attempt.state === "Ended") return;
    const left: Pod[] = [];
    for (const pod of waiting) {
      if (hosted.has(attempt, pod.metadata.name)) continue;
      const template = await this.#templateOf(pod);
      if (template === undefined) continue;
      if (!hosted.take(record, attempt, podSetName(template), pod)) left.push(pod);
    }
    if (left.length === 0) hosted.settle(record, attempt);
    if (attempt.state === "Running") for (const pod of left) lone.alone(pod, found.demand);
    const isOver = attempt.still === attempt.pods.length && attempt.worst !== undefined;
    if (isOver) hosted.end(record);
  }

  /** Whether each pod set still has its pods. */
  async #isWhole({ spec }: Workload, waiting: readonly Pod[]): Promise<boolean> {
    const counts = new Map<string, number>();
    for (const pod of waiting) {
      const template = await this.#templateOf(pod);
      if (template === undefined) continue;
      const name = podSetName(template);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return spec.podSets.every(({ name, count }) => (counts.get(name) ?? 0) >= count);
  }

  /** Of a group that has no Workload: it is made one when its first pods are there. */
  async #form(found: Found): Promise<void> {
    const { namespace, host, waiting, pods, demand, group, name } = found;
    const { context, pods: lone } = this.#parts;
    const before = this.#ofHost(namespace, host);
    const last = before.at(-1);
    const rest: Pod[] = [];
    for (const pod of waiting) {
      const refusal = last === undefined ? undefined : refusalOf(last, pod);
      if (refusal !== undefined) await lone.tell(pod, refusal);
      else rest.push(pod);
    }
    if (rest.length === 0) return;
    const gang = gangOf(rest, demand);
    if (gang === undefined) {
      // Others of it were placed before: what comes now replaces one of these.
      if (pods.some(({ metadata }) => metadata.labels?.[labels.workload] !== undefined)) {
        for (const pod of rest) lone.alone(pod, demand);
        return;
      }
      const tasks = Object.entries(demand.minimumOfTasks).map(([task, count]) => `${count} of task ${task}`);
      const among = tasks.length === 0 ? "" : `, among them ${tasks.join(", ")}`;
      const message = `waits until ${found.form.resource.kind} ${name} has ${demand.minimum} pods${among}`;
      for (const pod of rest) await lone.tell(pod, { reason: "GroupIncomplete", message, isOver: false });
      return;
    }
    try {
      const podSets = new Map<string, { template: PodTemplate; count: number }>();
      for (const pod of gang) {
        const template = await this.#templateOf(pod);
        // It went: what is left is looked at when that is heard of.
        if (template === undefined) return;
        const set = podSets.get(podSetName(template));
        if (set === undefined) podSets.set(podSetName(template), { template, count: 1 });
        else set.count++;
      }
      const has = gang[0]!.metadata;
      await context.client.create(
        workloads,
        hostedWorkload({
          host,
          namespace,
          round: before.length,
          uid: group.metadata.uid ?? "",
          jobName: name,
          podSets: [...podSets.values()],
          queue: has.labels?.[labels.queue] ?? demand.queue,
          account: has.labels?.[labels.account] ?? demand.account,
          wallTimeSeconds: wallTimeOf(demand.wallTime ?? has.annotations?.[annotations.wallTimeSeconds]),
          graceSeconds: undefined,
          comesAgain: false,
        }),
      );
    } catch (error) {
      if (isReason(error, "AlreadyExists")) return;
      if (!(error instanceof WrappingError) && !isReason(error, "Invalid", "BadRequest")) throw error;
      const { message } = error as Error;
      for (const pod of gang) await lone.tell(pod, { reason: "InvalidPod", message, isOver: true });
    }
  }

  /** Undefined: the pod is gone. */
  async #templateOf(pod: Pod): Promise<PodTemplate | undefined> {
    const maker = makerOf(pod);
    const known = this.#templates.get(maker);
    if (known !== undefined) return known;
    const { name, namespace, uid } = pod.metadata;
    try {
      // The store keeps of foreign pods only what they ask for.
      const whole = await this.#parts.context.client.get<Pod>(resources.pods, name, { namespace });
      if (whole.metadata.uid !== uid) return undefined;
      const template = placedTemplate(whole);
      this.#templates.set(maker, template);
      return template;
    } catch (error) {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    }
  }

  /** Nobody waits for nodes with it any more: what was known of its pods' templates goes. */
  forget(pod: Pod): void {
    if (makerOf(pod) === pod.metadata.uid) this.#templates.delete(pod.metadata.uid);
  }

  async #cancel(workload: Workload | undefined, why: string): Promise<void> {
    if (workload === undefined || cancelRequest(workload) !== undefined) return;
    const { context, ledger } = this.#parts;
    // What runs goes on: it ends with its pods.
    if (ledger.byUid(workload.metadata.uid ?? "")?.live.get(noTask) !== undefined) return;
    context.log("info", `Workload ${workload.metadata.name} is cancelled: ${why}`);
    const metadata = { annotations: { [annotations.cancel]: `${ownName} ${timestamp(context.now())}` } };
    const { name, namespace } = workload.metadata;
    await context.client.patch(workloads, name, { metadata }, { namespace }).catch((error: unknown) => {
      if (!isReason(error, "NotFound")) throw error;
    });
  }

  async #writeStatus({ form, group, namespace, host, pods, waiting, demand }: Found): Promise<void> {
    if (form.statusOf === undefined) return;
    const { context, ledger } = this.#parts;
    const current = this.#current(namespace, host);
    const attempt = ledger.byUid(current?.metadata.uid ?? "")?.live.get(noTask);
    const report = current === undefined ? undefined : waitingReport(current);
    const short =
      current === undefined && waiting.length > 0 && waiting.length < demand.minimum
        ? { reason: "NotEnoughPods", message: `waits until it has ${demand.minimum} pods` }
        : undefined;
    const seen: GroupSeen = {
      pods,
      demand,
      isStarting: attempt?.state === "Starting",
      waits: report === undefined ? short : { reason: "NotEnoughResources", message: report.message },
      workloadUid: current?.metadata.uid,
      now: timestamp(context.now()),
    };
    const change = statusChange(group, form.statusOf(group, seen));
    if (change === undefined) return;
    const { name, uid } = group.metadata;
    await context.client
      .patchStatus<AnyObject>(form.resource, name, { metadata: { uid }, status: change }, { namespace })
      .catch((error: unknown) => {
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      });
  }
}

/** The pods that are to begin together: the oldest, of each task as many as it asks for; undefined: there are too few. */
export function gangOf(waiting: readonly Pod[], { minimum, minimumOfTasks }: GroupDemand): Pod[] | undefined {
  const chosen = new Set<Pod>();
  for (const [task, count] of Object.entries(minimumOfTasks)) {
    const of = waiting.filter(({ metadata }) => metadata.annotations?.[taskAnnotation] === task);
    if (of.length < count) return undefined;
    for (const pod of of.slice(0, count)) chosen.add(pod);
  }
  for (const pod of waiting) {
    if (chosen.size >= minimum) break;
    chosen.add(pod);
  }
  return chosen.size < minimum ? undefined : [...chosen];
}

/** Of a Workload that ended before its pods had nodes: what those of then are told. */
function refusalOf(last: Workload, pod: Pod): WaitingReport | undefined {
  const { status = {} } = last;
  if (status.startTime !== undefined || (status.attempts ?? 0) > 0 || cancelRequest(last)?.by === ownName)
    return undefined;
  const createdAt = seconds(pod.metadata.creationTimestamp);
  const endedAt = seconds(status.endTime);
  if (createdAt !== undefined && endedAt !== undefined && createdAt > endedAt) return undefined;
  return waitingReport(last);
}

function byAge(a: Pod, b: Pod): number {
  const [first = "", second = ""] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  return first === second ? a.metadata.name.localeCompare(b.metadata.name) : first.localeCompare(second);
}
