export const kubernetesVersion = "1.35.4";

/** The API groups whose kinds Berth knows: `[group, version]`, the core group is empty. */
export const groupVersions: [group: string, version: string][] = [
  ["", "v1"],
  ["apps", "v1"],
  ["batch", "v1"],
  ["autoscaling", "v1"],
  ["autoscaling", "v2"],
  ["policy", "v1"],
  ["apiextensions.k8s.io", "v1"],
  ["authentication.k8s.io", "v1"],
  ["authorization.k8s.io", "v1"],
  ["coordination.k8s.io", "v1"],
  ["discovery.k8s.io", "v1"],
  ["events.k8s.io", "v1"],
  ["networking.k8s.io", "v1"],
  ["node.k8s.io", "v1"],
  ["rbac.authorization.k8s.io", "v1"],
  ["scheduling.k8s.io", "v1"],
  ["storage.k8s.io", "v1"],
];

/** How Kubernetes' files name a group version: `api__v1`, `apis__apps__v1`. */
export function fileStem([group, version]: [string, string]): string {
  return group === "" ? `api__${version}` : `apis__${group}__${version}`;
}
