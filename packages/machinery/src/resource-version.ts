/** Resource versions: decimal strings without leading zero, of any length. */

/** Negative, zero or positive as `a` is older than, equal to or newer than `b`. Both must be well formed. */
export function compareResourceVersions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether a text is a resource version that an object may have: not `0`, not empty. */
export function isResourceVersion(text: string): boolean {
  return /^[1-9][0-9]*$/.test(text);
}
