import { ApiError, badRequest, fieldForbidden, invalid } from "@berth/machinery";
import type { Bucket } from "../storage/bucket.ts";
import type { Entry, StoreEvent } from "../storage/entry.ts";
import type { Store } from "../storage/store.ts";
import type { Kind } from "./kind.ts";
import { parseResourceVersion, waitForResourceVersion } from "./list.ts";
import type { Renderer } from "./render.ts";
import type { Selection } from "./selection.ts";
import { selects, triggerOf } from "./selection.ts";
import { Pieces } from "../turn.ts";

/** Where the frames of a watch go: an HTTP response, or a WebSocket. */
export interface WatchSink {
  /** False: wait for `onDrain` before more of the initial state is written. */
  write: (frame: Buffer) => boolean;
  /** Bytes written and not yet taken by the client. */
  readonly buffered: number;
  onDrain: (listener: () => void) => void;
  end: () => void;
}

export interface WatchRequest {
  selection: Selection;
  /** `undefined` and 0: begin with the present state. */
  resourceVersion: number | undefined;
  sendInitialEvents: boolean | undefined;
  bookmarks: boolean;
  timeoutSeconds: number;
}

const initialEventsEnd = { "k8s.io/initial-events-end": "true" };
/** A client that leaves more than this unread is cut off; it will list and watch again. */
const largestBacklogBytes = 16 << 20;
const pieceBytes = 256 << 10;
const bookmarkMilliseconds = 60_000;

/** Reads and checks a watch's parameters; waits for a resource version in the near future where the rules say so. */
export async function watchRequest(store: Store, selection: Selection, query: URLSearchParams): Promise<WatchRequest> {
  const resourceVersion = parseResourceVersion(query.get("resourceVersion"));
  const initial = query.get("sendInitialEvents");
  const match = query.get("resourceVersionMatch") || undefined;
  const sendInitialEvents = initial === null || initial === "" ? undefined : initial === "true" || initial === "1";
  const refuse = (field: string, detail: string): never => {
    throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", [fieldForbidden(field, detail)]);
  };
  if (sendInitialEvents === undefined) {
    if (match !== undefined) {
      refuse(
        "resourceVersionMatch",
        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
      );
    }
  } else if (match !== "NotOlderThan") {
    refuse("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  }
  if (sendInitialEvents === true && resourceVersion !== undefined) await waitForResourceVersion(store, resourceVersion);
  return {
    selection,
    resourceVersion,
    sendInitialEvents,
    bookmarks: isTrue(query.get("allowWatchBookmarks")),
    timeoutSeconds: parseTimeout(query.get("timeoutSeconds")),
  };
}

export function isTrue(value: string | null): boolean {
  return value === "1" || value?.toLowerCase() === "true";
}

function parseTimeout(text: string | null): number {
  // As Kubernetes: between 30 and 60 minutes, spread so that not all come back at once.
  if (text === null || text === "") return 1800 + Math.random() * 1800;
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 0) {
    throw badRequest(`timeoutSeconds ${JSON.stringify(text)} is not a whole number of seconds`);
  }
  return seconds === 0 ? 1800 + Math.random() * 1800 : Math.min(seconds, 2_000_000);
}

/** Frames that watchers share: kept until all that have heard of a commit have written it. */
const shared = new Map<Entry, Map<string, Buffer>>();

/** Watchers with events to write. Many of them are served in pieces, so that the event loop is not held. */
const flushing = new Set<Watcher>();
let flushScheduled = false;

function scheduleFlush(watcher: Watcher): void {
  flushing.add(watcher);
  if (flushScheduled) return;
  flushScheduled = true;
  process.nextTick(flushSlice);
}

function flushSlice(): void {
  const pieces = new Pieces();
  for (const watcher of flushing) {
    flushing.delete(watcher);
    watcher.flush();
    if (flushing.size > 0 && pieces.isOver) {
      setImmediate(flushSlice);
      return;
    }
  }
  flushScheduled = false;
  shared.clear();
}

function sharedFrame(kind: Kind, type: string, entry: Entry, make: () => Buffer): Buffer {
  let frames = shared.get(entry);
  if (frames === undefined) shared.set(entry, (frames = new Map()));
  const key = `${type}/${kind.group}/${kind.version}`;
  let made = frames.get(key);
  if (made === undefined) frames.set(key, (made = make()));
  return made;
}

const tail = Buffer.from("}\n");

function frame(type: string, object: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), object, tail]);
}

/** One watch, from its start to its end. All times out, ends by `stop`, or when its client reads too slowly. */
export class Watcher {
  private readonly kind: Kind;
  private readonly bucket: Bucket;
  private readonly store: Store;
  private readonly request: WatchRequest;
  private readonly renderer: Renderer;
  private readonly sink: WatchSink;
  private unsubscribe: () => void = () => {};
  private readonly timers: NodeJS.Timeout[] = [];
  /** Initial entries not yet written; events wait behind them. */
  private initial: Entry[] = [];
  private initialNext = 0;
  private initialResourceVersion = 0;
  private initialDone = true;
  private waiting: StoreEvent[] = [];
  private first = true;
  private ended = false;

  constructor(store: Store, kind: Kind, request: WatchRequest, renderer: Renderer, sink: WatchSink) {
    this.store = store;
    this.kind = kind;
    this.bucket = store.bucket(kind.bucket);
    this.request = request;
    this.renderer = renderer;
    this.sink = sink;
  }

