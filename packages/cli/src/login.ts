/** Proving to root's cluster who one is, by a file that only this user can make; the token that it gives is kept. */
import { isReason, type Client } from "@berth/client";
import type { PublicEndpoint } from "@berth/identity";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { dirname, join } from "node:path";

interface Challenge {
  nonce: string;
  path: string;
  content: string;
}

/**
 * A bearer token of the cluster: the one kept from the last time if it is still good, else a new one.
 * @param connect makes a client of the cluster, with a token or as nobody
 */
export async function tokenByProof(endpoint: PublicEndpoint, connect: (token?: string) => Client): Promise<string> {
  const file = tokenFile(endpoint);
  const kept = read(file);
  if (kept !== undefined && (await isGood(connect(kept)))) return kept;
  const nobody = connect();
  const path = "/berth/v1/login";
  const challenge = await nobody.request<Challenge>({ method: "POST", path, body: {} });
  writeFileSync(challenge.path, challenge.content, { mode: 0o600, flag: "wx" });
  try {
    const body = { nonce: challenge.nonce };
    const { token } = await nobody.request<{ token: string }>({ method: "POST", path, body });
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, token, { mode: 0o600 });
    return token;
  } finally {
    rmSync(challenge.path, { force: true });
  }
}

/** A server refuses a token that it does not know, whatever is asked. */
async function isGood(client: Client): Promise<boolean> {
  try {
    await client.request({ method: "GET", path: "/version" });
    return true;
  } catch (error) {
    if (isReason(error, "Unauthorized")) return false;
    throw error;
  }
}

function tokenFile(endpoint: PublicEndpoint): string {
  const state = process.env["XDG_STATE_HOME"];
  const folder = state?.startsWith("/") === true ? state : join(homedir(), ".local", "state");
  // One token a cluster, and a cluster made anew has another CA.
  const name = createHash("sha256")
    .update(`${userInfo().uid} ${endpoint.certificateAuthority}`)
    .digest("hex")
    .slice(0, 32);
  return join(folder, "berth", "tokens", name);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
