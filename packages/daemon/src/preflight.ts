/** What must be true of a cluster before the controllers can work there, each in words that say what would be right. */
import { isReason, type Client } from "@berth/client";
import { apiVersion, group, workloads } from "@berth/kinds";
import { Refusal } from "./refusal.ts";

/** Minor version of Kubernetes 1 from which on Berth works: the oldest that it is tested with. */
const oldestMinor = 33;

interface Right {
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
}

const right = (verb: string, of: string, resource: string, subresource?: string): Right => ({
  verb,
  group: of,
  resource,
  ...(subresource === undefined ? {} : { subresource }),
});

/** Without one of these nothing can be done; what is needed less often is said when it fails. */
const needed: readonly Right[] = [
  ...["workloads", "queues", "accounts", "memberships", "qualitiesofservice", "reservations", "sites"].map((resource) =>
    right("watch", group, resource),
  ),
  right("patch", group, "workloads"),
  right("patch", group, "workloads", "status"),
  ...["create", "watch", "patch", "delete", "deletecollection"].map((verb) => right(verb, "", "pods")),
  right("watch", "", "nodes"),
  right("watch", "", "namespaces"),
  right("watch", "batch", "jobs"),
  right("patch", "", "secrets"),
];

/** @throws Refusal where the API is too old, has not Berth's kinds, or gives too few rights */
export async function checkCluster(client: Client): Promise<void> {
  await checkVersion(client);
  await checkKinds(client);
  await checkRights(client);
}

async function checkVersion(client: Client): Promise<void> {
  const { major, minor, gitVersion } = await client.request<{ major: string; minor: string; gitVersion: string }>({
    method: "GET",
    path: "/version",
  });
  if (Number(major) > 1 || Number.parseInt(minor, 10) >= oldestMinor) return;
  throw new Refusal(
    `the cluster at ${client.server} is Kubernetes ${gitVersion}; Berth needs 1.${oldestMinor} or newer`,
  );
}

async function checkKinds(client: Client): Promise<void> {
  try {
    const { resources } = await client.request<{ resources: { name: string }[] }>({
      method: "GET",
      path: `/apis/${apiVersion}`,
    });
    if (resources.some(({ name }) => name === workloads.resource)) return;
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
  }
  throw new Refusal(
    `the cluster at ${client.server} has no kind workloads of ${apiVersion}; install them: berth install`,
  );
}

async function checkRights(client: Client): Promise<void> {
  const answers = await Promise.all(
    needed.map(async (resourceAttributes) => {
      const { status } = await client.request<{ status: { allowed: boolean } }>({
        method: "POST",
        path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        body: {
          apiVersion: "authorization.k8s.io/v1",
          kind: "SelfSubjectAccessReview",
          spec: { resourceAttributes },
        },
      });
      return status.allowed;
    }),
  );
  const missing = needed.filter((_, index) => answers[index] !== true);
  if (missing.length === 0) return;
  const words = missing.map(
    ({ verb, group: of, resource, subresource }) =>
      `${verb} ${resource}${of === "" ? "" : `.${of}`}${subresource === undefined ? "" : `/${subresource}`}`,
  );
  throw new Refusal(
    `who this kubeconfig is may not ${words.join(", ")} in all namespaces; bind it to the ClusterRole of the controllers that berth install makes`,
  );
}
