/** How a part of the cluster reaches its API: the administrator's kubeconfig says where, the part's own token who. */
import { ensureToken } from "@berth/apiserver/tokens";
import { createClient, loadKubeconfig, type Client } from "@berth/client";
import { join } from "node:path";
import type { holders } from "./access.ts";

/** While the API server is started again, requests wait this long for it. */
const retryConnectionSeconds = 60;

export function partClient(data: string, holder: (typeof holders)[keyof typeof holders]): Client {
  const common = { token: tokenOf(data, holder), retryConnectionSeconds, userAgent: holder.user };
  const socketPath = apiSocketPath(data);
  if (socketPath !== undefined) return createClient({ ...common, server: "http://localhost", socketPath });
  const { server, ca } = loadKubeconfig({ path: join(data, "admin.kubeconfig") }).connection;
  return createClient({ ...common, server, ca });
}

/**
 * The Unix socket by which the parts on this machine reach the API: what they say to each other needs no TLS, which would cost
 * more than all the rest of a small request. Absent where the data folder's path is too long for a socket's name (108 bytes).
 */
export function apiSocketPath(data: string): string | undefined {
  const path = join(data, "api", "socket");
  return Buffer.byteLength(path) < 104 ? path : undefined;
}

export function tokenOf(data: string, holder: (typeof holders)[keyof typeof holders]): string {
  return ensureToken(join(data, "tokens.json"), { user: holder.user, groups: [...holder.groups] });
}
