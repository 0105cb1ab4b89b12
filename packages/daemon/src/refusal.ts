/** An error meant for the person who started Berth: its message says what, where and what would be right. */
export class Refusal extends Error {
  override name = "Refusal";
}

/** What the system's error codes mean for somebody who named a path. */
export const systemWords: Record<string, string> = {
  EACCES: "you may not write there",
  EPERM: "you may not write there",
  EROFS: "the file system is read-only",
  ENOTDIR: "a part of the path is not a folder",
  EEXIST: "a file stands in its place",
  ENOSPC: "the disk is full",
  EDQUOT: "your share of the disk is used up",
  EMFILE: "too many files are open (ulimit -n)",
};

/** The message of whatever was thrown, for people. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  const words = systemWords[code ?? ""];
  return words === undefined || path === undefined ? error.message : `${path} cannot be used: ${words}`;
}
