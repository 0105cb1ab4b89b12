/**
 * Queues of scheduling.volcano.sh, where Volcano does not run: each stands for a Queue of Berth of the same name, which is made with it and
 * goes with it. Where there is one of that name already, that one counts.
 */
import { type AnyObject, Informer, isReason, WorkQueue } from "@berth/client";
import type { Queue } from "@berth/kinds";
import { apiVersion, queues, volcanoCommands, volcanoQueues } from "@berth/kinds";
import { jsonEqual, type KubernetesObject } from "@berth/machinery";
import type { Context } from "../context.ts";
import { tellByEvent } from "../events.ts";
import type { Stores } from "../stores.ts";

interface VolcanoQueueSpec {
  weight?: number;
  capability?: Record<string, string | number>;
}
type VolcanoQueue = KubernetesObject<VolcanoQueueSpec, { state?: string }>;

/** What a Queue of Volcano's name asks of Berth's. */
function queueSpecOf({ spec, status }: VolcanoQueue): Queue["spec"] {
  const { weight = 1, capability = {} } = spec ?? {};
  const isClosed = status?.state === "Closed" || status?.state === "Closing";
  const amounts = Object.entries(capability).map(([name, amount]) => [name, String(amount)]);
  return {
    priorityFactor: Math.min(65_533, weight),
    state: isClosed ? "Drained" : "Up",
    ...(amounts.length === 0 ? {} : { limits: { resources: Object.fromEntries(amounts) as Record<string, string> } }),
  };
}

interface Command extends AnyObject {
  action?: string;
  target?: { kind: string; name: string };
}

export class VolcanoQueues {
  readonly #context: Context;
  readonly #stores: Stores;

  constructor(context: Context, stores: Stores) {
    this.#context = context;
    this.#stores = stores;
  }

  start(): void {
    const { client, log, signal } = this.#context;
    const onError = (error: unknown): void => {
      if (!signal.aborted) log("warn", `watching Queues of Volcano failed: ${(error as Error).message}`);
    };
    const work = new WorkQueue<string>({
      process: (name) => this.#sync(name, informer, commands),
      concurrency: 1,
      onError: (name, error) => log("warn", `Queue ${name} of Volcano: ${(error as Error).message}`),
      signal,
    });
    const look = ({ metadata: { name } }: AnyObject): void => work.add(name);
    const informer = new Informer<VolcanoQueue>({
      client,
      resource: volcanoQueues,
      signal,
      onError,
      handlers: [{ add: look, update: look }],
    });
    const commands = new Informer<Command>({
      client,
      resource: volcanoCommands,
      signal,
      onError,
      handlers: [{ add: ({ target }) => (target?.kind === "Queue" ? work.add(target.name) : undefined) }],
    });
    const handler = {
      add: look,
      update: (queue: Queue, before: Queue): void => {
        if (queue.metadata.generation !== before.metadata.generation) look(queue);
      },
      delete: look,
    };
    this.#stores.queues.addHandler(handler);
  }

  async #sync(name: string, informer: Informer<VolcanoQueue>, commands: Informer<Command>): Promise<void> {
    const { client } = this.#context;
    let queue = informer.get(undefined, name);
    if (queue === undefined || queue.metadata.deletionTimestamp !== undefined) return;
    const command = commands.list().find(({ target }) => target?.kind === "Queue" && target.name === name);
    const asked = command && { OpenQueue: "Open", CloseQueue: "Closed" }[command.action ?? ""];
    const state = asked ?? queue.status?.state ?? "Open";
    if (queue.status?.state !== state) {
      queue = await client.patchStatus<VolcanoQueue>(volcanoQueues, name, { status: { state } });
    }
    if (command !== undefined) {
      const { name: own, namespace, uid } = command.metadata;
      await client.delete(volcanoCommands, own, { namespace, preconditions: { uid } }).catch((error: unknown) => {
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      });
    }
    // Who names default has named none.
    if (name === "default" || name === "root") return;
    await this.#bring(queue);
  }

  async #bring(queue: VolcanoQueue): Promise<void> {
    const { client } = this.#context;
    const { name, uid = "" } = queue.metadata;
    const spec = queueSpecOf(queue);
    const known = this.#stores.queues.get(undefined, name);
    const owner = { apiVersion: "scheduling.volcano.sh/v1beta1", kind: "Queue", name, uid, controller: true };
    if (known === undefined) {
      const object = { apiVersion, kind: "Queue", metadata: { name, ownerReferences: [owner] }, spec };
      await client.create<Queue>(queues, object).catch((error: unknown) => {
        if (!isReason(error, "AlreadyExists")) throw error;
      });
      return;
    }
    if (known.metadata.ownerReferences?.some((each) => each.uid === uid) !== true) {
      const message = `there is a Queue ${name} of berth.dev, which is not its own: that one counts, and this one changes nothing`;
      const object = { ...queue, metadata: { ...queue.metadata, namespace: "default" } } as AnyObject;
      await tellByEvent(this.#context, object, { type: "Warning", reason: "Shadowed", key: name, message });
      return;
    }
    const isSame = (["priorityFactor", "state", "limits"] as const).every((field) =>
      jsonEqual(known.spec[field] ?? null, spec[field] ?? null),
    );
    if (isSame) return;
    const gone = Object.keys(known.spec.limits?.resources ?? {}).map((each) => [each, null]);
    const amounts = { ...Object.fromEntries(gone), ...spec.limits?.resources };
    await client.patch<Queue>(queues, name, { spec: { ...spec, limits: { resources: amounts } } });
  }
}
