/** Tells the core of advance reservations, and operators what became of them. */
import { isReason } from "@berth/client";
import type { Reservation, ReservationStatus } from "@berth/kinds";
import { reservationInput, reservations } from "@berth/kinds";
import { type ClusterState, SchedulingError } from "@berth/scheduling";
import { type Context, timestamp } from "../context.ts";
import type { Stores } from "../stores.ts";
import { condition } from "../workload/status.ts";
import type { Writer } from "../writer.ts";

/** How often one that was refused is tried again: what stands in its way may end. */
const retryMs = 30_000;

export class ReservationFeed {
  readonly #context: Context;
  readonly #stores: Stores;
  readonly #writer: Writer;
  readonly #changed: () => void;
  #core!: ClusterState;
  /** Why the core does not take it, by name. */
  readonly #refused = new Map<string, string>();
  /** Statuses as last written, or found. */
  readonly #told = new Map<string, string>();
  /** Seconds since 1970 at which the next window begins or ends. */
  #nextBoundary = -Infinity;
  #retryTimer: NodeJS.Timeout | undefined;

  /** @param changed called when the core was told something by a retry */
  constructor(context: Context, stores: Stores, writer: Writer, changed: () => void) {
    this.#context = context;
    this.#stores = stores;
    this.#writer = writer;
    this.#changed = changed;
    context.signal.addEventListener("abort", () => clearTimeout(this.#retryTimer), { once: true });
  }

  /** Tells a new state all that stood; the others are for {@link retry}, when its jobs are there. */
  feed(core: ClusterState): void {
    this.#core = core;
    this.#refused.clear();
    for (const reservation of this.#stores.reservations.values()) {
      const accepted = reservation.status?.conditions?.find(({ type }) => type === "Accepted");
      if (accepted?.status === "True") this.#put(reservation);
      else this.#refused.set(reservation.metadata.name, accepted?.message ?? "");
    }
    this.nodesChanged();
  }

  put(reservation: Reservation): void {
    this.#put(reservation);
    this.nodesChanged();
    this.#retryLater();
  }

  remove(name: string): void {
    this.#told.delete(name);
    if (!this.#refused.delete(name)) this.#core.removeReservation(name);
    this.nodesChanged();
  }

  /** Nodes that are reserved may be others now. */
  nodesChanged(): void {
    this.#nextBoundary = -Infinity;
  }

  /** Tries again what was refused. */
  retry(): void {
    for (const name of Array.from(this.#refused.keys())) {
      const reservation = this.#stores.reservations.get(undefined, name);
      if (reservation === undefined) this.#refused.delete(name);
      else this.#put(reservation);
    }
    this.nodesChanged();
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#refused.size === 0 || this.#context.signal.aborted) return;
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined;
      const before = this.#refused.size;
      this.retry();
      if (this.#refused.size < before) this.#changed();
    }, retryMs);
  }

  #put(reservation: Reservation): void {
    const { name } = reservation.metadata;
    try {
      this.#core.putReservation(reservationInput(reservation));
      this.#refused.delete(name);
    } catch (error) {
      // A RangeError: there is no such time zone.
      if (!(error instanceof SchedulingError || error instanceof RangeError)) throw error;
      // What it was before, if it was, does not stand beside what it is now said to be.
      if (!this.#refused.has(name) && this.#core.advanceReservations(0).some((known) => known.name === name)) {
        this.#core.removeReservation(name);
      }
      this.#refused.set(name, error.message);
    }
  }

  /** To be called after each decision: writes what changed. Looks only when a window began or ended, or something was told. */
  tell(now: number): void {
    if (now < this.#nextBoundary) return;
    this.#nextBoundary = Infinity;
    for (const { name, phase, startTime, endTime, nodes } of this.#core.advanceReservations(now)) {
      const boundary = phase === "Pending" ? startTime : phase === "Active" ? endTime : Infinity;
      this.#nextBoundary = Math.min(this.#nextBoundary, boundary);
      this.#write(name, {
        phase,
        startTime: timestamp(startTime * 1000),
        endTime: timestamp(endTime * 1000),
        nodes,
      });
    }
    for (const name of this.#refused.keys()) this.#write(name, {});
  }

  #write(name: string, status: ReservationStatus): void {
    const reservation = this.#stores.reservations.get(undefined, name);
    if (reservation === undefined) return;
    const { generation } = reservation.metadata;
    const refusal = this.#refused.get(name);
    const text = JSON.stringify([status, refusal, generation]);
    if (this.#told.get(name) === text) return;
    this.#told.set(name, text);
    const { conditions: known = [], ...found } = reservation.status ?? {};
    const before = known.find(({ type }) => type === "Accepted");
    const isSame = before !== undefined && (before.status === "False") === (refusal !== undefined);
    const now = isSame ? before.lastTransitionTime : timestamp(this.#context.now());
    const accepted =
      refusal === undefined
        ? condition("Accepted", "True", "Accepted", "it is planned for", now, generation)
        : condition("Accepted", "False", "Refused", refusal, now, generation);
    const same =
      isSame &&
      before.message === accepted.message &&
      before.observedGeneration === generation &&
      JSON.stringify(found) === JSON.stringify(status);
    if (same) return;
    const gone = { phase: null, startTime: null, endTime: null, nodes: null };
    const patch = { ...gone, ...status, conditions: [...known.filter(({ type }) => type !== "Accepted"), accepted] };
    const { client, log, signal } = this.#context;
    this.#writer
      .run(() => client.patchStatus<Reservation>(reservations, name, { status: patch }))
      .catch((error: unknown) => {
        if (signal.aborted || isReason(error, "NotFound", "Conflict")) return;
        this.#told.delete(name);
        log("warn", `telling of reservation ${name} failed: ${(error as Error).message}`);
      });
  }
}
