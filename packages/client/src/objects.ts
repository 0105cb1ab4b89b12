import type { KubernetesObject } from "@berth/machinery";

/** Any object of the API, whatever its spec and status hold. */
export type AnyObject = KubernetesObject<unknown, unknown>;
