/**
 * Serves the webhook of level `webhook`: it fills in what pods of a managed namespace lack. Each process makes a certificate of its own,
 * whose authority it adds to those that the API server trusts, and makes the next one in time; no key ever leaves a process. Who calls is
 * not asked for: what is answered follows from what was sent and from whose the namespace is.
 */
import { issueCertificate, type KeyAndCertificate } from "@berth/apiserver";
import { type AnyObject, type Client, Informer, isReason, resources } from "@berth/client";
import type { Metrics } from "@berth/controllers";
import { annotations } from "@berth/kinds";
import { fillIn, webhookFullName, webhookName, webhookPath, webhookServerName } from "@berth/kinds/install";
import type { KubernetesObject } from "@berth/machinery";
import { createHash, X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Log } from "./json-log.ts";
import { messageOf, Refusal } from "./refusal.ts";

export interface WebhookOptions {
  client: Client;
  /** `HOST:PORT`. */
  listen: string;
  log: Log;
  metrics: Metrics;
}

interface AdmissionReview {
  apiVersion: string;
  kind: string;
  request?: {
    uid: string;
    operation: string;
    resource: { group: string; resource: string };
    namespace?: string;
    object?: KubernetesObject;
  };
}

type Configuration = AnyObject & { webhooks?: { name: string; clientConfig?: { caBundle?: string } }[] };

const dayMs = 86_400_000;
const validMs = 30 * dayMs;
/** Long before the end: who takes it over may be away for days. */
const renewAfterMs = 10 * dayMs;
/** Somebody may have written the configuration anew. */
const lookAgainMs = 60_000;
const tryAgainMs = 5000;
/** A process that starts over and over leaves an authority each time. */
const mostAuthorities = 8;
/** More than etcd takes for an object. */
const longestBodyBytes = 8 * 2 ** 20;
/** A clock that is behind ours takes the certificate too. */
const clockToleranceMs = 3_600_000;

const configurations = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  resource: "mutatingwebhookconfigurations",
  namespaced: false,
} as const;

/** Listens, and goes on until the signal aborts; throws a {@link Refusal} in words where it cannot listen. */
export async function serveWebhook(
  { client, listen, log, metrics }: WebhookOptions,
  signal: AbortSignal,
): Promise<void> {
  const found = /^(.*):(\d{1,5})$/.exec(listen);
  if (found === null) throw new Refusal(`--webhook ${listen}: this must be HOST:PORT, such as 0.0.0.0:9444`);
  const count = metrics.counter(
    "berth_webhook_requests_total",
    "Objects that the webhook was asked of, by what came of it.",
  );
  const namespaces = new Informer<AnyObject>({
    client,
    resource: resources.namespaces,
    transform: ({ metadata: { name, uid, resourceVersion, annotations: said = {} } }) =>
      // Of most nothing is needed.
      ({
        metadata: {
          name,
          uid,
          resourceVersion,
          ...(said[annotations.owner] === undefined ? {} : { annotations: said }),
        },
      }) as AnyObject,
    signal,
    onError: (error) => {
      if (!signal.aborted) log("warn", `watching namespaces failed: ${messageOf(error)}`);
    },
  });
  let own = await makeAuthority();
  const server = createServer({ key: own.pair.keyPem, cert: own.pair.certificatePem }, (request, response) => {
    const answer = async (): Promise<void> => {
      if (request.method !== "POST" || request.url?.split("?")[0] !== webhookPath) {
        response.writeHead(404).end();
        return;
      }
      const body = await answerOf(request, namespaces);
      count({ outcome: body.response.patch === undefined ? "unchanged" : "filled" });
      response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(body));
    };
    answer().catch((error: unknown) => {
      count({ outcome: "failed" });
      log("warn", `the webhook did not understand a request: ${messageOf(error)}`);
      if (!response.headersSent) response.writeHead(400);
      response.end(`${messageOf(error)}\n`);
    });
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (error) => reject(new Refusal(`--webhook ${listen}: ${messageOf(error)}`)));
  server.listen(Number(found[2]), found[1]!.replace(/^\[(.*)\]$/, "$1") || "0.0.0.0", resolve);
  await promise;
  signal.addEventListener("abort", () => {
    server.close();
    server.closeAllConnections();
  });
  log("info", "the webhook is served", { port: (server.address() as AddressInfo).port });

  void (async () => {
    let told = "";
    while (!signal.aborted) {
      if (Date.now() > own.renewAt) {
        // The next one is trusted first.
        const next = await makeAuthority();
        if ((await announce(client, next.authorityPem)) === undefined) {
          own = next;
          server.setSecureContext({ key: own.pair.keyPem, cert: own.pair.certificatePem });
        }
      }
      const trouble = await announce(client, own.authorityPem);
      if (trouble !== undefined && trouble !== told && !signal.aborted)
        log("warn", `the webhook is not asked yet: ${trouble}`);
      told = trouble ?? "";
      await pause(trouble === undefined ? lookAgainMs : tryAgainMs, undefined, { signal }).catch(() => {});
    }
  })();
}

