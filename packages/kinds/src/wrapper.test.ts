import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { argumentsFile, environmentFile, quoteForShell, wrapperScript } from "./wrapper.ts";

const root = mkdtempSync(join(tmpdir(), "berth-wrapper-"));
after(() => rmSync(root, { recursive: true, force: true }));

const shells = [["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"], ["mksh"], ["yash", "-o", "posix"]];
const absent = (shell: string[]): string | false =>
  spawnSync(shell[0]!, [...shell.slice(1), "-c", ":"]).status === 0 ? false : `${shell[0]} is not installed`;
const PATH = process.env["PATH"]!;
let count = 0;

function submission(script: string, environment: Record<string, string> = {}, words: string[] = []) {
  const home = join(root, `s${count++}`);
  spawnSync("mkdir", [home]);
  writeFileSync(join(home, "run"), wrapperScript);
  writeFileSync(join(home, "slurm_script"), script);
  chmodSync(join(home, "slurm_script"), 0o555);
  writeFileSync(join(home, "environment"), environmentFile(environment));
  writeFileSync(join(home, "arguments"), argumentsFile(words));
  return home;
}

function run(shell: string[], home: string, env: Record<string, string> = {}) {
  const result = spawnSync(shell[0]!, [...shell.slice(1), join(home, "run")], {
    env: {
      PATH,
      BERTH_SUBMISSION: home,
      BERTH_TERMINATION_LOG: join(home, "termination"),
      ...env,
    },
    encoding: "utf8",
  });
  const report = join(home, "termination");
  return { ...result, report: existsSync(report) ? (JSON.parse(readFileSync(report, "utf8")) as unknown) : undefined };
}

function passesAnyText(shell: string[]): void {
  const word = fc.string({ unit: "binary" }).filter((text) => !text.includes("\0") && !/[\uD800-\uDFFF]/.test(text));
  fc.assert(
    fc.property(fc.array(word, { maxLength: 4 }), word, (words, value) => {
      const text = `${argumentsFile(words)}${environmentFile({ VALUE: value })}printf '%s\\0' "$@" "$VALUE"`;
      // With a socket as its input bash takes itself for a remote login, and reads its user's files.
      const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
      const options = { encoding: "utf8" as const, env: { PATH }, stdio };
      const { stdout } = spawnSync(shell[0]!, [...shell.slice(1), "-c", text], options);
      assert.deepEqual(stdout.split("\0").slice(0, -1), [...words, value]);
    }),
    { numRuns: 30 },
  );
}

test("a quote in a word", () => assert.equal(quoteForShell("it's"), `'it'\\''s'`));

for (const shell of shells) {
  describe(`the wrapper under ${shell.join(" ")}`, { skip: absent(shell) }, () => {
    test("any text passes through a quoted word, the arguments and the environment", () => passesAnyText(shell));

    test("runs the script with its interpreter, arguments, environment and null input", () => {
      const script = `#!/bin/sh\necho "$0|$1|$2|$GREETING|$SLURM_JOB_ID|$(pwd)|$(cat)"; exit 7\n`;
      const home = submission(script, { GREETING: "it's\nme", SLURM_JOB_ID: "1" }, ["a b", ""]);
      const out = join(home, "deep", "er", "out.txt");
      const result = run(shell, home, { BERTH_OUTPUT: out, BERTH_CHDIR: home, SLURM_JOB_ID: "42" });
      assert.equal(result.status, 7);
      assert.equal(result.stdout, "");
      assert.equal(readFileSync(out, "utf8"), `${home}/slurm_script|a b||it's\nme|42|${home}|\n`);
    });

    test("exported bash functions reach the script", { skip: !existsSync("/bin/bash") && "no /bin/bash" }, () => {
      const home = submission(`#!/bin/bash\ngreet\n`, { "BASH_FUNC_greet%%": "() {  echo hi\n}" });
      assert.equal(run(shell, home).stdout, "hi\n");
    });

    test("a missing directory: says so in the job's own error file and goes to /tmp", () => {
      const home = submission("#!/bin/sh\npwd\n");
      const result = run(shell, home, {
        BERTH_CHDIR: "/no/such",
        BERTH_OUTPUT: join(home, "o"),
        BERTH_ERROR: join(home, "e"),
      });
      assert.equal(result.status, 0);
      assert.equal(readFileSync(join(home, "o"), "utf8"), "/tmp\n");
      assert.match(
        readFileSync(join(home, "e"), "utf8"),
        /error: couldn't chdir to `\/no\/such': No such file or directory: going to \/tmp instead/,
      );
    });

    test("an output that cannot be opened ends the job before it starts", () => {
      const home = submission(`#!/bin/sh\ntouch ${join(root, "ran")}\n`);
      const result = run(shell, home, { BERTH_OUTPUT: `/proc/no "such"/x` });
      assert.equal(result.status, 53);
      assert.ok(!existsSync(join(root, "ran")));
      const report = result.report as { failure: string; message: string };
      assert.equal(report.failure, "output");
      assert.match(report.message, /could not open the output file \/proc\/no "such"\/x: /);
    });

    test("a missing input file ends the job before it starts", () => {
      const result = run(shell, submission("#!/bin/sh\ncat\n"), { BERTH_INPUT: "/no/such" });
      assert.equal(result.status, 53);
      assert.equal((result.report as { failure: string }).failure, "input");
    });

    test("truncates or appends", () => {
      const home = submission("#!/bin/sh\necho again\n");
      const out = join(home, "o");
      for (const [mode, expected] of [
        ["Append", "before\nagain\n"],
        ["Truncate", "again\n"],
      ] as const) {
        writeFileSync(out, "before\n");
        run(shell, home, { BERTH_OUTPUT: out, BERTH_OPEN_MODE: mode });
        assert.equal(readFileSync(out, "utf8"), expected);
      }
    });

    test("a bad interpreter is exit code 2 and said", () => {
      const result = run(shell, submission("#!/no/such/interp -x\n"));
      assert.equal(result.status, 2);
      assert.match(result.stderr, /execve\(\): bad interpreter\(\/no\/such\/interp\): No such file or directory/);
    });

    test("copies to the log and keeps the exit code, also of what was killed", () => {
      const home = submission("#!/bin/sh\necho out; echo err >&2; kill -9 $$\n");
      const env = { BERTH_OUTPUT: join(home, "o"), BERTH_ERROR: join(home, "e"), BERTH_LOG_COPY: "1" };
      const result = run(shell, home, env);
      assert.equal(result.status, 137);
      assert.match(result.stdout, /^out\n/);
      assert.match(result.stderr, /^err\n/m);
      assert.equal(readFileSync(join(home, "o"), "utf8"), "out\n");
      assert.equal(readFileSync(join(home, "e"), "utf8"), "err\n");
    });
  });
}
