/** The data folder: its format number, who may use it, and the lock against a second supervisor. */
import { asProcessIdentity, isAlive, processIdentity, type ProcessIdentity } from "@berth/identity";
import { createHash } from "node:crypto";
import { chmod, lstat, mkdir, readFile, readdir, realpath, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { Refusal, systemWords } from "./refusal.ts";

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
  const release = await oneAtATime(await realpath(folder));
  try {
    const holder = await readHolder(path);
    if (holder !== undefined && isAlive(holder))
      throw new Refusal(
        `Berth already runs on the data folder ${folder} (process ${holder.pid}); stop it with: berth down --data ${folder}`,
      );
    await replaceFile(path, `${JSON.stringify(own)}\n`);
  } finally {
    release();
  }
  return async () => {
    if (samePerson(await readHolder(path), own)) await rm(path, { force: true });
  };
}

/**
 * Keeps two starters from looking at the lock at one time. A name in the kernel's own (abstract) space is given to one process,
 * and is free again when that one dies: nothing of it can become stale.
 */
async function oneAtATime(folder: string): Promise<() => void> {
  const name = `\0berth-${createHash("sha256").update(folder).digest("hex")}`;
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (error) =>
    reject(
      codeOf(error) === "EADDRINUSE"
        ? new Refusal(`another start of Berth on the data folder ${folder} is under way; wait for it`)
        : error,
    ),
  );
  server.listen(name, resolve);
  await promise;
  return () => void server.close();
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
  try {
    await writeFile(draft, content, { mode, flush: true });
    await chmod(draft, mode);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

function reasonOf(error: unknown): string {
  return systemWords[codeOf(error) ?? ""] ?? (error instanceof Error ? error.message : String(error));
}