  start(): void {
    const { resourceVersion, sendInitialEvents, selection, bookmarks, timeoutSeconds } = this.request;
    const fromState = sendInitialEvents === true || (sendInitialEvents === undefined && (resourceVersion ?? 0) === 0);
    this.sink.onDrain(() => this.continueInitial());
    if (fromState) {
      this.initial = (this.bucket.list({ namespace: selection.namespace }) ?? []).filter((entry) =>
        selects(selection, this.bucket, entry),
      );
      this.initialResourceVersion = this.store.resourceVersion;
      this.initialDone = false;
    } else if (resourceVersion !== undefined && resourceVersion > 0) {
      const events = this.bucket.since(resourceVersion);
      if (events === undefined) {
        this.fail(new ApiError(410, "Expired", `too old resource version: ${resourceVersion} (${this.bucket.floor})`));
        return;
      }
      this.waiting = events.slice();
    }
    this.unsubscribe = this.bucket.subscribe({
      trigger: triggerOf(selection),
      deliver: (events) => this.deliver(events),
    });
    const milliseconds = timeoutSeconds * 1000;
    this.timers.push(setTimeout(() => this.end(), milliseconds));
    if (bookmarks) {
      this.timers.push(setInterval(() => this.bookmark(), bookmarkMilliseconds));
      if (milliseconds > 4000) this.timers.push(setTimeout(() => this.bookmark(), milliseconds - 2000));
    }
    if (fromState) this.continueInitial();
    else this.flush();
  }

  private continueInitial(): void {
    if (this.initialDone || this.ended) return;
    let more = true;
    while (more && this.initialNext < this.initial.length) {
      const frames: Buffer[] = [];
      let size = 0;
      const pieces = new Pieces();
      while (size < pieceBytes && !pieces.isOver && this.initialNext < this.initial.length) {
        const entry = this.initial[this.initialNext++]!;
        const bytes = frame("ADDED", this.renderer.event(entry, entry.resourceVersion, this.takeFirst()));
        frames.push(bytes);
        size += bytes.length;
      }
      more = this.sink.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
      if (more && this.initialNext < this.initial.length) {
        // Lets others have the event loop in between.
        setImmediate(() => this.continueInitial());
        return;
      }
    }
    if (this.initialNext < this.initial.length) return;
    this.initialDone = true;
    this.initial = [];
    if (this.request.sendInitialEvents === true && this.request.bookmarks) {
      this.write(
        frame("BOOKMARK", this.renderer.bookmark(this.initialResourceVersion, initialEventsEnd, this.takeFirst())),
      );
    }
    this.flush();
  }

  private deliver(events: readonly StoreEvent[]): void {
    for (const event of events) this.waiting.push(event);
    if (this.initialDone) scheduleFlush(this);
    else if (this.waiting.length > 20_000) this.end();
  }

  /** Writes the events that wait, in one piece. */
  flush(): void {
    if (this.waiting.length === 0 || this.ended) return;
    const events = this.waiting;
    this.waiting = [];
    const frames: Buffer[] = [];
    for (const event of events) {
      // A plain watch may begin at a resource version that is still to come.
      if (event.resourceVersion <= (this.request.resourceVersion ?? 0) && this.initialResourceVersion === 0) continue;
      const bytes = this.frameOf(event);
      if (bytes !== undefined) frames.push(bytes);
    }
    if (frames.length > 0) this.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }

  private frameOf(event: StoreEvent): Buffer | undefined {
    const { selection } = this.request;
    const now = event.type !== "DELETED" && selects(selection, this.bucket, event.entry);
    const before = event.previous !== undefined && selects(selection, this.bucket, event.previous);
    if (!now && !before) return undefined;
    if (now) return this.eventFrame(before ? "MODIFIED" : "ADDED", event.entry, event.resourceVersion);
    // Gone, or out of the selection: then the old body, with the version of this event.
    const entry = event.type === "DELETED" ? event.entry : event.previous!;
    return this.eventFrame("DELETED", entry, event.resourceVersion);
  }

  private eventFrame(type: string, entry: Entry, resourceVersion: number): Buffer {
    const { renderer } = this;
    if (!renderer.shared || !flushScheduled || entry.resourceVersion !== resourceVersion) {
      return frame(type, renderer.event(entry, resourceVersion, this.takeFirst()));
    }
    return sharedFrame(this.kind, type, entry, () => frame(type, renderer.event(entry, resourceVersion, false)));
  }

  private takeFirst(): boolean {
    const first = this.first;
    this.first = false;
    return first;
  }

  private bookmark(): void {
    // Dropped rather than queued: what is not yet written would make it a lie.
    if (this.ended || !this.initialDone || this.waiting.length > 0 || this.sink.buffered > 0) return;
    this.write(frame("BOOKMARK", this.renderer.bookmark(this.store.resourceVersion, undefined, this.takeFirst())));
  }

  private write(bytes: Buffer): void {
    if (this.sink.buffered > largestBacklogBytes) {
      this.end();
      return;
    }
    this.sink.write(bytes);
  }

  private fail(error: ApiError): void {
    this.sink.write(frame("ERROR", Buffer.from(JSON.stringify(error.status))));
    this.end();
  }

  stop(): void {
    this.ended = true;
    this.unsubscribe();
    for (const timer of this.timers) clearTimeout(timer);
    this.waiting = [];
    this.initial = [];
  }

  private end(): void {
    if (this.ended) return;
    this.stop();
    this.sink.end();
  }
}