async function answerOf(request: IncomingMessage, namespaces: Informer<AnyObject>) {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > longestBodyBytes) throw new Error("too long");
    chunks.push(chunk);
  }
  const { apiVersion, kind, request: asked } = JSON.parse(Buffer.concat(chunks).toString()) as AdmissionReview;
  if (kind !== "AdmissionReview" || asked?.object === undefined) throw new Error("no AdmissionReview with an object");
  const { uid, operation, resource, namespace, object } = asked;
  const said = namespaces.get(undefined, namespace ?? "")?.metadata.annotations ?? {};
  const patch = fillIn({ operation, resource, object, annotations: said });
  const change =
    patch.length === 0 ? {} : { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") };
  return { apiVersion, kind, response: { uid, allowed: true, ...change } };
}

interface Own {
  authorityPem: string;
  pair: KeyAndCertificate;
  renewAt: number;
}

async function makeAuthority(): Promise<Own> {
  const now = Date.now();
  const valid = { notBefore: new Date(now - clockToleranceMs), notAfter: new Date(now + validMs) };
  const name = `berth-webhook-${createHash("sha256").update(`${process.pid} ${now} ${Math.random()}`).digest("hex").slice(0, 12)}`;
  const authority = await issueCertificate({ commonName: name, use: "authority", ...valid });
  const pair = await issueCertificate(
    { commonName: webhookServerName, alternativeNames: [webhookServerName], use: "server", ...valid },
    authority,
  );
  return { authorityPem: authority.certificatePem, pair, renewAt: now + renewAfterMs };
}

/** Adds an authority to those that the API server trusts; to what is in the way, in words. */
async function announce(client: Client, authority: string): Promise<string | undefined> {
  try {
    const { metadata, webhooks = [] } = await client.get<Configuration>(configurations, webhookName);
    const bundle = webhooks.find(({ name }) => name === webhookFullName)?.clientConfig?.caBundle ?? "";
    const known = certificatesOf(Buffer.from(bundle, "base64").toString());
    if (known.includes(authority.trim())) return undefined;
    const kept = known.filter((pem) => Date.parse(new X509Certificate(pem).validTo) > Date.now());
    const next = [...kept, authority.trim()].slice(-mostAuthorities).join("\n");
    const caBundle = Buffer.from(`${next}\n`).toString("base64");
    await client.patch<Configuration>(
      configurations,
      webhookName,
      {
        // Another process may add its own at the same time.
        metadata: { resourceVersion: metadata.resourceVersion },
        webhooks: [{ name: webhookFullName, clientConfig: { caBundle } }],
      },
      { type: "Strategic" },
    );
    return undefined;
  } catch (error) {
    if (isReason(error, "NotFound"))
      return `the cluster has no MutatingWebhookConfiguration ${webhookName}: berth upgrade --level webhook makes it`;
    return messageOf(error);
  }
}

function certificatesOf(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}
