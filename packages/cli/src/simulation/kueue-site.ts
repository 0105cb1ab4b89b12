/** The site of Kueue's performance test: a cohort is a node, its cluster queues are accounts, its classes of workloads are queues. */
import { annotations, apiVersion } from "@berth/kinds";
import { kueueTest } from "@berth/simulator";

const head = `# The cohorts of Kueue's scheduler performance test (baseline) as a site, for the trace that \`berth simulate generate kueue\` prints:
#   berth simulate kueue.swf --site kueue.yaml
# The quota of a cohort is a node. A cluster queue is an account, its nominal quota is what is guaranteed to it: others of the cohort
# borrow what it does not use, and give it back when it asks for it (reclaimWithinCohort: Any). A class of workloads in a cohort is a queue
# with the priority that it has there. What has no counterpart here: preemption by priority within one cluster queue.
`;

/** YAML documents for `berth simulate --site`. */
export function kueueSite(): string {
  const { cohorts, queuesPerCohort, quota, borrowing, classes } = kueueTest;
  const documents = [
    // As Kueue by default (BestEffortFIFO): nobody holds a reservation, whoever fits goes, by priority.
    document("Site", "site", undefined, [
      "reservationDepth: 0",
      "backfill: Priority",
      "graceSeconds: 0",
      "priority: {weights: {queue: 1000}}",
    ]),
  ];
  for (let cohort = 1; cohort <= cohorts; cohort += 1) {
    documents.push(
      `apiVersion: v1\nkind: Node\nmetadata:\n  name: cohort-${cohort}\n  labels: {cohort: "${cohort}"}\n` +
        `status:\n  allocatable: {cpu: "${queuesPerCohort * quota}", memory: 1Ti, pods: "${queuesPerCohort * quota}"}\n`,
    );
    for (const [index, { name, priority }] of classes.entries()) {
      const number = 1 + (cohort - 1) * classes.length + index;
      documents.push(
        document("Queue", `cohort-${cohort}-${name}`, { [annotations.traceQueues]: String(number) }, [
          `nodeSelector: {cohort: "${cohort}"}`,
          `priorityFactor: ${priority}`,
          "preemption: {mode: Requeue, graceSeconds: 0}",
        ]),
      );
    }
    for (let index = 1; index <= queuesPerCohort; index += 1) {
      const queue = (cohort - 1) * queuesPerCohort + index;
      documents.push(
        document("Account", `cluster-queue-${queue}`, { [annotations.traceUsers]: String(queue) }, [
          `guaranteed: {cpu: ${quota}}`,
          `limits: {resources: {cpu: ${quota + borrowing}}}`,
        ]),
      );
    }
  }
  return `${head}${documents.join("---\n")}`;
}

function document(
  kind: string,
  name: string,
  notes: Record<string, string> | undefined,
  spec: readonly string[],
): string {
  const metadata =
    notes === undefined
      ? `metadata: {name: ${name}}`
      : `metadata:\n  name: ${name}\n  annotations: {${Object.entries(notes)
          .map(([key, value]) => `${key}: "${value}"`)
          .join(", ")}}`;
  return `apiVersion: ${apiVersion}\nkind: ${kind}\n${metadata}\nspec:\n${spec.map((line) => `  ${line}\n`).join("")}`;
}
