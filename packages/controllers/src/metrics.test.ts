import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "./metrics.ts";

test("counters, gauges and histograms are told in Prometheus' text format", () => {
  const metrics = new Metrics();
  const requests = metrics.counter("requests_total", "Requests.");
  const seconds = metrics.histogram("wait_seconds", "Waits.", [0.1, 1]);
  metrics.gauge("jobs", "Jobs.", () => [[{ phase: 'a"b\\c\nd' }, 2]]);
  metrics.gauge("leads", "Leads.", () => 1);
  requests({ code: "200" });
  requests({ code: "200" }, 2);
  for (const value of [0.1, 0.5, 7]) seconds(value);
  assert.equal(
    metrics.text(),
    `# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200"} 3
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.1"} 1
wait_seconds_bucket{le="1"} 2
wait_seconds_bucket{le="+Inf"} 3
wait_seconds_sum 7.6
wait_seconds_count 3
# HELP jobs Jobs.
# TYPE jobs gauge
jobs{phase="a\\"b\\\\c\\nd"} 2
# HELP leads Leads.
# TYPE leads gauge
leads 1
`,
  );
});

test("a series that is given again replaces that of before", () => {
  const metrics = new Metrics();
  metrics.gauge("jobs", "Jobs.", () => 1);
  metrics.gauge("jobs", "Jobs.", () => 2);
  assert.match(metrics.text(), /^jobs 2$/m);
  assert.doesNotMatch(metrics.text(), /^jobs 1$/m);
});
