import type { Entry } from "../storage/entry.ts";
import type { ListResult } from "../registry/list.ts";
import type { Renderer } from "../registry/render.ts";
import type { WatchSink } from "../registry/watch.ts";
import type { Exchange, Response } from "./exchange.ts";
import { sendBytes } from "./exchange.ts";
import { nextTurn, Pieces } from "../turn.ts";

/** Lists above this are written in pieces, and so are those whose making takes long. */
const pieceBytes = 256 << 10;

function chunk(entries: readonly Entry[], from: number, renderer: Renderer): { bytes: Buffer; next: number } {
  const parts: Buffer[] = [];
  let size = 0;
  let next = from;
  const pieces = new Pieces();
  while (next < entries.length && size < pieceBytes && !pieces.isOver) {
    if (next > 0) parts.push(comma);
    const item = renderer.item(entries[next++]!);
    parts.push(item);
    size += item.length;
  }
  return { bytes: Buffer.concat(parts), next };
}

const comma = Buffer.from(",");

/** Writes a list as it was chosen; a large one in pieces at the client's pace. */
export async function sendList(exchange: Exchange, result: ListResult, renderer: Renderer): Promise<void> {
  const metadata: Record<string, unknown> = { resourceVersion: String(result.resourceVersion) };
  if (result.continueToken !== undefined) metadata["continue"] = result.continueToken;
  if (result.remaining !== undefined) metadata["remainingItemCount"] = result.remaining;
  const head = Buffer.from(renderer.listHead(metadata));
  const tail = Buffer.from(renderer.listTail);
  const { entries } = result;
  let { bytes, next } = chunk(entries, 0, renderer);
  if (next === entries.length) {
    sendBytes(exchange, 200, Buffer.concat([head, bytes, tail]), "application/json");
    return;
  }
  const { response } = exchange;
  response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
  response.write(head);
  for (;;) {
    const more = response.write(bytes);
    if (next === entries.length) break;
    if (more) await nextTurn();
    else await drained(response);
    if (response.destroyed) return;
    ({ bytes, next } = chunk(entries, next, renderer));
  }
  response.end(tail);
}

function drained(response: Response): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

/** The sink of a watch over HTTP: headers go out at once, since client-go blocks until they do. */
export function responseSink(response: Response): WatchSink {
  response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
  response.flushHeaders();
  return {
    write: (frame) => response.write(frame),
    get buffered() {
      return response.writableLength;
    },
    onDrain: (listener) => response.on("drain", listener),
    end: () => response.end(),
  };
}
