/** An error meant for the person who started Berth: its message says what, where and what would be right. */
export class Refusal extends Error {
  override name = "Refusal";
}

/** The message of whatever was thrown, for people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
