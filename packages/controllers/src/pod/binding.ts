/** The second executor of a start: a pod that is there already gets its node. */
import { type Client, isReason, resourcePath, resources } from "@berth/client";
import type { Pod } from "@berth/kinds";
import { labels } from "@berth/kinds";
import { wrappedPodOf } from "../model/wrapped-pod.ts";
import { type AttemptPlan, attemptAnnotations, attemptLabels, grantAnnotation } from "../scheduler/pods.ts";
import type { PlannedPod } from "../workload/pod-creation.ts";

/** The pod is gone, or another has given it a node: nothing can be started. */
export class PodUnavailable extends Error {}

/** The pod of the plan, where the Workload was made for one: its name and uid, and what the binding adds to it. */
export function plannedBinding(plan: AttemptPlan): PlannedPod[] | undefined {
  const { workload } = plan;
  const wrapped = wrappedPodOf(workload);
  if (wrapped === undefined) return undefined;
  const { name, uid } = wrapped;
  const node = plan.nodes[0]![0]!;
  const build = (): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: workload.metadata.namespace,
      uid,
      labels: attemptLabels(plan, workload.spec.podSets[0]!, 0),
      annotations: { ...attemptAnnotations(plan), ...grantAnnotation(plan.grants?.[0]?.[0]) },
    },
    spec: { nodeName: node, containers: [] },
  });
  return [{ name, node, isDriver: true, build }];
}

/**
 * Gives the pod its node, labels and annotations in one write, and answers with the pod as it then is. To do it again is a no-op.
 * Labels of a binding become the pod's on the embedded API, and in Kubernetes since 1.35 (PodTopologyLabelsAdmission).
 * @throws PodUnavailable
 */
export async function bindPod(client: Client, { metadata, spec }: Pod): Promise<Pod> {
  const { name, namespace, uid, labels: own, annotations } = metadata;
  try {
    await client.request({
      method: "POST",
      path: `${resourcePath(resources.pods, namespace, name)}/binding`,
      body: {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { name, namespace, uid, labels: own, annotations },
        target: { apiVersion: "v1", kind: "Node", name: spec.nodeName },
      },
    });
  } catch (error) {
    if (!isReason(error, "NotFound", "Conflict")) throw error;
  }
  const found = await client.get<Pod>(resources.pods, name, { namespace }).catch((error: unknown) => {
    if (isReason(error, "NotFound")) throw new PodUnavailable(`pod ${name} is gone`);
    throw error;
  });
  const workload = found.metadata.labels?.[labels.workload];
  if (found.metadata.uid !== uid || workload !== own?.[labels.workload]) {
    throw new PodUnavailable(`pod ${name} is another one, is being deleted, or was given a node by somebody else`);
  }
  return found;
}
