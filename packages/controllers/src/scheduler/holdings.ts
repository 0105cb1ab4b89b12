/**
 * What only one pod of a node, or of the cluster, can have: ports of the node, and claims of one pod. To the core these are rules
 * between pods: whoever has one keeps all others off that want it. Pure.
 */
import type { Container, PodSpec } from "@berth/kinds";
import { clusterDomain, nodeDomain, podSelectorOf } from "@berth/kinds";
import type { PodTerm } from "@berth/scheduling";

export interface Holdings {
  /** What selectors of {@link Holdings.antiAffinity} see of the pod, beside its labels. */
  labels: Record<string, string>;
  antiAffinity: PodTerm[];
}

interface Port {
  hostPort?: number;
  protocol?: string;
  hostIP?: string;
}

const everyAddress = "0.0.0.0";

/** Ports of the node that a pod listens on: of its containers and of sidecars; others have ended when these begin. */
function hostPortsOf({ containers, initContainers = [] }: Pick<PodSpec, "containers" | "initContainers">): Port[] {
  const listening = [...containers, ...initContainers.filter((each) => each["restartPolicy"] === "Always")];
  return listening.flatMap(portsOf);
}

export function portsOf(container: Container): Port[] {
  const ports = container["ports"] as Port[] | undefined;
  return ports?.filter(({ hostPort = 0 }) => hostPort > 0) ?? [];
}

/**
 * @param singleClaims `NAMESPACE/NAME` of its claims that one pod at a time may use (ReadWriteOncePod)
 */
export function holdingsOf(
  spec: Pick<PodSpec, "containers" | "initContainers">,
  singleClaims: readonly string[] = [],
): Holdings | undefined {
  const ports = hostPortsOf(spec);
  if (ports.length === 0 && singleClaims.length === 0) return undefined;
  const held: Holdings = { labels: {}, antiAffinity: [] };
  const keepOff = (label: string, key: string): void => {
    const pods = podSelectorOf({ requirements: [{ key: label, operator: "Exists", values: [] }] });
    held.antiAffinity.push({ pods, key });
  };
  for (const { hostPort, protocol = "TCP", hostIP = "" } of ports) {
    const port = `port ${hostPort}/${protocol}`;
    const address = hostIP === "" ? everyAddress : hostIP;
    held.labels[port] = "";
    held.labels[`${port} ${address}`] = "";
    // As kube-scheduler: one address is in the way of itself and of all, and all of each.
    if (address === everyAddress) keepOff(port, nodeDomain);
    else for (const other of [address, everyAddress]) keepOff(`${port} ${other}`, nodeDomain);
  }
  for (const claim of singleClaims) {
    held.labels[`claim ${claim}`] = "";
    keepOff(`claim ${claim}`, clusterDomain);
  }
  return held;
}
