/** How a part of the cluster reaches its API: the administrator's kubeconfig says where, the part's own token who. */
import { ensureToken } from "@berth/apiserver";
import { createClient, loadKubeconfig, type Client } from "@berth/client";
import { join } from "node:path";
import type { holders } from "./access.ts";

/** While the API server is started again, requests wait this long for it. */
const retryConnectionSeconds = 60;

export function partClient(data: string, holder: (typeof holders)[keyof typeof holders]): Client {
  const { connection } = loadKubeconfig({ path: join(data, "admin.kubeconfig") });
  const { server, ca } = connection;
  return createClient({ server, ca, token: tokenOf(data, holder), retryConnectionSeconds, userAgent: holder.user });
}

export function tokenOf(data: string, holder: (typeof holders)[keyof typeof holders]): string {
  return ensureToken(join(data, "tokens.json"), { user: holder.user, groups: [...holder.groups] });
}
