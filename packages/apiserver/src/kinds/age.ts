/** A duration as kubectl shows ages: two units at most, coarser the longer it is (`45s`, `5m3s`, `3h20m`, `12d`). */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const two = (large: number, unit: string, small: number, smallUnit: string): string =>
    `${large}${unit}${small === 0 ? "" : `${small}${smallUnit}`}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return two(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return two(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return two(days, "d", hours % 24, "h");
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  if (years < 8) return two(years, "y", days % 365, "d");
  return `${years}y`;
}

/** Time since a timestamp; `<unknown>` where there is none. */
export function age(time: string | undefined, now: number): string {
  const begin = Date.parse(time ?? "");
  return Number.isNaN(begin) ? "<unknown>" : humanDuration(now - begin);
}
