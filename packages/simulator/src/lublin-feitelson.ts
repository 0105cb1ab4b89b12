import { gamma, seededRandom } from "./random.ts";
import type { Random } from "./random.ts";
import type { TraceJob } from "./trace.ts";

/**
 * The model of U. Lublin and D. G. Feitelson, "The workload on parallel supercomputers: modeling the characteristics of rigid jobs",
 * J. Parallel and Distributed Computing 63(11), 2003, with the parameters that it gives for all jobs together (no difference between
 * batch and interactive ones).
 */
const sizes = { serial: 0.244, powerOfTwo: 0.576, low: 0.8, belowHigh: 2.5, lowPart: 0.86 };
/** Natural logarithm of the run time: a mixture of two gamma distributions, the first the less likely the larger the job. */
const runTimes = { first: [4.2, 0.94], second: [312, 0.03], perProcessor: -0.0054, base: 0.78, longest: 12 } as const;
/** Natural logarithm of the time between jobs in the rush hours, and how jobs spread over the half hours of a day. */
const arrivals = { between: [10.2303 * 1.0225, 0.4871], day: [8.1737, 3.9631], longest: 13 } as const;

const slotsOfDay = 48;
const slotSeconds = 86_400 / slotsOfDay;
/** The day of the paper's figures begins with this half hour. */
const firstSlot = 11;

/** Beyond the model, which knows neither estimates nor users. */
const longestEstimate = 4;
const userCount = 64;
const groupCount = 8;

export interface LublinFeitelsonOptions {
  jobs: number;
  processors: number;
  seed: number;
  /** Times between jobs are divided by this: 2 is twice the load. Default 1. */
  load?: number;
}

/**
 * A synthetic workload, in order of submission; it begins at midnight. Requested times are drawn between the run time and five times
 * that (the f-model of Mu'alem and Feitelson, IEEE TPDS 12(6), 2001, with f = 4). Users are drawn so that few have most of the jobs;
 * a user's group is fixed.
 */
export function lublinFeitelson(options: LublinFeitelsonOptions): TraceJob[] {
  const { jobs, processors, seed, load = 1 } = options;
  const random = seededRandom(seed);
  const arrive = arrivalsOf(random, load);
  return Array.from({ length: jobs }, (_, index): TraceJob => {
    const submit = Math.floor(arrive());
    const size = processorsOf(random, processors);
    const runSeconds = Math.max(1, Math.floor(runTimeOf(random, size)));
    const user = 1 + Math.floor(userCount * random() ** 2);
    return {
      id: index + 1,
      submit,
      runSeconds,
      requestedSeconds: Math.ceil(runSeconds * (1 + longestEstimate * random())),
      processors: size,
      user: String(user),
      group: String(1 + (user % groupCount)),
      line: index + 1,
    };
  });
}

function processorsOf(random: Random, processors: number): number {
  const kind = random();
  if (kind <= sizes.serial || processors < 2) return 1;
  const high = Math.log2(processors);
  const middle = Math.max(sizes.low, high - sizes.belowHigh);
  const [from, to] = random() <= sizes.lowPart ? [sizes.low, middle] : [middle, high];
  const exponent = from + (to - from) * random();
  const exact = kind <= sizes.serial + sizes.powerOfTwo ? Math.round(exponent) : exponent;
  return Math.min(processors, Math.round(2 ** exact));
}

function runTimeOf(random: Random, processors: number): number {
  const first = Math.min(1, Math.max(0, runTimes.perProcessor * processors + runTimes.base));
  for (;;) {
    const [shape, scale] = random() <= first ? runTimes.first : runTimes.second;
    const logarithm = gamma(random, shape, scale);
    if (logarithm <= runTimes.longest) return Math.exp(logarithm);
  }
}

/**
 * Gives the time of the next job at each call. What is drawn is time of the rush hours; a half hour with fewer jobs has less of it
 * than it has seconds.
 */
function arrivalsOf(random: Random, load: number): () => number {
  const worth = slotWorths();
  let slot = 0;
  /** Seconds of the clock at the begin of the slot, and what of the slot's worth is spent. */
  let slotBegin = 0;
  let spent = 0;
  return () => {
    let points: number;
    do points = gamma(random, ...arrivals.between);
    while (points > arrivals.longest);
    let left = Math.exp(points) / load / slotSeconds;
    while (left > worth[slot]! - spent) {
      left -= worth[slot]! - spent;
      spent = 0;
      slot = (slot + 1) % slotsOfDay;
      slotBegin += slotSeconds;
    }
    spent += left;
    return slotBegin + (spent / worth[slot]!) * slotSeconds;
  };
}

/** Jobs of each half hour of the day, from midnight, on average 1. */
function slotWorths(): number[] {
  const [shape, scale] = arrivals.day;
  // The density without its constant factor, which the average takes out again; by Simpson's rule over each half hour.
  const density = (x: number): number => Math.exp((shape - 1) * Math.log(x) - x / scale);
  const worth = Array.from({ length: slotsOfDay }, () => 0);
  for (let index = firstSlot; index < slotsOfDay + firstSlot; index += 1) {
    worth[(index - 1) % slotsOfDay] = density(index - 0.5) + 4 * density(index) + density(index + 0.5);
  }
  const mean = worth.reduce((sum, one) => sum + one, 0) / slotsOfDay;
  return worth.map((one) => one / mean);
}
