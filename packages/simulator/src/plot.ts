/** Plots as SVG text: lines over time, and spreads by name. Colours are classes, so that the page's style fits light and dark. */
import type { Series, WaitSpread } from "./series.ts";

export interface Line {
  name: string;
  series: Series;
  /** Number of its colour, from 0. */
  colour: number;
  /** Drawn across in the same colour, dashed. */
  level?: number;
  /** Filled down to the axis. */
  filled?: boolean;
}

const width = 760;
const left = 62;
const right = 16;
const top = 12;
const bottom = 34;

export function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const round = (value: number): string => String(Math.round(value * 100) / 100);

/** Lines over time. `format` writes the values of the upright axis. */
export function linePlot(
  lines: readonly Line[],
  options: { title: string; startTime: number; height?: number; most?: number; format: (value: number) => string },
): string {
  const height = options.height ?? 220;
  const first = lines[0]?.series ?? { from: 0, bucketSeconds: 1, values: [] };
  const from = first.from;
  const to = from + Math.max(1, first.values.length) * first.bucketSeconds;
  const highest = Math.max(...lines.flatMap(({ series, level }) => [...series.values, level ?? 0]), 0) || 1;
  const ticks = niceTicks(options.most ?? highest, 4);
  const most = options.most ?? Math.max(ticks.at(-1)!, highest);
  const x = (time: number): number => left + ((time - from) / (to - from)) * (width - left - right);
  const y = (value: number): number => height - bottom - (value / most) * (height - top - bottom);
  const parts = [...grid(ticks, y, options.format), ...timeAxis(from, to, options.startTime, x, height)];
  for (const { series, colour, level, filled, name } of lines) {
    const points = series.values.flatMap((value, index) => {
      const begin = series.from + index * series.bucketSeconds;
      return [
        `${round(x(begin))},${round(y(value))}`,
        `${round(x(Math.min(to, begin + series.bucketSeconds)))},${round(y(value))}`,
      ];
    });
    if (points.length === 0) continue;
    const label = `<title>${escapeText(name)}</title>`;
    if (filled === true) {
      parts.push(
        `<polygon class="fill c${colour}" points="${round(x(from))},${round(y(0))} ${points.join(" ")} ${round(x(to))},${round(y(0))}"/>`,
      );
    }
    parts.push(`<polyline class="line c${colour}" points="${points.join(" ")}">${label}</polyline>`);
    if (level !== undefined) {
      parts.push(
        `<line class="level c${colour}" x1="${left}" x2="${width - right}" y1="${round(y(level))}" y2="${round(y(level))}">${label}</line>`,
      );
    }
  }
  return frame(options.title, height, parts);
}

/** For each name from the quarter that waited least to the quarter that waited most, the median, and 95 % as a whisker. */
export function spreadPlot(rows: readonly WaitSpread[], options: { title: string }): string {
  const step = 26;
  const nameWidth = Math.min(190, 14 + 7 * Math.max(4, ...rows.map(({ name }) => name.length)));
  const countWidth = 76;
  const height = top + rows.length * step + bottom;
  const highest = Math.max(60, ...rows.map(({ most }) => most));
  const x = (seconds: number): number =>
    nameWidth + (Math.log10(1 + seconds / 10) / Math.log10(1 + highest / 10)) * (width - nameWidth - countWidth - 8);
  const parts: string[] = [];
  let lastX = -Infinity;
  for (const seconds of [0, 60, 600, 3600, 6 * 3600, 86_400, 4 * 86_400, 14 * 86_400, 60 * 86_400, 365 * 86_400]) {
    if (seconds > highest || x(seconds) - lastX < 46) continue;
    lastX = x(seconds);
    parts.push(
      `<line class="grid" x1="${round(lastX)}" x2="${round(lastX)}" y1="${top}" y2="${height - bottom}"/>`,
      `<text class="tick" text-anchor="middle" x="${round(lastX)}" y="${height - bottom + 18}">${formatSeconds(seconds)}</text>`,
    );
  }
  for (const [index, { name, jobs, low, median, high, most }] of rows.entries()) {
    const middle = top + index * step + step / 2;
    const words = `${name}: half of ${jobs} jobs waited ${formatSeconds(low)} to ${formatSeconds(high)}, the median ${formatSeconds(median)}, 95 % at most ${formatSeconds(most)}`;
    parts.push(
      `<g><title>${escapeText(words)}</title>`,
      `<text class="name" text-anchor="end" x="${nameWidth - 8}" y="${middle + 4}">${escapeText(shortened(name, 24))}</text>`,
      `<line class="whisker c0" x1="${round(x(high))}" x2="${round(x(most))}" y1="${middle}" y2="${middle}"/>`,
      `<rect class="box c0" rx="3" x="${round(x(low))}" y="${middle - 8}" width="${round(Math.max(2, x(high) - x(low)))}" height="16"/>`,
      `<line class="median" x1="${round(x(median))}" x2="${round(x(median))}" y1="${middle - 8}" y2="${middle + 8}"/>`,
      `<text class="tick" text-anchor="end" x="${width - 2}" y="${middle + 4}">${jobs.toLocaleString("en")} jobs</text>`,
      "</g>",
    );
  }
  return frame(options.title, height, parts);
}

/** A time that somebody had a node, or a part of it. */
export interface Placed {
  node: string;
  /** Seconds of the trace. */
  start: number;
  end: number;
  /** What its colour goes by. */
  name: string;
  /** In words, for who points at it. */
  label: string;
  /** Of the node, up to 1. */
  part: number;
  wasCutShort?: boolean;
}

