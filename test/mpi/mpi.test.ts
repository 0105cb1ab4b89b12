/** MPI programs, unmodified, over several embedded nodes: by mpirun, without ssh, keys or hostfiles. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { repository, run, startCluster } from "../support/berth.ts";
import { ended, sbatch, writeScript } from "../support/jobs.ts";
import { hangSeconds } from "../support/waiting.ts";

const source = join(repository, "examples/mpi/jacobi.c");
/** Open MPI asks root twice. */
const env = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" };

/** Why the tests cannot run here, in words; false when they can. */
async function lacksOpenMpi(): Promise<string | false> {
  const compiler = await run("sh", ["-c", "command -v mpicc && command -v cc"]);
  if (compiler.code !== 0) return "mpicc or a C compiler is not installed (libopenmpi-dev)";
  const launcher = await run("sh", ["-c", "mpirun --version"]);
  return /Open MPI/.test(launcher.stdout) ? false : "mpirun of Open MPI is not installed (openmpi-bin)";
}

test(
  "Jacobi's method on 1 to 4 nodes: the same digits",
  { skip: await lacksOpenMpi(), timeout: 2000 * hangSeconds },
  async () => {
    await using cluster = await startCluster({ flags: ["--nodes", "4", "--cpus-per-node", "1"] });
    const answers: string[] = [];
    for (const nodes of [4, 2, 1]) {
      const words = [`--nodes=${nodes}`, "-o", "%j.out", join(repository, "examples/mpi/jacobi.sbatch"), source];
      const outcome = await cluster.berth(["sbatch", "--parsable", ...words], { env });
      assert.equal(outcome.code, 0, outcome.stderr);
      const job = Number(outcome.stdout);
      const [row] = await ended(cluster, [job], ["State"]);
      const text = readFileSync(join(cluster.directory, `${job}.out`), "utf8");
      assert.equal(row!.State, "COMPLETED", text);
      const lines = text.trimEnd().split("\n");
      const answer = lines.findIndex((line) => line.includes("iterations"));
      answers.push(...lines.splice(answer, 1));
      assert.deepEqual(
        lines.toSorted(),
        Array.from(
          { length: nodes },
          (_, rank) => `rank ${rank} of ${nodes} on node-${rank + 1} has ${32 / nodes} rows`,
        ),
      );
    }
    assert.match(answers[0]!, /^\d+ iterations, off by at most \d\.\d+e-0[45]$/);
    assert.deepEqual(new Set(answers).size, 1, answers.join("\n"));
  },
);

test(
  "mpirun: its own options, a rank that fails",
  { skip: await lacksOpenMpi(), timeout: 1000 * hangSeconds },
  async () => {
    await using cluster = await startCluster({ flags: ["--nodes", "3", "--cpus-per-node", "2"] });
    const script = writeScript(
      cluster,
      "job.sh",
      `#!/bin/sh
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun -np 6 --map-by node sh -c 'echo $OMPI_COMM_WORLD_RANK $(hostname)' | sort
mpirun -np 2 --host node-3:2 hostname
mpirun sh -c 'exit $OMPI_COMM_WORLD_RANK' >/dev/null 2>&1; echo "code $?"
`,
    );
    const job = await sbatch(cluster, ["--nodes=3", "--ntasks=6", "--time=5", "--mem=100M", "-o", "job.out", script]);
    await ended(cluster, [job], ["State"]);
    const lines = readFileSync(join(cluster.directory, "job.out"), "utf8").trimEnd().split("\n");
    assert.deepEqual(lines.slice(0, 8), [
      ...[0, 1, 2, 3, 4, 5].map((rank) => `${rank} node-${(rank % 3) + 1}`),
      "node-3",
      "node-3",
    ]);
    assert.match(lines[8]!, /^code [1-5]$/);
  },
);
