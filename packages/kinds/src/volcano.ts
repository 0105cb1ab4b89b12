/** Kinds of Volcano's that Berth serves where Volcano is not installed: their names, and whose a definition is. */
import type { KubernetesObject, ResourceKey } from "@berth/machinery";

function key(group: string, version: string, resource: string, kind: string, namespaced: boolean): ResourceKey {
  return { group, version, resource, kind, namespaced };
}

export const volcanoJobs = key("batch.volcano.sh", "v1alpha1", "jobs", "Job", true);
export const volcanoQueues = key("scheduling.volcano.sh", "v1beta1", "queues", "Queue", false);
export const volcanoPodGroups = key("scheduling.volcano.sh", "v1beta1", "podgroups", "PodGroup", true);
/** What `vcctl` writes to have a Job or a Queue do something. */
export const volcanoCommands = key("bus.volcano.sh", "v1alpha1", "commands", "Command", true);

/** What the generator of Volcano's definitions writes on them, and Berth's have not. */
const generatorAnnotation = "controller-gen.kubebuilder.io/version";

/** Whether Berth made a CustomResourceDefinition of these, and nobody has written Volcano's over it since. */
export function isOwnVolcanoKind({ metadata }: Pick<KubernetesObject, "metadata">): boolean {
  return (
    metadata.labels?.["app.kubernetes.io/part-of"] === "berth" &&
    metadata.annotations?.[generatorAnnotation] === undefined
  );
}
