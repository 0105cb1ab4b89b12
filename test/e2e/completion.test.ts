/** The completion scripts, asked in the shells themselves. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { repository, run } from "../support/berth.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-completion-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What a shell offers for a line that is not complete. */
const asking: Record<string, (script: string, line: string) => [program: string, ...words: string[]]> = {
  bash: (script, line) => [
    "bash",
    "-c",
    `source "$1"; eval "COMP_WORDS=($2)"; [[ $2 != *' ' ]] || COMP_WORDS+=('')
     COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _berth; printf '%s\\n' "\${COMPREPLY[@]}"`,
    "bash",
    script,
    line,
  ],
  fish: (script, line) => ["fish", "--no-config", "-c", `source ${script}; complete --do-complete '${line}'`],
  // zsh completes at a terminal only: functions of the same names tell what would be offered.
  zsh: (script, line) => [
    "zsh",
    "-f",
    "-c",
    `compdef() {}; _files() { print -l -- *; }
     compadd() { shift; print -l -- \${(M)@:#$PREFIX*}; }
     _describe() { print -l -- \${(M)\${commands[@]%%:*}:#$PREFIX*}; }
     source "$1"; words=(\${(z)2}); [[ $2 != *' ' ]] || words+=(''); CURRENT=$#words; PREFIX=$words[-1]; _berth`,
    "zsh",
    script,
    line,
  ],
};

for (const [shell, ask] of Object.entries(asking)) {
  const absent = spawnSync(shell, ["-c", "true"]).status !== 0 && `${shell} is not installed`;
  describe(shell, { skip: absent }, () => {
    const script = join(folder, `berth.${shell}`);
    before(async () => {
      const outcome = await run(join(repository, "berth"), ["completion", shell]);
      assert.equal(outcome.code, 0, outcome.stderr);
      writeFileSync(script, outcome.stdout);
      writeFileSync(join(folder, "job.sh"), "");
    });
    const offered = (line: string): string[] => {
      const [program, ...words] = ask(script, line);
      const outcome = spawnSync(program, words, { encoding: "utf8", cwd: folder });
      assert.equal(outcome.stderr, "", line);
      return outcome.stdout
        .split("\n")
        .map((entry) => entry.split("\t")[0]!)
        .filter((entry) => entry !== "")
        .sort();
    };

    test("commands, options, their values, files", () => {
      assert.deepEqual(offered("berth st"), ["status"]);
      assert.ok(offered("berth ").includes("sbatch"));
      assert.deepEqual(offered("berth up --det"), ["--detach"]);
      assert.deepEqual(offered("berth status --output "), ["json", "wide", "yaml"]);
      assert.deepEqual(offered("berth history -o y"), ["yaml"]);
      assert.deepEqual(offered("berth completion "), ["bash", "fish", "zsh"]);
      assert.deepEqual(offered("berth sbatch --depe"), ["--dependency"]);
      assert.deepEqual(offered("berth run --depe"), ["--dependency"]);
      assert.ok(offered("berth run ").includes("job.sh"));
      assert.ok(offered("berth up --data ").some((entry) => entry.startsWith("job.sh")));
    });
  });
}
