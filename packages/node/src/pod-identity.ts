import type { Pod } from "@berth/kinds";
import { ConfigurationError } from "./environment.ts";
import { hostTools, userOf } from "./host.ts";
import type { NodeContext } from "./node-context.ts";
import { nobody, type Identity } from "./task.ts";

/** Who a pod runs as: whom it names, else the owner of its namespace. Rejects in words where this node cannot give it that. */
export async function identityOf(context: NodeContext, pod: Pod): Promise<Identity> {
  const { securityContext } = pod.spec;
  const own = pod.spec.containers[0]?.securityContext as { runAsUser?: number; runAsGroup?: number } | undefined;
  const asked = own?.runAsUser ?? securityContext?.runAsUser;
  const { namespace = "default" } = pod.metadata;
  const unasked = asked === undefined ? await context.defaultIdentity(namespace) : undefined;
  const uid = asked ?? unasked!.uid;
  const gid = own?.runAsGroup ?? securityContext?.runAsGroup ?? unasked?.gid ?? userOf(uid)?.gid ?? nobody.gid;
  const self = process.getuid?.() ?? 0;
  if (self !== 0 && uid !== self) {
    throw new ConfigurationError(
      `the pod asks for user ${uid}, but this node belongs to user ${self} and can start jobs of that user only`,
    );
  }
  if (self === 0 && (hostTools().setpriv === undefined || hostTools().unshare === undefined)) {
    throw new ConfigurationError(
      "setpriv and unshare of util-linux are not both installed, so that no job can be given its user",
    );
  }
  return { uid, gid, groups: [...new Set(securityContext?.supplementalGroups ?? unasked?.groups ?? [])] };
}
