/** Requests that delete: an object, or all of a selection. */
import { unlessOvertaken } from "../collection/collector.ts";
import type { DeleteOptions } from "../registry/delete.ts";
import { deleteOptions, remove } from "../registry/delete.ts";
import { selectionOf, selects } from "../registry/selection.ts";
import type { Entry } from "../storage/entry.ts";
import { Pieces } from "../turn.ts";
import { readObject } from "./body.ts";
import { sendJson } from "./exchange.ts";
import { renderer, requireVerb, type ResourceCall, sendWritten } from "./resource-call.ts";
import { sendList } from "./respond.ts";

export async function serveDelete(call: ResourceCall): Promise<void> {
  const { server, exchange, kind, path, context, decode } = call;
  const { options, dryRun } = deleteOptions((await readObject(exchange.request, decode, false)).value, exchange.query);
  context.dryRun = dryRun;
  if (path.name === "") {
    requireVerb(kind, "deletecollection");
    await deleteCollection(call, options);
    return;
  }
  requireVerb(kind, "delete");
  const deleted = await remove(server.store, kind, path.namespace, path.name, options, context);
  if (kind.returnsDeletedObject || !deleted.removed) {
    sendWritten(call, deleted);
    return;
  }
  sendJson(exchange, 200, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: {
      name: path.name,
      ...(kind.group === "" ? {} : { group: kind.group }),
      kind: kind.resource,
      uid: deleted.entry!.uid,
    },
  });
}

async function deleteCollection(call: ResourceCall, options: DeleteOptions): Promise<void> {
  const { server, exchange, kind, path, context } = call;
  const { store } = server;
  const selection = selectionOf(kind, path.namespace, "", exchange.query);
  const bucket = store.bucket(kind.bucket);
  const entries = (bucket.list({ namespace: selection.namespace }) ?? []).filter((entry) =>
    selects(selection, bucket, entry),
  );
  // Gone, or another of that name by now: what was asked for is done.
  const removeOne = ({ namespace, name, uid }: Entry): Promise<unknown> =>
    remove(store, kind, namespace, name, { ...options, uid }, context).catch(unlessOvertaken);
  const pieces = new Pieces();
  let underWay: Promise<unknown>[] = [];
  for (const entry of entries) {
    underWay.push(removeOne(entry));
    if (!pieces.isOver) continue;
    await Promise.all(underWay);
    underWay = [];
    pieces.begin();
  }
  await Promise.all(underWay);
  const render = renderer(call);
  const result = { entries, resourceVersion: store.resourceVersion, continueToken: undefined, remaining: undefined };
  await sendList(exchange, result, render);
}
