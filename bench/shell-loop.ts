/** The peer of every launch benchmark: the same commands spawned by a shell loop, in the same run. */
import { spawnSync } from "node:child_process";

/** Seconds that `sh` takes to run `command` `count` times, one after the other, or `parallel` at a time. */
export function shellLoopSeconds(command: string, count: number, parallel = 1): number {
  const body =
    parallel === 1
      ? `i=0; while [ $i -lt ${count} ]; do ${command}; i=$((i+1)); done`
      : `i=0; while [ $i -lt ${count} ]; do j=0; while [ $j -lt ${parallel} ]; do ${command} & j=$((j+1)); done; wait; i=$((i+${parallel})); done`;
  const began = process.hrtime.bigint();
  const result = spawnSync("sh", ["-c", body], { stdio: "ignore" });
  if (result.status !== 0) throw new Error(`the shell loop ended with ${result.status}`);
  return Number(process.hrtime.bigint() - began) / 1e9;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Minimum, median and maximum, rounded to `digits`. */
export function spread(values: number[], digits = 1): { min: number; median: number; max: number } {
  const round = (value: number): number => Number(value.toFixed(digits));
  return { min: round(Math.min(...values)), median: round(median(values)), max: round(Math.max(...values)) };
}
