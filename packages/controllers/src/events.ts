/** Events that tell users of what became of their objects. */
import { createHash } from "node:crypto";
import { type AnyObject, isReason, resources } from "@berth/client";
import { type Context, timestamp } from "./context.ts";

export interface Told {
  type: "Normal" | "Warning";
  reason: string;
  /** One event for each, whoever leads: the event's name is made of the object, the reason and the key. */
  key: string;
  message: string;
}

export async function tellByEvent(
  { client, now }: Pick<Context, "client" | "now">,
  { apiVersion, kind, metadata }: AnyObject,
  { type, reason, key, message }: Told,
): Promise<void> {
  const { name, namespace, uid = "" } = metadata;
  const hash = createHash("sha256").update(`${uid} ${reason} ${key}`).digest("hex").slice(0, 16);
  const time = timestamp(now());
  const event: AnyObject & Record<string, unknown> = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name.slice(0, 200)}.${hash}`, namespace },
    involvedObject: { apiVersion, kind, name, namespace, uid },
    type,
    reason,
    message: message.slice(0, 1024),
    source: { component: "berth" },
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
  await client.create(resources.events, event).catch((error: unknown) => {
    if (!isReason(error, "AlreadyExists", "NotFound", "Forbidden")) throw error;
  });
}
