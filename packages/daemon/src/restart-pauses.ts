/** How long to wait before a process that died is started again. */

const shortestMilliseconds = 100;
const longestMilliseconds = 30_000;
/** Who lived this long is taken as well again. */
const wellAfterMilliseconds = 60_000;

/**
 * The pause before the next start, in milliseconds: short after a long life, else twice the one before, up to half a minute.
 * @param previous the last pause, 0 when there was none
 */
export function nextPause(previous: number, livedMilliseconds: number): number {
  if (previous === 0 || livedMilliseconds >= wellAfterMilliseconds) return shortestMilliseconds;
  return Math.min(previous * 2, longestMilliseconds);
}
