import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Registry } from "./registry/registry.ts";
import type { Store } from "./storage/store.ts";

const resolutionMilliseconds = 5;

/** Counters of the server, printed in the Prometheus text format. */
export class Metrics {
  private readonly requests = new Map<string, { count: number; seconds: number }>();
  private readonly delay = monitorEventLoopDelay({ resolution: resolutionMilliseconds });
  watchers = 0;

  constructor() {
    this.delay.enable();
  }

  request(verb: string, resource: string, code: number, seconds: number): void {
    const key = `verb="${verb}",resource="${resource}",code="${code}"`;
    const counter = this.requests.get(key);
    if (counter === undefined) this.requests.set(key, { count: 1, seconds });
    else {
      counter.count++;
      counter.seconds += seconds;
    }
  }

  print(store: Store, registry: Registry): string {
    const lines: string[] = [];
    const family = (name: string, type: string, help: string, samples: [labels: string, value: number][]): void => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const [labels, value] of samples) lines.push(`${name}${labels === "" ? "" : `{${labels}}`} ${value}`);
    };
    const requests = [...this.requests];
    family(
      "apiserver_request_total",
      "counter",
      "Requests answered.",
      requests.map(([labels, one]) => [labels, one.count]),
    );
    family(
      "apiserver_request_seconds_total",
      "counter",
      "Time from a request's arrival to its answer, watches left out.",
      requests.map(([labels, one]) => [labels, one.seconds]),
    );
    family("apiserver_watchers", "gauge", "Watches that are open.", [["", this.watchers]]);
    const kinds = registry.stored();
    family(
      "apiserver_storage_objects",
      "gauge",
      "Objects stored.",
      kinds.map((kind) => [`resource="${kind.bucket}"`, store.bucket(kind.bucket).entries.size]),
    );
    family(
      "apiserver_storage_bytes",
      "gauge",
      "Bytes of JSON of the objects stored.",
      kinds.map((kind) => [`resource="${kind.bucket}"`, store.bucket(kind.bucket).bytes]),
    );
    family("apiserver_storage_resource_version", "counter", "The newest visible resource version.", [
      ["", store.resourceVersion],
    ]);
    family("apiserver_storage_commits_total", "counter", "Transactions made durable.", [["", store.commits.count]]);
    family("apiserver_storage_writes_total", "counter", "Writes in those transactions.", [["", store.commits.writes]]);
    // What is recorded is the time between two looks, and those are so far apart by themselves.
    const seconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - resolutionMilliseconds / 1000);
    family("nodejs_eventloop_delay_seconds", "gauge", "Delay of the event loop since the last scrape.", [
      ['quantile="0.5"', seconds(this.delay.percentile(50))],
      ['quantile="0.99"', seconds(this.delay.percentile(99))],
      ['quantile="1"', seconds(this.delay.max)],
    ]);
    this.delay.reset();
    family("process_resident_memory_bytes", "gauge", "Resident memory.", [["", process.memoryUsage.rss()]]);
    return `${lines.join("\n")}\n`;
  }

  stop(): void {
    this.delay.disable();
  }
}
