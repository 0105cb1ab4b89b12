/** Why a job is not let in. */

/** A closed list; `Admitted` is False with one of these, and a message that says what would be right. */
export type RefusalReason =
  | "NoOwner"
  | "NotTheOwner"
  | "UnknownUser"
  | "UnknownQueue"
  | "QueueNotAllowed"
  | "QueueUnavailable"
  | "UnknownAccount"
  | "NotInAccount"
  | "InvalidAccount"
  | "UnknownQualityOfService"
  | "QualityOfServiceNotAllowed"
  | "UnknownReservation"
  | "ReservationNotAllowed"
  | "WallTimeTooLong"
  | "NodeConfigurationUnavailable"
  | "UnknownNode"
  | "NoImage"
  | "UnknownLicence"
  | "InvalidArray"
  | "UnknownDependency"
  | "TooManyJobs"
  | "LimitExceeded"
  | "UnsupportedField";

export interface Refusal {
  reason: RefusalReason;
  message: string;
}

export function refuse(reason: RefusalReason, message: string): Refusal {
  return { reason, message };
}

/** Names of what exists, for a message: at most eight. */
export function listOf(names: Iterable<string>): string {
  const all = [...new Set(names)].sort();
  return all.length === 0 ? "there are none" : `there are ${all.slice(0, 8).join(", ")}${all.length > 8 ? ", …" : ""}`;
}
