/**
 * Proof of identity on one machine: who can make a file owned by a user is that user. The server names a file that does not
 * exist yet in a directory where everybody may create and nobody may list or touch another's; who asks creates it with the
 * given content; its owner is who asks.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { chmod, lstat, mkdir, open, unlink } from "node:fs/promises";
import { join } from "node:path";

export interface OwnershipChallenge {
  /** Names the challenge. */
  nonce: string;
  /** The file to create, mode 0600, not through a link. */
  path: string;
  /** What the file must contain, exactly. Known only to who asked, so that a moved or linked file of another proves nothing. */
  content: string;
  /** RFC 3339: later it is too late. */
  expires: string;
}

export type ProofResult = { uid: number } | { refused: string };

export interface OwnershipProofsOptions {
  /** Made by {@link OwnershipProofs.prepare}: mode 1733, owned by the server. */
  directory: string;
  /** Default 30. */
  lifetimeSeconds?: number;
  /** Challenges open at one time; the oldest gives way. Default 1000. */
  maximumOpen?: number;
  now?: () => number;
}

export class OwnershipProofs {
  readonly #directory: string;
  readonly #lifetimeMilliseconds: number;
  readonly #maximumOpen: number;
  readonly #now: () => number;
  /** In the order of issue. */
  readonly #open = new Map<string, { content: string; expires: number }>();

  constructor(options: OwnershipProofsOptions) {
    this.#directory = options.directory;
    this.#lifetimeMilliseconds = (options.lifetimeSeconds ?? 30) * 1000;
    this.#maximumOpen = options.maximumOpen ?? 1000;
    this.#now = options.now ?? Date.now;
  }

  /** Makes the directory; throws in words when what stands there is not the server's own. */
  async prepare(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o755 });
    const found = await lstat(this.#directory);
    if (!found.isDirectory() || found.uid !== process.getuid?.())
      throw new Error(
        `${this.#directory} must be a directory owned by uid ${process.getuid?.()}, the user of the server`,
      );
    await chmod(this.#directory, 0o1733);
  }

  challenge(): OwnershipChallenge {
    const now = this.#now();
    for (const [nonce, { expires }] of this.#open) {
      if (expires > now && this.#open.size < this.#maximumOpen) break;
      this.#open.delete(nonce);
    }
    const nonce = randomBytes(16).toString("hex");
    const content = randomBytes(32).toString("hex");
    const expires = now + this.#lifetimeMilliseconds;
    this.#open.set(nonce, { content, expires });
    return { nonce, path: join(this.#directory, nonce), content, expires: new Date(expires).toISOString() };
  }

  /** Whose the file of the challenge is. A challenge is good for one question, whatever the answer; its file is removed. */
  async verify(nonce: string): Promise<ProofResult> {
    const challenge = this.#open.get(nonce);
    this.#open.delete(nonce);
    if (challenge === undefined)
      return { refused: "this challenge was never issued, is used or is too old: ask for a new one" };
    if (this.#now() >= challenge.expires) return { refused: "this challenge is too old: ask for a new one" };
    // Only nonces of our own making become part of a path: an unknown one was refused above.
    const path = join(this.#directory, nonce);
    try {
      const linked = await lstat(path);
      if (!linked.isFile()) return { refused: `${path} is not a regular file` };
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        const found = await file.stat();
        if (found.ino !== linked.ino || found.dev !== linked.dev || !found.isFile())
          return { refused: `${path} changed while it was looked at` };
        if (found.nlink !== 1) return { refused: `${path} has other links` };
        if ((found.mode & 0o022) !== 0)
          return { refused: `${path} may be written by others: create it with mode 0600` };
        const buffer = Buffer.alloc(challenge.content.length + 1);
        const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
        if (buffer.toString("latin1", 0, bytesRead) !== challenge.content)
          return { refused: `${path} does not contain what the challenge asks for` };
        return { uid: found.uid };
      } finally {
        await file.close();
      }
    } catch (error) {
      return { refused: `${path} could not be read: ${error instanceof Error ? error.message : String(error)}` };
    } finally {
      await unlink(path).catch(() => undefined);
    }
  }
}
