/** Serves the kinds that are asked and never stored on a real cluster, behind its APIService, for as long as this process leads. */
import { type Accounting, accountingRoute } from "@berth/accounting";
import { type ExtraRoute, type FrontProxy, type Identity, startQuestionServer } from "@berth/apiserver";
import { type AnyObject, type Client, createClient, Informer, isReason, resources } from "@berth/client";
import {
  accountingPath,
  questionDefinitions,
  questionsApiService,
  questionsServiceName,
  systemNamespace,
  viewDefinitions,
} from "@berth/kinds";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Log } from "./json-log.ts";
import { messageOf, Refusal } from "./refusal.ts";

export interface QuestionsOptions {
  client: Client;
  accounting: Accounting;
  /** `HOST:PORT`. */
  listen: string;
  log: Log;
}

const authentication = { name: "extension-apiserver-authentication", namespace: "kube-system" };
const announceAgainMs = 5000;
/** What somebody may is asked again after this; so long a right outlives its being taken away, as in other such servers. */
const rememberedMs = 10_000;
const mostRemembered = 4096;

type ConfigMap = AnyObject & { data?: Record<string, string> };

/**
 * Begins to serve, until the signal aborts; to the client by which whoever answers reaches the questions. Undefined where it cannot
 * be done, which is logged: the rest goes on without.
 */
export async function serveQuestions(options: QuestionsOptions, signal: AbortSignal): Promise<Client | undefined> {
  const { client, log } = options;
  try {
    return await begin(options, signal);
  } catch (error) {
    if (!signal.aborted)
      log("error", `questions (explain, start estimates, sacct …) are not served: ${messageOf(error)}`, {
        server: client.server,
      });
    return undefined;
  }
}

async function begin({ client, accounting, listen, log }: QuestionsOptions, signal: AbortSignal): Promise<Client> {
  const found = /^(.*):(\d{1,5})$/.exec(listen);
  if (found === null) throw new Refusal(`--questions ${listen}: this must be HOST:PORT, such as 0.0.0.0:9443`);
  const { name, namespace } = authentication;
  const frontProxy = frontProxyOf(await client.get<ConfigMap>(resources.configMaps, name, { namespace, signal }));
  const folder = mkdtempSync(join(tmpdir(), "berth-questions-"));
  const server = await startQuestionServer({
    host: found[1]!.replace(/^\[(.*)\]$/, "$1") || "0.0.0.0",
    port: Number(found[2]),
    serverName: `${questionsServiceName}.${systemNamespace}.svc`,
    folder,
    questionDefinitions,
    views: viewDefinitions,
    routes: (seesAll) => [accountingRouteOf(accounting, seesAll)],
    frontProxy,
    mayAsk: rememberedReviews(client),
    log,
  });
  const own = createClient({
    server: "http://localhost",
    socketPath: server.socketPath,
    userAgent: "berth-controllers",
    retryConnectionSeconds: 5,
  });
  const end = (): void => {
    own.close();
    // Not after: the process may end before that.
    rmSync(folder, { recursive: true, force: true });
    void server.close();
  };
  if (signal.aborted) end();
  else signal.addEventListener("abort", end, { once: true });
  followFrontProxy(client, (proxy) => server.setFrontProxy(proxy), log, signal);
  void announce(client, server.certificateAuthority, log, signal);
  log("info", "questions are served", { port: server.port });
  return own;
}

function accountingRouteOf(accounting: Accounting, seesAll: (identity: Identity) => boolean): ExtraRoute {
  const answer = accountingRoute(accounting);
  return {
    method: "GET",
    prefix: accountingPath,
    handler: ({ path, query }, identity) =>
      answer({
        user: { name: identity!.name, groups: identity!.groups, seesAll: seesAll(identity!) },
        below: path.slice(accountingPath.length),
        query,
      }),
  };
}

/** @throws Refusal where the API server hands nothing on */
function frontProxyOf({ data = {} }: ConfigMap): FrontProxy {
  const certificateAuthority = data["requestheader-client-ca-file"];
  if (certificateAuthority === undefined)
    throw new Refusal(
      "this API server hands no requests on: it was started without --requestheader-client-ca-file and --proxy-client-cert-file",
    );
  const list = (key: string): string[] => JSON.parse(data[key] ?? "[]") as string[];
  return {
    certificateAuthority,
    names: list("requestheader-allowed-names"),
    userHeaders: list("requestheader-username-headers"),
    groupHeaders: list("requestheader-group-headers"),
    extraHeaderPrefixes: list("requestheader-extra-headers-prefix"),
  };
}

/** Its authority is renewed now and then. */
function followFrontProxy(client: Client, set: (proxy: FrontProxy) => void, log: Log, signal: AbortSignal): void {
  const changed = (found: ConfigMap): void => {
    try {
      set(frontProxyOf(found));
    } catch (error) {
      log("warn", messageOf(error));
    }
  };
  const { name, namespace } = authentication;
  void new Informer<ConfigMap>({
    client,
    resource: resources.configMaps,
    namespace,
    fieldSelector: `metadata.name=${name}`,
    signal,
    handlers: [{ update: changed }],
    onError: (error) => {
      if (!signal.aborted) log("warn", `watching ${namespace}/${name} failed: ${messageOf(error)}`);
    },
  });
}

/** Tells the API server whom to trust: who leads has a certificate of their own. */
async function announce(client: Client, certificate: string, log: Log, signal: AbortSignal): Promise<void> {
  const caBundle = Buffer.from(certificate).toString("base64");
  for (let tries = 0; !signal.aborted; tries++) {
    try {
      await client.patch<AnyObject>(apiServices, questionsApiService, { spec: { caBundle } }, { signal });
      return;
    } catch (error) {
      if (signal.aborted) return;
      const words = isReason(error, "NotFound")
        ? `the cluster has no APIService ${questionsApiService}: berth upgrade makes it`
        : messageOf(error);
      if (tries % 12 === 0) log("warn", `questions do not reach this process yet: ${words}`);
      await pause(announceAgainMs, undefined, { signal }).catch(() => {});
    }
  }
}

const apiServices = { group: "apiregistration.k8s.io", version: "v1", resource: "apiservices", namespaced: false };

/** SubjectAccessReviews, each asked once in a while. */
function rememberedReviews(client: Client): Parameters<typeof startQuestionServer>[0]["mayAsk"] {
  const known = new Map<string, { until: number; answer: Promise<boolean> }>();
  return ({ name, groups, extra }, { verb, resource }) => {
    const resourceAttributes = { verb, ...resource };
    const spec = { user: name, groups, ...(extra === undefined ? {} : { extra }), resourceAttributes };
    const key = JSON.stringify(spec);
    const found = known.get(key);
    const now = performance.now();
    if (found !== undefined && found.until > now) return found.answer;
    const answer = client
      .request<{ status: { allowed: boolean } }>({
        method: "POST",
        path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        body: { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec },
      })
      .then(({ status }) => status.allowed);
    if (known.size >= mostRemembered) known.clear();
    known.set(key, { until: now + rememberedMs, answer });
    answer.catch(() => known.delete(key));
    return answer;
  };
}