/** Nodes from top to bottom, time from left to right; a bar is as high as its part of the node. */
export function placementPlot(
  placed: readonly Placed[],
  options: { title: string; nodes: readonly string[]; colours: ReadonlyMap<string, number>; startTime: number },
): string {
  const rowHeight = Math.max(4, Math.min(18, 620 / options.nodes.length));
  const height = top + options.nodes.length * rowHeight + bottom;
  const from = Math.min(...placed.map(({ start }) => start), 0);
  const to = Math.max(...placed.map(({ end }) => end), from + 1);
  const x = (time: number): number => left + ((time - from) / (to - from)) * (width - left - right);
  const parts = timeAxis(from, to, options.startTime, x, height);
  for (const [index, node] of options.nodes.entries()) {
    const y = top + index * rowHeight;
    if (index % Math.ceil(options.nodes.length / 12) === 0) {
      parts.push(
        `<text class="tick" text-anchor="end" x="${left - 8}" y="${round(y + rowHeight / 2 + 4)}">${escapeText(shortened(node, 9))}</text>`,
      );
    }
    // Beside each other at the same time, from the top: as much of the node as each has.
    const until: { end: number; from: number; to: number }[] = [];
    const own = placed.filter((one) => one.node === node).sort((a, b) => a.start - b.start);
    for (const { start, end, name, label, part, wasCutShort } of own) {
      const taken = until.filter((one) => one.end > start).sort((a, b) => a.from - b.from);
      let at = 0;
      for (const one of taken) if (at + part > one.from + 1e-9) at = Math.max(at, one.to);
      at = Math.max(0, Math.min(at, 1 - part));
      until.push({ end, from: at, to: at + part });
      const inset = Math.min(0.6, rowHeight / 8);
      const attributes = `x="${round(x(start))}" y="${round(y + at * (rowHeight - inset))}" width="${round(Math.max(0.5, x(end) - x(start) - 0.4))}" height="${round(part * (rowHeight - inset))}"`;
      parts.push(
        `<rect class="bar c${options.colours.get(name) ?? 0}${wasCutShort === true ? " cut" : ""}" ${attributes}><title>${escapeText(label)}</title></rect>`,
      );
    }
  }
  return frame(options.title, height, parts);
}

function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

function frame(title: string, height: number, parts: readonly string[]): string {
  return `<svg role="img" aria-label="${escapeText(title)}" viewBox="0 0 ${width} ${height}">${parts.join("")}</svg>`;
}

function grid(ticks: readonly number[], y: (value: number) => number, format: (value: number) => string): string[] {
  return ticks.flatMap((tick) => [
    `<line class="grid" x1="${left}" x2="${width - right}" y1="${round(y(tick))}" y2="${round(y(tick))}"/>`,
    `<text class="tick" text-anchor="end" x="${left - 8}" y="${round(y(tick) + 4)}">${escapeText(format(tick))}</text>`,
  ]);
}

/** 0 and up to about `count` round numbers, the last not below `highest`. */
function niceTicks(highest: number, count: number): number[] {
  const rough = highest / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999) ?? rough;
  const ticks: number[] = [];
  for (let index = 0; (index - 1) * step < highest * 0.999; index += 1) ticks.push(index * step);
  return ticks;
}

const minute = 60;
const hour = 3600;
const day = 86_400;
const timeSteps = [
  minute,
  5 * minute,
  15 * minute,
  hour,
  2 * hour,
  3 * hour,
  6 * hour,
  12 * hour,
  day,
  2 * day,
  7 * day,
  14 * day,
  28 * day,
  56 * day,
  91 * day,
  182 * day,
  365 * day,
];

/** By the calendar where the trace says when it was, else as time from its start. */
function timeAxis(from: number, to: number, startTime: number, x: (time: number) => number, height: number): string[] {
  const step = timeSteps.find((one) => (to - from) / one <= 9) ?? 365 * day;
  const base = startTime > 0 ? startTime : 0;
  const parts: string[] = [];
  for (let time = Math.ceil((from + base) / step) * step - base; time <= to; time += step) {
    const label = startTime > 0 ? calendarTime(startTime + time, step) : relativeTime(time, step);
    const at = Math.min(width - right - 18, Math.max(left + 4, x(time)));
    parts.push(
      `<line class="grid" x1="${round(x(time))}" x2="${round(x(time))}" y1="${height - bottom}" y2="${height - bottom + 4}"/>`,
      `<text class="tick" text-anchor="middle" x="${round(at)}" y="${height - bottom + 18}">${label}</text>`,
    );
  }
  return parts;
}

function calendarTime(time: number, step: number): string {
  const text = new Date(time * 1000).toISOString();
  return step < day ? (text.slice(11, 16) === "00:00" ? text.slice(5, 10) : text.slice(11, 16)) : text.slice(0, 10);
}

function relativeTime(time: number, step: number): string {
  if (step >= day) return `day ${Math.round(time / day)}`;
  return step >= hour ? `${Math.round(time / hour)} h` : `${Math.round(time / minute)} min`;
}

/** Two units at most: `40 s`, `5 min`, `3 h 20 min`, `2 d 4 h`. */
export function formatSeconds(seconds: number): string {
  const units: [number, string][] = [
    [day, "d"],
    [hour, "h"],
    [minute, "min"],
    [1, "s"],
  ];
  const whole = Math.round(seconds);
  const first = units.findIndex(([length]) => whole >= length);
  if (first < 0) return "0";
  const [length, name] = units[first]!;
  const count = Math.floor(whole / length);
  const next = units[first + 1];
  const rest = next === undefined ? 0 : Math.floor((whole - count * length) / next[0]);
  return rest === 0 || count >= 10 ? `${count} ${name}` : `${count} ${name} ${rest} ${next![1]}`;
}
