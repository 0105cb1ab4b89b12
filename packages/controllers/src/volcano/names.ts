/** Labels and annotations by which Volcano knows its pods; programs in them read some. */
export const volcanoLabels = {
  jobName: "volcano.sh/job-name",
  jobNamespace: "volcano.sh/job-namespace",
  taskSpec: "volcano.sh/task-spec",
  taskIndex: "volcano.sh/task-index",
  queueName: "volcano.sh/queue-name",
} as const;
export const volcanoPodAnnotations = {
  jobVersion: "volcano.sh/job-version",
  retryCount: "volcano.sh/job-retry-count",
  template: "volcano.sh/template-uid",
} as const;
