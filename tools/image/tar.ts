/** Writes tar archives (POSIX.1-1988 ustar) that are the same wherever they are made: of root, of 1970, in the order of their names. */

export type TarEntry =
  | { path: string; type: "folder"; mode?: number }
  | { path: string; type: "file"; content: Uint8Array; mode?: number }
  | { path: string; type: "link"; to: string };

const blockBytes = 512;
const typeFlags = { file: "0", link: "2", folder: "5" } as const;

/**
 * @param entries paths without a leading slash; folders that none of them names are added, with mode 0755
 * @throws RangeError for a path that ustar has no room for (100 bytes of name, 155 of folders)
 */
export function tar(entries: readonly TarEntry[]): Buffer {
  const known = new Map<string, TarEntry>(entries.map((entry) => [entry.path, entry]));
  for (const { path } of entries)
    for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
      const folder = path.slice(0, at);
      if (!known.has(folder)) known.set(folder, { path: folder, type: "folder" });
    }
  const parts: Uint8Array[] = [];
  for (const entry of [...known.values()].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    parts.push(header(entry));
    if (entry.type !== "file") continue;
    parts.push(entry.content, Buffer.alloc(-entry.content.length & (blockBytes - 1)));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)]);
}

function header(entry: TarEntry): Buffer {
  const block = Buffer.alloc(blockBytes);
  const isFile = entry.type === "file";
  const mode = entry.type === "link" ? 0o777 : (entry.mode ?? (isFile ? 0o644 : 0o755));
  const octal = (value: number, at: number, length: number): void =>
    void block.write(value.toString(8).padStart(length - 1, "0"), at);
  const [prefix, name] = split(entry.type === "folder" ? `${entry.path}/` : entry.path);
  block.write(name, 0);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(isFile ? entry.content.length : 0, 124, 12);
  octal(0, 136, 12);
  block.write(typeFlags[entry.type], 156);
  if (entry.type === "link") {
    if (Buffer.byteLength(entry.to) > 100) throw new RangeError(`${entry.path}: its target is too long for tar`);
    block.write(entry.to, 157);
  }
  block.write("ustar\u000000", 257);
  block.write(prefix, 345);
  // The sum is of the header with blanks in its place.
  block.fill(" ", 148, 156);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  block[154] = 0;
  return block;
}

/** `[folders, rest]` at a slash, so that both have room. */
function split(path: string): [string, string] {
  if (Buffer.byteLength(path) <= 100) return ["", path];
  for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
    const [folders, rest] = [path.slice(0, at), path.slice(at + 1)];
    if (rest !== "" && Buffer.byteLength(folders) <= 155 && Buffer.byteLength(rest) <= 100) return [folders, rest];
  }
  throw new RangeError(`${path}: this path is too long for tar`);
}
