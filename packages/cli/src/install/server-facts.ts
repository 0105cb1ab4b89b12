/** What a real API server is and can, before anything is written to it. */
import { isReason, type Client } from "@berth/client";
import { CommandError } from "../command-error.ts";
import { connect, type Cluster } from "../connect.ts";
import type { PolicyLevel } from "@berth/kinds/install";
import { absent } from "./absent.ts";
import type { WantedLevel } from "./levels.ts";

/** Since then fields that a kind selects by, and policies, are what they are now. */
const oldestMinor = 33;
const admissionGroup = "admissionregistration.k8s.io";

export interface ServerFacts {
  /** `v1.35.4`. */
  gitVersion: string;
  /** Who asks, as the server knows it. */
  user: string;
  /** Version of admissionregistration.k8s.io with MutatingAdmissionPolicy, the newest; absent: the server has none. */
  mutatingVersion?: string;
  /** Its pods have IDs that the server chose, as on OpenShift. */
  givesIds: boolean;
}

/**
 * The cluster that was named, and no other: what is done here is done to a whole cluster.
 * @throws CommandError where none was named, or an embedded one
 */
export async function namedCluster(command: string): Promise<Cluster> {
  const named = process.env["BERTH_CONTEXT"];
  if (named === undefined || named === "")
    throw new CommandError(
      `which cluster? name it: berth ${command} --context NAME, a context of your kubeconfig or the path of one (kubectl config get-contexts lists them); ` +
        "one that nobody named is never touched",
    );
  const cluster = await connect();
  if (cluster.data !== undefined)
    throw new CommandError(
      `${cluster.description} is an embedded cluster: berth up puts everything on it and brings it up to date at each start. berth ${command} is for a real Kubernetes; name one with --context`,
    );
  return cluster;
}

export async function readServerFacts({ client, description }: Cluster): Promise<ServerFacts> {
  const { gitVersion, major, minor } = await client.request<{ gitVersion: string; major: string; minor: string }>({
    method: "GET",
    path: "/version",
  });
  // Providers write `33+`.
  const number = Number.parseInt(minor, 10);
  if (Number(major) === 1 && number < oldestMinor)
    throw new CommandError(
      `${description} is Kubernetes ${gitVersion}; Berth needs 1.${oldestMinor} or newer. Upgrade the cluster, or use another`,
    );
  if (gitVersion.includes("berth"))
    throw new CommandError(`${description} is an embedded cluster of Berth, which has everything already`);
  const [user, mutatingVersion, givesIds] = await Promise.all([
    userName(client),
    mutatingVersionOf(client),
    hasGroup(client, "security.openshift.io/v1"),
  ]);
  return { gitVersion, user, givesIds, ...(mutatingVersion === undefined ? {} : { mutatingVersion }) };
}

async function userName(client: Client): Promise<string> {
  const review = await client
    .request<{ status?: { userInfo?: { username?: string } } }>({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
    })
    .catch((error: unknown) => {
      if (isReason(error, "Unauthorized"))
        throw new CommandError(
          `${client.server} does not know who you are: the kubeconfig's token or certificate is not accepted (expired?)`,
        );
      if (isReason(error, "Forbidden", "NotFound")) return undefined;
      throw error;
    });
  return review?.status?.userInfo?.username ?? "you";
}

async function hasGroup(client: Client, groupVersion: string): Promise<boolean> {
  return (await absent(client.request({ method: "GET", path: `/apis/${groupVersion}` }))) !== undefined;
}

export async function mutatingVersionOf(client: Client): Promise<string | undefined> {
  for (const version of ["v1", "v1beta1"]) {
    const path = `/apis/${admissionGroup}/${version}`;
    const list = await absent(client.request<{ resources: { name: string }[] }>({ method: "GET", path }));
    if (list?.resources.some(({ name }) => name === "mutatingadmissionpolicies") === true) return version;
  }
  return undefined;
}

/**
 * @param facts absent where no server is asked
 * @throws CommandError in words, where the level cannot be had
 */
export function levelOf(wanted: WantedLevel, facts: ServerFacts | undefined): PolicyLevel {
  if (wanted === "auto") return facts?.mutatingVersion === undefined ? "policies" : "mutating";
  if (wanted === "mutating" && facts !== undefined && facts.mutatingVersion === undefined)
    throw new CommandError(
      `--level mutating: ${facts.gitVersion} does not serve MutatingAdmissionPolicy (Kubernetes 1.36 does; 1.34 and 1.35 with --feature-gates=MutatingAdmissionPolicy=true and --runtime-config=${admissionGroup}/v1beta1=true). Use --level webhook or policies`,
    );
  return wanted;
}
