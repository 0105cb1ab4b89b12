/**
 * The server behind an APIService: questions and views in memory for a kube-apiserver that hands them on. Who asks is what its front
 * proxy says (Kubernetes' "aggregation layer": a client certificate of the proxy's own CA, and the X-Remote headers); what they may is
 * asked of it again. Whoever answers comes by a Unix socket.
 */
import { unauthorized, forbidden, type KubernetesObject } from "@berth/machinery";
import { decodeProtobuf } from "@berth/machinery/server";
import type { Server } from "node:http";
import { createSecureServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { join } from "node:path";
import { authenticated, mastersGroup, type Identity } from "./authentication/identity.ts";
import { authorize } from "./authorization/authorize.ts";
import type { AccessRequest } from "./authorization/rules.ts";
import { type DefinitionSpec, kindsOfDefinition } from "./definitions/custom-kind.ts";
import { accessOfRequest, dispatch, type ExtraRoute } from "./http/dispatch.ts";
import { Discovery } from "./http/discovery.ts";
import { sendError, type Exchange, type Request, type Response } from "./http/exchange.ts";
import { OpenApi } from "./http/openapi.ts";
import { Metrics } from "./metrics.ts";
import { withIssuer } from "./pki/issuer.ts";
import { Inquiries } from "./registry/inquiry.ts";
import { Registry } from "./registry/registry.ts";
import { addViews, listenLocally, versionInfo, type ApiServerOptions, type Log } from "./server.ts";
import type { Journal } from "./storage/journal.ts";
import { Store } from "./storage/store.ts";

/** How the API server that hands requests on shows who it is and who asks: `kube-system/extension-apiserver-authentication`. */
export interface FrontProxy {
  /** PEM. */
  certificateAuthority: string;
  /** Common names of its certificate; none: any that the authority signed. */
  names: readonly string[];
  userHeaders: readonly string[];
  groupHeaders: readonly string[];
  extraHeaderPrefixes: readonly string[];
}

export interface QuestionServerOptions {
  host: string;
  /** 0: a free one. */
  port: number;
  /** What the API server calls this server: `NAME.NAMESPACE.svc`. */
  serverName: string;
  /** Private to this process. */
  folder: string;
  questionDefinitions: readonly KubernetesObject[];
  views: NonNullable<ApiServerOptions["views"]>;
  /** Routes in the same group; `seesAll`: may list what the views' `seenWhollyBy` names. */
  routes: (seesAll: (identity: Identity) => boolean) => readonly ExtraRoute[];
  frontProxy: FrontProxy;
  /** Whether who asks may: a SubjectAccessReview. */
  mayAsk: (identity: Identity, access: AccessRequest) => Promise<boolean>;
  log: Log;
}

export interface QuestionServer {
  port: number;
  /** PEM of the certificate that clients must trust; made anew at each start. */
  certificateAuthority: string;
  /** For whoever answers, who may everything. */
  socketPath: string;
  setFrontProxy(proxy: FrontProxy): void;
  close(): Promise<void>;
}

/** Nothing of it outlives the process. */
const memory: Journal = {
  load: () => Promise.resolve(0),
  commit: () => Promise.resolve(),
  close: () => Promise.resolve(),
};
const answerer: Identity = { name: "berth:controllers", groups: [mastersGroup] };
const certificateYears = 10;

// See server.ts.
const { createServer } = process.getBuiltinModule("node:http");

export async function startQuestionServer(options: QuestionServerOptions): Promise<QuestionServer> {
  const { host, port, serverName, log } = options;
  let { frontProxy } = options;
  const store = await Store.open(memory);
  const registry = new Registry(store);
  for (const { spec } of options.questionDefinitions)
    for (const kind of kindsOfDefinition(spec as unknown as DefinitionSpec, "Question")) registry.add(kind);
  const { inquiry, seenWhollyBy } = addViews(registry, options.views);
  const everything: AccessRequest = {
    verb: "list",
    resource: { ...seenWhollyBy, subresource: "", namespace: "", name: "" },
  };
  const pair = await ownCertificate(serverName);
  const tls = (): { key: string; cert: string; ca: string } => ({
    key: pair.keyPem,
    cert: pair.certificatePem,
    ca: frontProxy.certificateAuthority,
  });

  /** Of requests whose right to ask has been looked up. */
  const askers = new WeakMap<object, Identity>();
  const whole = new WeakSet<Identity>([answerer]);
  const now = (): Date => new Date();
  const metrics = new Metrics();
  const openapi = new OpenApi(registry);
  const dispatcher = {
    resources: {
      registry,
      store,
      metrics,
      decodeProtobuf,
      actions: new Map(),
      // What is asked was allowed before it came this far; nobody is somebody else here.
      allows: (identity: Identity, access: AccessRequest) =>
        access.verb !== "impersonate" && (!isSame(access, everything) || whole.has(identity)),
      policies: undefined,
      now,
      views: { inquiries: new Inquiries(store, inquiry, now), seenWhollyBy },
    },
    discovery: new Discovery(registry),
    authenticator: {
      authenticate(request: Request): Identity {
        const identity = askers.get(request);
        if (identity === undefined) throw unauthorized();
        return identity;
      },
    },
    extraRoutes: options.routes((identity) => whole.has(identity)),
    extraMetrics: undefined,
    openapi: (exchange: Exchange) => openapi.serve(exchange),
    version: versionInfo(),
    address: serverName,
    log,
  };

  async function admit(request: Request): Promise<void> {
    const identity = identityOf(request, frontProxy);
    if (identity === undefined) throw unauthorized();
    const access = accessOfRequest(request);
    // What there is, is told to whoever the API server lets ask; inquiries are between it and the controllers.
    if (access.resource !== undefined) {
      if (access.resource.resource === inquiry.resource)
        throw forbidden(access.resource, "", "inquiries are not asked");
      const [mayAsk, seesAll] = await Promise.all([
        options.mayAsk(identity, access),
        options.mayAsk(identity, everything),
      ]);
      authorize(() => mayAsk, identity, access);
      if (seesAll) whole.add(identity);
    }
    askers.set(request, identity);
  }

  const server = createSecureServer({ allowHTTP1: true, requestCert: true, rejectUnauthorized: false, ...tls() });
  server.setTimeout(0);
  const sockets = new Set<Socket>();
  server.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  server.on("sessionError", () => {});
  server.on("request", (incoming: unknown, answer: unknown) => {
    const [request, response] = [incoming as Request, answer as Response];
    admit(request).then(
      () => void dispatch(dispatcher, request, response),
      (error: unknown) => sendError(failedExchange(request, response), error),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const local: Server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0 });
  local.on("request", (request: Request, response: Response) => {
    askers.set(request, answerer);
    void dispatch(dispatcher, request, response);
  });
  const socketPath = join(options.folder, "questions");
  await listenLocally(local, socketPath);
  return {
    port: (server.address() as AddressInfo).port,
    certificateAuthority: pair.certificatePem,
    socketPath,
    setFrontProxy(proxy) {
      frontProxy = proxy;
      server.setSecureContext(tls());
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      local.close();
      local.closeAllConnections();
      await closed;
      metrics.stop();
      await store.close();
    },
  };
}

function isSame(a: AccessRequest, b: AccessRequest): boolean {
  return a.verb === b.verb && a.resource?.resource === b.resource?.resource && a.resource?.group === b.resource?.group;
}

function failedExchange(request: Request, response: Response): Exchange {
  const { method = "GET", url = "/" } = request;
  return { request, response, method, path: url, query: new URLSearchParams(), identity: answerer, warnings: [] };
}

/** Signs itself, so that only who is given it trusts it. */
async function ownCertificate(serverName: string): Promise<{ keyPem: string; certificatePem: string }> {
  const notBefore = new Date(Date.now() - 86_400_000);
  const notAfter = new Date(Date.now() + certificateYears * 365 * 86_400_000);
  return withIssuer((issue) =>
    issue({ commonName: serverName, alternativeNames: [serverName], use: "server", notBefore, notAfter }),
  );
}

/** Who the front proxy says asks; undefined: it was not the front proxy. */
function identityOf(request: Request, proxy: FrontProxy): Identity | undefined {
  const socket = request.socket as TLSSocket;
  if (socket.authorized !== true) return undefined;
  const { CN } = (socket.getPeerCertificate()?.subject ?? {}) as { CN?: string };
  if (proxy.names.length > 0 && (CN === undefined || !proxy.names.includes(CN))) return undefined;
  // One by one: joined by commas a group's name could seem to be two.
  const headers = pairsOf(request.rawHeaders);
  const valuesOf = (names: readonly string[]): string[] =>
    headers.flatMap(([name, value]) => (names.some((one) => one.toLowerCase() === name) ? [value] : []));
  const [user] = valuesOf(proxy.userHeaders);
  if (user === undefined || user === "") return undefined;
  const extra: Record<string, string[]> = {};
  for (const prefix of proxy.extraHeaderPrefixes) {
    for (const [name, value] of headers) {
      if (!name.startsWith(prefix.toLowerCase())) continue;
      (extra[decodeURIComponent(name.slice(prefix.length))] ??= []).push(value);
    }
  }
  const groups = valuesOf(proxy.groupHeaders);
  const identity = { name: user, groups, ...(Object.keys(extra).length === 0 ? {} : { extra }) };
  // What is remembered of an identity is of this request's alone.
  return groups.includes("system:unauthenticated") ? identity : { ...authenticated(identity) };
}

function pairsOf(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([raw[at]!.toLowerCase(), raw[at + 1]!]);
  return pairs;
}
