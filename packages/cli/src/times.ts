/** Times and durations as people read them. */

/** `14:05:00` of today, else `2026-11-22 14:05:00`; in the zone of who asks. */
export function formatTime(time: string | undefined, now = new Date()): string | undefined {
  if (time === undefined) return undefined;
  const at = new Date(time);
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  if (at.toDateString() === now.toDateString()) return clock;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`;
}

/** `1-02:03:04`, `2:03:04`, `3:04`: as squeue prints durations. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return `${days}-${two(hours)}:${two(minutes)}:${two(whole % 60)}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** `in 5 min`, `in 2 h 10 min`, `now`: how long until then. */
export function formatWait(until: string, now = Date.now()): string {
  const seconds = Math.round((Date.parse(until) - now) / 1000);
  if (seconds <= 0) return "now";
  if (seconds < 90) return `in ${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `in ${minutes} min`;
  if (minutes < 48 * 60) return `in ${Math.floor(minutes / 60)} h${minutes % 60 === 0 ? "" : ` ${minutes % 60} min`}`;
  return `in ${Math.round(minutes / 1440)} d`;
}

/** `1.5 GiB`, `200 MiB`, `0 B`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Whole seconds since 1970. */
export function seconds(time: string | null | undefined): number | undefined {
  return time === undefined || time === null ? undefined : Math.floor(Date.parse(time) / 1000);
}
