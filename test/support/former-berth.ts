/** Berth as it was at an earlier commit of this repository, ready to run on the dependencies that are installed now. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./berth.ts";

function git(...words: string[]): string | undefined {
  const outcome = spawnSync("git", ["-C", repository, ...words], { encoding: "utf8" });
  return outcome.status === 0 ? outcome.stdout.trim() : undefined;
}

/** The commit before the last one that changed a package; undefined without that history. */
export function lastCommit(): string | undefined {
  const commits = git("log", "-2", "--format=%H", "--", "packages")?.split("\n");
  return commits?.[1];
}

export function hasCommit(commit: string): boolean {
  return git("cat-file", "-e", `${commit}^{commit}`) !== undefined;
}

/** Unpacks a commit into a folder that is to be made, and gives the path of its launcher. */
export function unpackBerth(commit: string, folder: string): string {
  mkdirSync(folder);
  const unpacked = spawnSync("sh", [
    "-c",
    'git -C "$1" archive "$2" | tar -x -C "$3"',
    "sh",
    repository,
    commit,
    folder,
  ]);
  if (unpacked.status !== 0) throw new Error(`commit ${commit} cannot be unpacked: ${unpacked.stderr.toString()}`);
  const installed = join(repository, "node_modules");
  const own = join(folder, "node_modules");
  mkdirSync(join(own, "@berth"), { recursive: true });
  for (const name of readdirSync(installed)) {
    if (name !== "@berth" && !name.startsWith(".")) symlinkSync(join(installed, name), join(own, name));
  }
  for (const name of readdirSync(join(folder, "packages")))
    symlinkSync(join(folder, "packages", name), join(own, "@berth", name));
  // By this the launcher knows that everything is installed.
  copyFileSync(join(installed, ".package-lock.json"), join(own, ".package-lock.json"));
  return join(folder, "berth");
}
