import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { durationSeconds, minimumOf, problemOf, replicasOf, tasksOf, type VolcanoJob } from "./job.ts";
import { isPlugin, pluginsOf } from "./plugins.ts";

const job = (spec: VolcanoJob["spec"]): VolcanoJob => ({
  apiVersion: "batch.volcano.sh/v1alpha1",
  kind: "Job",
  metadata: { name: "job", namespace: "ada", uid: "1" },
  spec,
});
const template = { spec: { containers: [{ name: "main", image: "none" }] } };

test("the gang is as large as minAvailable says, and has what each task needs where there is room for that", () => {
  const task = fc.integer({ min: 0, max: 20 }).chain((replicas) =>
    fc.record({
      replicas: fc.constant(replicas),
      minAvailable: fc.option(fc.integer({ min: 0, max: replicas }), { nil: undefined }),
    }),
  );
  fc.assert(
    fc.property(
      fc.array(task, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 0, max: 60 }),
      (asked, minAvailable) => {
        const made = job({
          minAvailable,
          tasks: asked.map(({ replicas, minAvailable: least }) => ({
            replicas,
            template,
            ...(least === undefined ? {} : { minAvailable: least }),
          })),
        });
        if (problemOf(made, isPlugin) !== undefined) return;
        const tasks = tasksOf(made);
        assert.equal(
          tasks.reduce((sum, { inGang }) => sum + inGang, 0),
          minimumOf(made.spec),
        );
        const needed = tasks.reduce((sum, { minimum }) => sum + minimum, 0);
        for (const { inGang, replicas, minimum } of tasks) {
          assert.ok(inGang <= replicas);
          if (minimumOf(made.spec) >= needed) assert.ok(inGang >= minimum);
        }
        assert.ok(replicasOf(tasks) >= minimumOf(made.spec));
      },
    ),
  );
});

test("durations are read as Go writes them", () => {
  const read = ["0", "90s", "10m", "1h30m", "1.5h", "500ms"].map(durationSeconds);
  assert.deepEqual(read, [0, 90, 600, 5400, 5400, 0.5]);
  for (const text of ["", "10", "m", "1d", "10 s", "-1s"]) assert.equal(durationSeconds(text), undefined, text);
});

test("plugins bring those that they need, and arguments are read as flags", () => {
  assert.deepEqual(Object.keys(pluginsOf(job({ plugins: { mpi: null } }))), ["mpi", "svc", "ssh"]);
  const { mpi, svc } = pluginsOf(
    job({ plugins: { mpi: ["--master=head", "-port", "2222"], svc: ["--inject-hosts-env=false"] } }),
  );
  assert.deepEqual(mpi, { master: "head", worker: "worker", port: "2222" });
  assert.equal(svc?.["inject-hosts-env"], "false");
  assert.throws(
    () => pluginsOf(job({ plugins: { env: ["--x"] } })),
    /spec\.plugins\.env: --x is not known; there are no arguments/,
  );
  assert.throws(() => pluginsOf(job({ plugins: { mpi: ["--port=ssh"] } })), /--port ssh is no port/);
});
