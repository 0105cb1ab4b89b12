import { randomBytes } from "node:crypto";
import { resources, type Client } from "@berth/client";
import type { Pod } from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";
import type { Log } from "./node-agent.ts";
import { timestamp } from "./pod-status.ts";

/** Tells of a pod by core/v1 Events, as the kubelet does. An event that cannot be written is only logged: nothing waits for it. */
export class EventRecorder {
  readonly #client: Client;
  readonly #signal: AbortSignal;
  readonly #log: Log;

  constructor(client: Client, signal: AbortSignal, log: Log) {
    this.#client = client;
    this.#signal = signal;
    this.#log = log;
  }

  record(pod: Pod, nodeName: string, type: "Normal" | "Warning", reason: string, message: string): void {
    const { name, namespace, uid, resourceVersion } = pod.metadata;
    const now = timestamp(Date.now());
    const event: KubernetesObject & Record<string, unknown> = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name.slice(0, 200)}.${randomBytes(8).toString("hex")}`, namespace },
      involvedObject: { apiVersion: "v1", kind: "Pod", name, namespace, uid, resourceVersion },
      type,
      reason,
      message: message.slice(0, 1024),
      source: { component: "berth-node", host: nodeName },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
    this.#client.create(resources.events, event, { signal: this.#signal }).catch((error: unknown) => {
      if (!this.#signal.aborted) this.#log("warn", `event ${reason} of pod ${name}: ${String(error)}`);
    });
  }
}
