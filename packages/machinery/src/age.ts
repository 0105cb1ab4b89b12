/** Durations as kubectl shows them: two or three significant figures. */

/** `5s`, `2m3s`, `12m`, `3h20m`, `47h`, `6d4h`, `200d`, `3y10d`. Negative by more than a second: `<invalid>`. */
export function humanDuration(seconds: number): string {
  const whole = Math.trunc(seconds);
  if (whole < -1) return "<invalid>";
  if (whole < 0) return "0s";
  if (whole < 120) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(whole / 3600);
  const days = Math.floor(hours / 24);
  const pair = (large: number, unit: string, small: number, smallUnit: string): string =>
    small === 0 ? `${large}${unit}` : `${large}${unit}${small}${smallUnit}`;
  if (minutes < 10) return pair(minutes, "m", whole % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  if (hours < 8) return pair(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  if (hours < 192) return pair(days, "d", hours % 24, "h");
  if (hours < 17520) return `${days}d`;
  const years = Math.floor(days / 365);
  return hours < 70080 ? pair(years, "y", days % 365, "d") : `${years}y`;
}

/** The age of an RFC 3339 time at `nowMilliseconds`; `<unknown>` where there is none, `<invalid>` where it is no time. */
export function translateTimestampSince(timestamp: unknown, nowMilliseconds: number): string {
  if (timestamp === undefined || timestamp === null || timestamp === "") return "<unknown>";
  const time = typeof timestamp === "string" ? Date.parse(timestamp) : Number.NaN;
  return Number.isNaN(time) ? "<invalid>" : humanDuration((nowMilliseconds - time) / 1000);
}
