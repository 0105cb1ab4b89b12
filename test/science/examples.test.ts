/** The science examples, run by `berth run` as their READMEs say, beside the same tools run by hand. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { repository, run, startCluster } from "../support/berth.ts";

const lambdaData = "/usr/share/doc/bowtie2/examples/reads/reads_1.fq.gz";

/** Why the test cannot run here, in words; false when it can. */
async function lacks(programs: string[], files: string[] = []): Promise<string | false> {
  for (const program of programs) {
    const { code } = await run("sh", ["-c", `command -v ${program}`]);
    if (code !== 0) return `${program} is not installed`;
  }
  const missing = files.find((file) => !existsSync(file));
  return missing === undefined ? false : `${missing} is not there`;
}

test(
  "phage lambda: index, array, merge; the counts are those of the tools run by hand",
  { skip: await lacks(["bowtie2", "samtools"], [lambdaData]), timeout: 300_000 },
  async () => {
    await using cluster = await startCluster();
    const byHand = join(cluster.directory, "by-hand");
    mkdirSync(byHand);
    const outcome = await cluster.berth(["run", join(repository, "examples/lambda-phage/index.sbatch")], {
      timeoutSeconds: 240,
    });
    assert.equal(outcome.code, 0, outcome.stderr);
    const script = `set -eu
      data=/usr/share/doc/bowtie2/examples
      gzip -dc $data/reference/lambda_virus.fa.gz >lambda_virus.fa
      bowtie2-build --quiet lambda_virus.fa lambda_virus
      bowtie2 -x lambda_virus -1 $data/reads/reads_1.fq.gz -2 $data/reads/reads_2.fq.gz -S all.sam 2>/dev/null
      samtools flagstat all.sam`;
    const hand = await run("sh", ["-c", script], { cwd: byHand, timeoutSeconds: 240 });
    assert.equal(hand.code, 0, hand.stderr);
    assert.match(hand.stdout, /^20000 \+ 0 in total/);
    assert.ok(
      outcome.stdout.endsWith(hand.stdout),
      `by hand:\n${hand.stdout}\nby Berth:\n${outcome.stdout}${outcome.stderr}`,
    );
  },
);

test("Python: the error of a classifier", { skip: await lacks(["python3"]), timeout: 900_000 }, async () => {
  await using cluster = await startCluster();
  const script = join(repository, "examples/python/classify.sbatch");
  const outcome = await cluster.berth(["run", script, join(repository, "examples/python/iris.csv")]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stdout, /best: 13 neighbours, 96\.7 % right\n$/);
});

test("R: a regression and a bootstrap", { skip: await lacks(["Rscript"]), timeout: 900_000 }, async () => {
  await using cluster = await startCluster();
  const outcome = await cluster.berth(["run", join(repository, "examples/r/faithful.sbatch")]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stdout, /^eruption = -1\.8740 \+ 0\.075628 \* waiting, r2 = 0\.8115\n/);
  assert.match(outcome.stdout, /long eruptions: 4\.\d\d min/);
});
