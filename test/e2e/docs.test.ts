/** Every command in the tutorial and the how-to pages is run here, as it stands there. */
import assert from "node:assert/strict";
import { globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import test from "node:test";
import { repository, run, startCluster } from "../support/berth.ts";

interface Block {
  /** Name of the file that the block is, or undefined for commands. */
  file: string | undefined;
  text: string;
  line: number;
}

/** Fenced blocks that begin with ```sh, to run; and with `file=NAME` behind sh or yaml, to be written as this file. */
function blocks(markdown: string): Block[] {
  const found: Block[] = [];
  const lines = markdown.split("\n");
  for (let index = 0; index < lines.length; index++) {
    const fence = /^```(?:sh|(?:sh|yaml) file=(\S+))$/.exec(lines[index]!);
    if (!fence) continue;
    const end = lines.indexOf("```", index);
    found.push({ file: fence[1], text: `${lines.slice(index + 1, end).join("\n")}\n`, line: index + 1 });
    index = end;
  }
  return found;
}

const pages = globSync("docs/{tutorial,how-to}/*.md", { cwd: repository }).sort();

test("there are pages", () => assert.ok(pages.length > 0));

for (const page of pages) {
  test(`${page} runs as it is written`, async () => {
    const text = readFileSync(join(repository, page), "utf8");
    // A page may want a cluster of several nodes.
    const flags = /^<!-- cluster: (.*) -->$/m.exec(text)?.[1]?.split(" ");
    await using cluster = await startCluster({ flags });
    const commands = join(cluster.directory, "commands");
    mkdirSync(commands);
    for (const name of ["berth", "sbatch", "squeue", "scancel", "sinfo", "sacct", "sprio", "sshare", "srun"]) {
      symlinkSync(join(repository, "berth"), join(commands, name));
    }
    const work = join(cluster.directory, "work");
    mkdirSync(work);
    // One shell for the whole page, as its reader has: variables of one block are there in the next.
    const script = ["set -eu"];
    for (const block of blocks(text)) {
      if (block.file !== undefined) writeFileSync(join(work, basename(block.file)), block.text);
      else script.push(`echo "--- line ${block.line}"`, block.text);
    }
    const outcome = await run("sh", ["-c", script.join("\n")], {
      cwd: work,
      env: {
        PATH: `${commands}:${process.env["PATH"]}`,
        BERTH_CONTEXT: cluster.data,
        XDG_STATE_HOME: join(cluster.directory, "state"),
      },
      timeoutSeconds: 600,
    });
    assert.equal(outcome.code, 0, `${outcome.stdout}\n${outcome.stderr}`);
  });
}
