/** The namespace that belongs to a user. */
import { createHash } from "node:crypto";

/**
 * The user's name where it can be a namespace's (RFC 1123 label that Kubernetes and Berth do not use themselves); else what
 * can be kept of it with a hash, so that two users never share one.
 */
export function namespaceOf(user: string): string {
  const usable = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(user);
  if (usable && !/^(default|kube-.*|berth-.*)$/.test(user)) return user;
  const kept = user
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 40);
  const hash = createHash("sha256").update(user).digest("hex").slice(0, 8);
  return `${kept === "" ? "user" : kept === "default" || /^(kube|berth)-/.test(kept) ? `user-${kept}` : kept}-${hash}`;
}
