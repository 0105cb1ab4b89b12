import assert from "node:assert/strict";
import { test } from "node:test";
import { nextSteps, stepArguments } from "./pipeline.ts";

test("steps are read from the head, relative to the script", () => {
  const script =
    "#!/bin/sh\n#SBATCH -t 1\n\n#BERTH then reduce.sbatch a b\n# a comment\n#BERTH then ../plot.sh\necho\n#BERTH then no.sh\n";
  assert.deepEqual(nextSteps(script, "/home/ada/pi/pi.sbatch"), [
    { script: "/home/ada/pi/reduce.sbatch", arguments: ["a", "b"] },
    { script: "/home/ada/plot.sh", arguments: [] },
  ]);
  assert.deepEqual(nextSteps("#!/bin/sh\necho", "x"), []);
});

test("what is no step is refused with its line", () => {
  assert.throws(() => nextSteps("#!/bin/sh\n#BERTH after x", "a.sh"), /a\.sh: line 2.*#BERTH then FILE/);
  assert.throws(() => nextSteps("#!/bin/sh\n#BERTH then", "a.sh"), /line 2/);
});

test("%j stands for the job before", () => {
  assert.deepEqual(stepArguments({ script: "/r.sh", arguments: ["%j", "part-%j.txt", "x"] }, 42), [
    "42",
    "part-42.txt",
    "x",
  ]);
});
