/** The data folder: its format number, who may use it, and the lock against a second supervisor. */
import { asProcessIdentity, isAlive, processIdentity, type ProcessIdentity } from "@berth/identity";
import { randomBytes } from "node:crypto";
import { chmod, link, lstat, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Refusal } from "./refusal.ts";

/** The format that this program reads and writes. */
export const dataFormat = 1;

/** Brings a folder of format `from` to `from + 1`. Must be safe to repeat: the number is written after it. */
export interface FormatUpgrade {
  from: number;
  apply: (folder: string) => Promise<void>;
}

/** One for each format that was ever released before {@link dataFormat}. */
const upgrades: readonly FormatUpgrade[] = [];

/**
 * Makes an empty or missing folder a data folder, and checks one that exists. Throws a {@link Refusal} when it belongs to
 * another user, holds something else, or has a format that is damaged or newer.
 */
export async function prepareDataFolder(
  folder: string,
  options: { format?: number; upgrades?: readonly FormatUpgrade[] } = {},
): Promise<void> {
  const format = options.format ?? dataFormat;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Refusal(`the data folder ${folder} cannot be made (${reasonOf(error)}); name another with --data`);
  }
  const owner = (await lstat(folder)).uid;
  if (owner !== process.getuid?.())
    throw new Refusal(
      `the data folder ${folder} belongs to uid ${owner}, and you are uid ${process.getuid?.()}; name another with --data`,
    );
  await chmod(folder, 0o700);
  const formatFile = join(folder, "format");
  const found = await readOptional(formatFile);
  if (found === undefined) {
    const others = (await readdir(folder)).filter((name) => !name.startsWith("supervisor.json"));
    if (others.length > 0)
      throw new Refusal(
        `${folder} is not a data folder of Berth: it has no file "format" but holds ${others.slice(0, 3).join(", ")}; name an empty or new folder with --data`,
      );
    await replaceFile(formatFile, `${format}\n`);
    return;
  }
  if (!/^[1-9]\d{0,5}\n?$/.test(found))
    throw new Refusal(
      `the data folder ${folder} is damaged: ${formatFile} should hold a number such as ${format}, and holds ${JSON.stringify(found.slice(0, 40))}`,
    );
  const has = Number(found);
  if (has > format)
    throw new Refusal(
      `the data folder ${folder} has format ${has}, made by a newer Berth; this one knows formats up to ${format}: use the newer program`,
    );
  for (let at = has; at < format; at += 1) {
    const upgrade = (options.upgrades ?? upgrades).find(({ from }) => from === at);
    if (upgrade === undefined)
      throw new Refusal(`the data folder ${folder} has format ${at}, which this Berth cannot bring forward`);
    await upgrade.apply(folder);
    await replaceFile(formatFile, `${at + 1}\n`);
  }
}

/**
 * Takes the lock `supervisor.json`, or throws a {@link Refusal} naming who holds it. A lock whose holder no longer lives is
 * taken over. The returned function gives it back.
 */
export async function lockDataFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, "supervisor.json");
  const own = processIdentity()!;
  const draft = `${path}.${own.pid}.${randomBytes(4).toString("hex")}`;
  await writeFile(draft, `${JSON.stringify(own)}\n`, { mode: 0o600 });
  try {
    // A few rounds are enough: each lost one means that another starter won.
    for (let round = 0; round < 5; round += 1) {
      if (await linkIfAbsent(draft, path)) {
        return async () => {
          if (samePerson(await readHolder(path), own)) await rm(path, { force: true });
        };
      }
      const holder = await readHolder(path);
      if (holder !== undefined && isAlive(holder))
        throw new Refusal(
          `Berth already runs on the data folder ${folder} (process ${holder.pid}); stop it with: berth down --data ${folder}`,
        );
      await removeStale(path, holder);
    }
    throw new Refusal(`several starts of Berth on the data folder ${folder} at one time; try again`);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Moves a dead lock away; when another took it over meanwhile, puts that one back. */
async function removeStale(path: string, judged: ProcessIdentity | undefined): Promise<void> {
  const aside = `${path}.${process.pid}.stale`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  const moved = await readHolder(aside);
  if (!samePerson(moved, judged) && moved !== undefined && isAlive(moved)) await linkIfAbsent(aside, path);
  await rm(aside, { force: true });
}

function samePerson(left: ProcessIdentity | undefined, right: ProcessIdentity | undefined): boolean {
  return left?.pid === right?.pid && left?.startTime === right?.startTime && left?.bootId === right?.bootId;
}

async function readHolder(path: string): Promise<ProcessIdentity | undefined> {
  try {
    return asProcessIdentity(JSON.parse((await readOptional(path)) ?? "null"));
  } catch {
    return undefined;
  }
}

async function linkIfAbsent(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Replaces a file whole: a reader sees the old or the new one, never a part. */
export async function replaceFile(path: string, content: string, mode = 0o600): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  await writeFile(draft, content, { mode, flush: true });
  await chmod(draft, mode);
  await rename(draft, path);
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

function reasonOf(error: unknown): string {
  const words: Record<string, string> = {
    EACCES: "you may not write there",
    EROFS: "the file system is read-only",
    ENOTDIR: "a part of the path is not a folder",
    EEXIST: "a file stands in its place",
    ENOSPC: "the disk is full",
  };
  return words[codeOf(error) ?? ""] ?? (error instanceof Error ? error.message : String(error));
}
