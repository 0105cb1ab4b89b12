/** Whatever somebody writes into a script or on a command line, sbatch makes a whole submission of it, or says what is wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkScript } from "./directives.ts";
import { SlurmError } from "./errors.ts";
import { sbatchOptions } from "./options.ts";
import { readSbatchCommandLine, resolveSbatch } from "./sbatch-options.ts";
import { toSubmission } from "./to-workload.ts";

const nowSeconds = 1_800_000_000;

const value = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom(
    "1",
    "0",
    "2-4",
    "4G",
    "1:00:00",
    "1-0",
    "afterok:1",
    "a,b",
    "gpu:2",
    "ALL",
    "now+1hour",
    "B:USR1@60",
    "n[1-3]",
    "%j",
    "",
  ),
);
const word = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc
    .tuple(fc.constantFrom(...sbatchOptions), value, fc.boolean())
    .map(([{ name, short }, text, isShort]) =>
      isShort && short !== undefined ? `-${short}${text}` : `--${name}=${text}`,
    ),
);
const line = fc.oneof(
  fc.array(word, { maxLength: 3 }).map((words) => `#SBATCH ${words.join(" ")}`),
  fc.string({ maxLength: 20 }),
  fc.constantFrom("", "# comment", "true", "##SBATCH -n 1", "#SBATCH", "#SBATCH hetjob", "#PBS -l x"),
);

const context = {
  user: "ada",
  workingDirectory: "/home/ada",
  host: "login",
  environment: {},
  nowSeconds,
  umask: 0o022,
  script: "",
  arguments: [],
  nameSuffix: "abcde",
};

function submit(words: string[], script: string, environment: Record<string, string>): void {
  const commandLine = readSbatchCommandLine(words);
  if (commandLine.show !== undefined) return;
  checkScript(Buffer.from(script));
  const resolved = resolveSbatch(commandLine, { environment, nowSeconds, script: { name: "job.sh", text: script } });
  const { workload, secret } = toSubmission(resolved, { ...context, script });
  assert.equal(workload.metadata.name, secret.metadata.name);
  assert.ok(workload.spec.podSets.length > 0);
  // What is sent must be what was meant: nothing of it is lost on the way.
  assert.deepEqual(JSON.parse(JSON.stringify(workload)), workload);
}

test("random scripts, command lines and environments: a whole submission, or a refusal in words", () => {
  const variables = fc.dictionary(
    fc.constantFrom(...sbatchOptions.flatMap(({ environment }) => (environment === undefined ? [] : [environment]))),
    value,
    { maxKeys: 3 },
  );
  fc.assert(
    fc.property(
      fc.array(word, { maxLength: 4 }),
      fc.array(line, { maxLength: 8 }),
      variables,
      (words, lines, environment) => {
        const script = `#!/bin/sh\n${lines.join("\n")}\ntrue\n`;
        try {
          submit(words, script, environment);
        } catch (error) {
          assert.ok(error instanceof SlurmError, error instanceof Error ? error.stack : String(error));
          assert.ok(error.exitCode === 1 || error.exitCode === 255);
          assert.ok(error.format("sbatch").trim().length > 0);
        }
      },
    ),
    { numRuns: 500 },
  );
});
