/** The process `apiserver`: the Kubernetes API of an embedded cluster, with Berth's routes. */
import {
  accountingRoute,
  openSqliteReader,
  startErrorMetrics,
  startErrors,
  type AccountingReader,
} from "@berth/accounting";
import { ensureToken, startApiServer, type ExtraRoute } from "@berth/apiserver";
import { createClient, loadKubeconfig, type Client } from "@berth/client";
import { LocalUsers } from "@berth/identity";
import {
  accountingPath,
  admissionPolicies,
  customResourceDefinitions,
  defaultObjects,
  questionDefinitions,
  systemNamespace,
  viewDefinitions,
} from "@berth/kinds";
import type { KubernetesObject } from "@berth/machinery";
import { join } from "node:path";
import { accessObjects, holders } from "./access.ts";
import type { RunningRole } from "./child.ts";
import type { Log } from "./json-log.ts";
import { loginRoute } from "./login-route.ts";
import { apiSocketPath } from "./part-connection.ts";
import type { RoleSettings } from "./messages.ts";

export async function runApiserver(settings: RoleSettings, log: Log, signal: AbortSignal): Promise<RunningRole> {
  const { data } = settings;
  const tokens = join(data, "tokens.json");
  for (const holder of Object.values(holders)) ensureToken(tokens, { user: holder.user, groups: [...holder.groups] });
  const reader = openSqliteReader(join(data, "accounting.db"));
  const answer = accountingRoute(reader);
  const prefix = accountingPath;
  const routes: ExtraRoute[] = [
    {
      method: "GET",
      prefix,
      handler: ({ path, query }, identity) =>
        identity === undefined
          ? { status: 401, body: unauthorized }
          : answer({ user: { name: identity.name, groups: identity.groups }, below: path.slice(prefix.length), query }),
    },
  ];
  if (settings.loginDirectory !== undefined) {
    let client: Client | undefined;
    routes.push(
      await loginRoute({
        directory: settings.loginDirectory,
        client: () => (client ??= createClient(loadKubeconfig({ path: join(data, "admin.kubeconfig") }).connection)),
        tokenFor: (holder) => ensureToken(tokens, holder),
        users: new LocalUsers(),
        log,
      }),
    );
  }
  const server = await startApiServer({
    dataDirectory: data,
    port: settings.port,
    socketPath: apiSocketPath(data),
    bootstrapObjects: [
      namespace(systemNamespace),
      ...accessObjects,
      ...customResourceDefinitions,
      ...defaultObjects,
    ] as KubernetesObject[],
    questionDefinitions,
    admissionPolicies,
    views: viewDefinitions,
    extraRoutes: routes,
    extraMetrics: startErrorsOf(reader),
    log,
    signal,
  });
  return {
    url: server.url,
    stop: async () => {
      await server.close();
      await reader.close();
    },
  };
}

/** Figures are worked out anew only so often, however often they are asked for. */
const metricsAgeMs = 60_000;

function startErrorsOf(reader: AccountingReader): () => Promise<string> {
  let text = "";
  let until = -Infinity;
  return async () => {
    if (performance.now() > until) {
      until = performance.now() + metricsAgeMs;
      const since = new Date(Date.now() - 86_400_000).toISOString();
      text = startErrorMetrics(startErrors(await reader.toldStarts({ since })));
    }
    return text;
  };
}

const unauthorized = {
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message: "who asks for accounting must say who they are",
  reason: "Unauthorized",
  code: 401,
};

function namespace(name: string): KubernetesObject {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name } };
}
