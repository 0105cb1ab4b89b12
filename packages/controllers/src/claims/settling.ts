import type { PodSpec } from "@berth/kinds";

/** Claims of a pod did not become its own on the node that was chosen: another node may do. */
export class ClaimsUnsettled extends Error {}

/** A pod that is there. */
export interface SettledPod {
  namespace: string;
  name: string;
  uid: string;
  spec: PodSpec;
}
