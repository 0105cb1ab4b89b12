/** What pods need that a kubelet runs, and Berth's own node does by itself. Pure. See docs/runtime.md. */
import type { Container, Node, Pod, PodSpec, Toleration } from "@berth/kinds";
import { annotations, hostImage, isEmbeddedNode, submissionKeys, submissionMountPath } from "@berth/kinds";

/** What a node that is not Berth's own can do. */
export interface KubeletTraits {
  /** A pod gets no groups but those that it names, whatever its image says (`supplementalGroupsPolicy: Strict`). */
  strictGroups: boolean;
}

/** Undefined of Berth's own nodes. */
export function kubeletTraitsOf(node: Node | undefined): KubeletTraits | undefined {
  if (node === undefined || isEmbeddedNode(node)) return undefined;
  return { strictGroups: node.status?.features?.supplementalGroupsPolicy === true };
}

const gateVolume = "berth-gate";
const gateFile = "gate";
const gateMountPath = "/berth-gate";

/**
 * A node that is silent may come back with the pod still running; it is not to be taken from it after five minutes, which is what
 * the API server would put here otherwise. Berth says when the attempt is lost.
 */
const staysOnSilentNodes: Toleration[] = ["not-ready", "unreachable"].map((condition) => ({
  key: `node.kubernetes.io/${condition}`,
  operator: "Exists",
  effect: "NoExecute",
}));

/**
 * The pod as a kubelet is to run it: with an image, the job's output in the pod's log too, gates as files, and no more rights than the
 * Pod Security Standard `restricted` allows, as far as its template asks for nothing else.
 * @param image what image `host` stands for here: the queue's
 * @throws an Error in words where there is no image
 */
export function onKubelet(pod: Pod, traits: KubeletTraits, image: string | undefined): Pod {
  const { spec, metadata } = pod;
  const isGated = metadata.annotations?.[annotations.gate] !== undefined;
  const asRoot = spec.securityContext?.runAsUser === 0;
  const named = (container: Container): Container => {
    const own = container.image === undefined || container.image === hostImage ? image : container.image;
    if (own === undefined || own === hostImage) {
      throw new Error(
        `container ${container.name} names no image, and nodes here have no image of their own; name one, or have it set for the queue: spec.podDefaults.spec.containers[0].image`,
      );
    }
    return { ...container, image: own, securityContext: restricted(container.securityContext, asRoot) };
  };
  const changed: PodSpec = {
    ...spec,
    containers: spec.containers.map((container) => {
      const made = named(container);
      if (!isSubmission(container)) return made;
      const env = [...(made.env ?? []), { name: "BERTH_LOG_COPY", value: "1" }];
      if (!isGated) return { ...made, env };
      return {
        ...made,
        env: [...env, { name: "BERTH_GATE", value: `${gateMountPath}/${gateFile}` }],
        volumeMounts: [...(made.volumeMounts ?? []), { name: gateVolume, mountPath: gateMountPath, readOnly: true }],
      };
    }),
    tolerations: [...(spec.tolerations ?? []), ...staysOnSilentNodes],
    securityContext: {
      ...(asRoot ? {} : { runAsNonRoot: true }),
      seccompProfile: { type: "RuntimeDefault" },
      ...spec.securityContext,
      // A kubelet that does not know Strict would reject the pod.
      ...(traits.strictGroups ? {} : { supplementalGroupsPolicy: undefined }),
    },
  };
  if (spec.initContainers !== undefined) changed.initContainers = spec.initContainers.map(named);
  if (isGated && spec.containers.some(isSubmission)) {
    const fieldRef = { fieldPath: `metadata.annotations['${annotations.gate}']` };
    changed.volumes = [
      ...(spec.volumes ?? []),
      { name: gateVolume, downwardAPI: { items: [{ path: gateFile, fieldRef }] } },
    ];
  }
  return { ...pod, spec: changed };
}

/** Whether the container is started by Berth's wrapper. */
function isSubmission({ command }: Container): boolean {
  return command?.includes(`${submissionMountPath}/${submissionKeys.wrapper}`) === true;
}

function restricted(context: Container["securityContext"], asRoot: boolean): Container["securityContext"] {
  return {
    allowPrivilegeEscalation: false,
    ...(asRoot ? {} : { capabilities: { drop: ["ALL"] } }),
    ...context,
  };
}
