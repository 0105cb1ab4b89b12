/**
 * `POST /berth/v1/login`, for the users of a cluster that root started: `{}` is answered with a challenge, `{nonce}` of one
 * that was met with a token. The first login makes the user's namespace and their rights in it.
 */
import type { ExtraRoute, TokenHolder } from "@berth/apiserver";
import { isReason, resources, type AnyObject, type Client } from "@berth/client";
import { namespaceOf, OwnershipProofs, type LocalUsers } from "@berth/identity";
import { annotations } from "@berth/kinds";
import { usersGroup, userObjects } from "./access.ts";
import type { Log } from "./json-log.ts";

export interface LoginOptions {
  /** Where users make their files. */
  directory: string;
  /** Of the administrator; asked for at the first login, when the server runs. */
  client: () => Client;
  /** The token of a user, made when there is none. */
  tokenFor: (holder: TokenHolder) => string;
  users: LocalUsers;
  log: Log;
}

interface Answer {
  status: number;
  body: unknown;
}

/** Prepares the directory; the route is for `startApiServer`. */
export async function loginRoute(options: LoginOptions): Promise<ExtraRoute> {
  const proofs = new OwnershipProofs({ directory: options.directory });
  await proofs.prepare();
  return {
    method: "POST",
    prefix: "/berth/v1/login",
    handler: async ({ body }) => {
      const nonce = (body as { nonce?: unknown } | undefined)?.nonce;
      if (nonce === undefined) return { status: 200, body: proofs.challenge() };
      if (typeof nonce !== "string") return failure(400, "BadRequest", "nonce must be the string of a challenge");
      const result = await proofs.verify(nonce);
      if ("refused" in result) return failure(401, "Unauthorized", `login: ${result.refused}`);
      const user = await options.users.byUid(result.uid);
      if (user === undefined)
        return failure(403, "Forbidden", `this machine knows no user with uid ${result.uid}: add one, then try again`);
      const namespace = namespaceOf(user.name);
      await makeNamespace(options.client(), namespace, user.name);
      const token = options.tokenFor({ user: user.name, groups: [usersGroup], uid: String(user.uid) });
      options.log("info", `user ${user.name} logged in`, { user: user.name, uid: user.uid });
      return { status: 200, body: { user: user.name, namespace, token } };
    },
  };
}

async function makeNamespace(client: Client, namespace: string, user: string): Promise<void> {
  const [namespaceObject, binding] = userObjects(namespace, user, annotations.owner) as [AnyObject, AnyObject];
  const make = async (create: () => Promise<unknown>): Promise<void> => {
    try {
      await create();
    } catch (error) {
      if (!isReason(error, "AlreadyExists")) throw error;
    }
  };
  await make(() => client.create(resources.namespaces, namespaceObject));
  // Made by hand, or before its owner had a token: it is theirs only when it says so.
  const found = await client.get<AnyObject>(resources.namespaces, namespace);
  const owner = found.metadata.annotations?.[annotations.owner];
  if (owner !== user) throw new Error(`namespace ${namespace} belongs to ${owner ?? "nobody"}, not to ${user}`);
  await make(() => client.create(resources.roleBindings, binding));
}

function failure(code: number, reason: string, message: string): Answer {
  return {
    status: code,
    body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code },
  };
}
