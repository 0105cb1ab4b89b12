/** What the controllers count of themselves, in Prometheus' text format (version 0.0.4). */

export type Labels = Readonly<Record<string, string>>;

interface Series {
  help: string;
  type: "counter" | "gauge" | "histogram";
  lines(name: string): Iterable<string>;
}

/** One set of series. A name that is given again replaces the series of before, as a new leader's gauges do. */
export class Metrics {
  readonly #series = new Map<string, Series>();

  /** Only grows. Returns what adds to it. */
  counter(name: string, help: string): (labels?: Labels, amount?: number) => void {
    const values = new Map<string, number>();
    this.#series.set(name, {
      help,
      type: "counter",
      *lines(of) {
        if (values.size === 0) yield `${of} 0`;
        for (const [labels, value] of values) yield `${of}${labels} ${value}`;
      },
    });
    return (labels, amount = 1) => {
      const key = render(labels);
      values.set(key, (values.get(key) ?? 0) + amount);
    };
  }

  /** Read when it is asked for. */
  gauge(name: string, help: string, read: () => number | Iterable<readonly [Labels, number]>): void {
    this.#series.set(name, {
      help,
      type: "gauge",
      *lines(of) {
        const value = read();
        if (typeof value === "number") yield `${of} ${value}`;
        else for (const [labels, each] of value) yield `${of}${render(labels)} ${each}`;
      },
    });
  }

  /** @param bounds ascending upper bounds; the last, of infinity, is added */
  histogram(name: string, help: string, bounds: readonly number[]): (value: number) => void {
    const counts = Array.from({ length: bounds.length + 1 }, () => 0);
    let sum = 0;
    this.#series.set(name, {
      help,
      type: "histogram",
      *lines(of) {
        let below = 0;
        for (const [index, count] of counts.entries()) {
          below += count;
          yield `${of}_bucket{le="${bounds[index] ?? "+Inf"}"} ${below}`;
        }
        yield `${of}_sum ${sum}`;
        yield `${of}_count ${below}`;
      },
    });
    return (value) => {
      const index = bounds.findIndex((bound) => value <= bound);
      counts[index < 0 ? bounds.length : index]! += 1;
      sum += value;
    };
  }

  text(): string {
    let text = "";
    for (const [name, { help, type, lines }] of this.#series) {
      text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
      for (const line of lines(name)) text += `${line}\n`;
    }
    return text;
  }
}

function render(labels: Labels = {}): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
