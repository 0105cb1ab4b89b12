export { apiVersionOf } from "./objects.ts";
export type { Condition, KubernetesObject, ObjectMeta, OwnerReference, ResourceKey } from "./objects.ts";
