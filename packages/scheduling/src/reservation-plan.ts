import type { NodeRecord, NodeTable } from "./nodes.ts";
import { applyCharges } from "./charges.ts";
import type { JobRecord, ReservationRecord } from "./records.ts";
import type { Time } from "./types.ts";

/** The reservations in force: what they take is missing from the timelines of their nodes. */
export class ReservationPlan {
  readonly reserved = new Set<JobRecord>();
  /** Jobs whose reservation was taken out of the timelines and awaits the next pass. */
  readonly lifted = new Set<JobRecord>();
  /** Something became free since the last pass, so that reservations may move to the front. */
  gained = false;
  /** More changed than the log of gains tells (nodes, queues): every reservation is planned anew. */
  unsure = false;
  readonly #table: NodeTable;
  readonly #touched: Set<JobRecord>;

  /** Jobs whose reservation changes are added to `touched`. */
  constructor(table: NodeTable, touched: Set<JobRecord>) {
    this.#table = table;
    this.#touched = touched;
  }

  /** Nodes or queues changed: what was planned may be neither possible nor the best. */
  doubt(): void {
    this.gained = true;
    this.unsure = true;
  }

  set(job: JobRecord, reservation: ReservationRecord): void {
    job.reservation = reservation;
    this.#table.gains.isRecording = true;
    reservation.testedAt = this.#table.gains.end;
    job.lifted = undefined;
    this.lifted.delete(job);
    this.reserved.add(job);
    this.#touched.add(job);
    for (const { node } of reservation.charges) node.reserved.add(job);
  }

  /** Takes a reservation out of the timelines for now; the next pass puts it back if it still fits, or plans anew. */
  lift(job: JobRecord): void {
    const { reservation } = job;
    if (reservation === undefined) return;
    applyCharges(this.#table, reservation.charges, reservation.start, reservation.end, 1);
    for (const { node } of reservation.charges) node.reserved.delete(job);
    job.reservation = undefined;
    job.lifted = reservation;
    this.reserved.delete(job);
    this.lifted.add(job);
    this.#touched.add(job);
  }

  /** Takes the mark of a reservation away and leaves what it takes in the timelines, for the run that it becomes. */
  claim(job: JobRecord): ReservationRecord {
    const reservation = job.reservation!;
    for (const { node } of reservation.charges) {
      node.reserved.delete(job);
      // Time alone changed what is free there now.
      this.#table.touch(node);
    }
    job.reservation = undefined;
    this.reserved.delete(job);
    this.#touched.add(job);
    return reservation;
  }

  drop(job: JobRecord): void {
    if (job.reservation !== undefined) {
      this.lift(job);
      this.gained = true;
    }
    job.lifted = undefined;
    this.lifted.delete(job);
  }

  /** After a pass all reservations are as good as they can be. */
  endPass(): void {
    this.gained = false;
    this.unsure = false;
    const { gains } = this.#table;
    let oldest = gains.end;
    for (const job of this.reserved) oldest = Math.min(oldest, job.reservation!.testedAt);
    gains.forgetBefore(oldest);
    gains.isRecording = this.reserved.size > 0;
  }

  /** After something took more of a node than was planned: reservations that can no longer hold there give way. */
  repair(node: NodeRecord, now: Time): void {
    if (node.reserved.size === 0) return;
    if (node.views === undefined) {
      node.timeline.advance(now);
      if (node.timeline.free.every((amount) => amount >= 0)) return;
      for (const job of node.reserved) this.lift(job);
      return;
    }
    for (const job of node.reserved) {
      const { charges, start, end } = job.reservation!;
      const views = charges.filter((charge) => charge.node.views === node.views);
      if (views.some((charge) => charge.node.timeline.leastFree(start, end).some((amount) => amount < 0)))
        this.lift(job);
    }
  }
}
