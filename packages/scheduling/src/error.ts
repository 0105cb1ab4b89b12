/** A call that cannot be meant: an unknown or repeated id, a vector that is too long, a negative amount. Says what and where. */
export class SchedulingError extends Error {
  override name = "SchedulingError";
}
