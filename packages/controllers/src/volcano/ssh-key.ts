/** Public keys as OpenSSH writes them (RFC 4253, section 6.6). */
import type { KeyObject } from "node:crypto";

/** A line of authorized_keys of an RSA key. */
export function sshPublicKey(key: KeyObject): string {
  const { n = "", e = "" } = key.export({ format: "jwk" }) as { n?: string; e?: string };
  const parts = [Buffer.from("ssh-rsa"), unsigned(e), unsigned(n)];
  const framed = parts.flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return [length, part];
  });
  return `ssh-rsa ${Buffer.concat(framed).toString("base64")}\n`;
}

/** An mpint: a leading zero keeps its first bit from being a sign. */
function unsigned(base64url: string): Buffer {
  const bytes = Buffer.from(base64url, "base64url");
  return (bytes[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.from([0]), bytes]) : bytes;
}
