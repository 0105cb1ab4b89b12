/** What a token says of who asks, put where jobs are made from it: the annotations of their namespace. */
import { resources, type AnyObject, type Client } from "@berth/client";
import { annotations } from "@berth/kinds";

interface SelfSubjectReview extends AnyObject {
  status?: { userInfo?: { extra?: Record<string, string[]> } };
}

/**
 * Brings the annotations to what the token claims. Policy lets the owner write this and nothing else.
 * @returns false where the token claims no ids, or what it claims stands there
 */
export async function renewClaimedIdentity(client: Client, namespace: string): Promise<boolean> {
  const [review, { metadata }] = await Promise.all([
    client.request<SelfSubjectReview>({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
    }),
    client.get<AnyObject>(resources.namespaces, namespace),
  ]);
  const claims = review.status?.userInfo?.extra ?? {};
  const uid = claims[annotations.uid]?.join(",");
  const gid = claims[annotations.gid]?.join(",");
  if (uid === undefined || gid === undefined) return false;
  const groups = claims[annotations.groups]?.join(",") ?? "";
  const wanted = {
    [annotations.uid]: uid,
    [annotations.gid]: gid,
    [annotations.groups]: groups === "" ? null : groups,
  };
  const stated = metadata.annotations ?? {};
  if (Object.entries(wanted).every(([name, value]) => (stated[name] ?? null) === value)) return false;
  await client.patch(resources.namespaces, namespace, { metadata: { annotations: wanted } });
  return true;
}
