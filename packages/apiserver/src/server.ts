import type { KubernetesObject } from "@berth/machinery";
import { decodeProtobuf } from "@berth/machinery/server";
import { chmodSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import type { Server } from "node:http";
import { createSecureServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { join } from "node:path";
import { Authenticator } from "./authentication/authenticator.ts";
import { mastersGroup } from "./authentication/identity.ts";
import { ensureToken, TokenFile, TokenSigner } from "./authentication/tokens.ts";
import { RoleBasedAccess } from "./authorization/rbac.ts";
import { reviewActions } from "./actions/access-reviews.ts";
import { bindingAction, evictionAction, tokenAction } from "./actions/pod-actions.ts";
import { bootstrap } from "./bootstrap.ts";
import { expireEvents } from "./collection/events.ts";
import { GarbageCollector } from "./collection/garbage.ts";
import { NamespaceKeeper } from "./collection/namespaces.ts";
import { type DefinitionSpec, kindsOfDefinition } from "./definitions/custom-kind.ts";
import { definitionKind } from "./definitions/definition-kind.ts";
import { followDefinitions } from "./definitions/definitions.ts";
import { Discovery } from "./http/discovery.ts";
import type { ExtraRoute } from "./http/dispatch.ts";
import { OpenApi } from "./http/openapi.ts";
import { upgrade } from "./http/upgrade.ts";
import { absentAction, logAction, upgradeOnlyAction } from "./nodes/node-proxy.ts";
import { dispatch } from "./http/dispatch.ts";
import type { Action } from "./http/resource-call.ts";
import type { Exchange, Request, Response } from "./http/exchange.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { coreKinds, reviewKinds } from "./kinds/core.ts";
import { eventKinds } from "./kinds/event.ts";
import { jobKind } from "./kinds/job.ts";
import { rbacKinds } from "./kinds/rbac.ts";
import { podKind } from "./kinds/pod.ts";
import { Metrics } from "./metrics.ts";
import { ensurePki } from "./pki/authority.ts";
import { AdmissionPolicies } from "./registry/policies.ts";
import { Inquiries } from "./registry/inquiry.ts";
import type { Kind } from "./registry/kind.ts";
import { Registry } from "./registry/registry.ts";
import { openJournal } from "./storage/journal.ts";
import { Store } from "./storage/store.ts";

export type Log = (level: "info" | "warn" | "error", message: string, fields?: Record<string, unknown>) => void;

export interface ApiServerOptions {
  /** Holds `api/store.db`, `pki/`, `tokens.json`, `admin.kubeconfig`. */
  dataDirectory: string;
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 0: a free one. */
  port?: number;
  /** A second listener without TLS for this machine's own parts: a Unix socket that only this user may open. */
  socketPath?: string;
  /** Created or brought up to date at start: CustomResourceDefinitions, default objects. */
  bootstrapObjects?: readonly KubernetesObject[];
  /** Definitions, in the form of CustomResourceDefinitions, of kinds that are asked and never stored. */
  questionDefinitions?: readonly KubernetesObject[];
  /**
   * Kinds that are read and never stored: each get or list becomes an object of the kind `inquiry` (a question), whose status is
   * the answer. Who may list the resource `seenWhollyBy` in all namespaces is told everything.
   */
  views?: {
    inquiry: KubernetesObject;
    kinds: readonly KubernetesObject[];
    seenWhollyBy: { group: string; resource: string };
  };
  /** ValidatingAdmissionPolicies that hold for all writes by the API. */
  admissionPolicies?: readonly KubernetesObject[];
  extraRoutes?: readonly ExtraRoute[];
  /** More lines of `/metrics`, each ended. */
  extraMetrics?: () => Promise<string>;
  log?: Log;
  /** Closes the server. */
  signal?: AbortSignal;
}

export interface ApiServer {
  /** `https://127.0.0.1:PORT` */
  url: string;
  /** PEM of the CA that signed the server's certificate. */
  certificateAuthority: string;
  adminKubeconfig: string;
  close(): Promise<void>;
}

// An import of node:http would read all its names, of which one brings Node's fetch: 50 ms and 13 MiB that nobody here needs.
const { createServer } = process.getBuiltinModule("node:http");

const gitVersion = "v1.35.4+berth";

/** Starts the API server on a data folder. Fails in words when the folder is damaged, of a newer format, or in use. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { dataDirectory, host = "127.0.0.1", port = 0, log = () => {} } = options;
  mkdirSync(join(dataDirectory, "api"), { recursive: true, mode: 0o700 });
  const names = [...new Set(["localhost", "127.0.0.1", host, "kubernetes", "kubernetes.default.svc"])];
  const pki = await ensurePki(join(dataDirectory, "pki"), names, new Date());
  const tokenPath = join(dataDirectory, "tokens.json");
  const adminToken = ensureToken(tokenPath, { user: "admin", groups: [mastersGroup] });

  const storePath = join(dataDirectory, "api", "store.db");
  refuseLostStore(dataDirectory, storePath);
  const store = await Store.open(openJournal(storePath));
  const registry = new Registry(store);
  const access: RoleBasedAccess = new RoleBasedAccess(store);
  for (const kind of [
    ...coreKinds(),
    ...rbacKinds(() => access),
    podKind(store),
    jobKind(),
    ...eventKinds(),
    ...reviewKinds(),
  ])
    registry.add(kind);
  for (const { spec } of options.questionDefinitions ?? []) {
    for (const kind of kindsOfDefinition(spec as unknown as DefinitionSpec, "Question")) registry.add(kind);
  }
  const views = options.views === undefined ? undefined : addViews(registry, options.views);
  registry.add(definitionKind(registry));
  followDefinitions(registry);
  const now = (): Date => new Date();
  const warn = (message: string): void => log("warn", message);
  const collectors = [
    new GarbageCollector(store, registry, warn),
    new NamespaceKeeper(store, registry, warn),
    { stop: expireEvents(store, warn) },
  ];
  await bootstrap(store, registry, options.bootstrapObjects ?? [], now);
  const signer = new TokenSigner(join(dataDirectory, "pki", "service-account.key"));
  const authenticator = new Authenticator(new TokenFile(tokenPath), signer, store);
  const metrics = new Metrics();
  const discovery = new Discovery(registry);
  const openapi = new OpenApi(registry);

  const nodeTokens = new TokenFile(tokenPath);
  const credentials = {
    token: () => nodeTokens.tokenOf("berth:apiserver") ?? "",
    certificateAuthority: pki.authorityPem,
  };
  ensureToken(tokenPath, { user: "berth:apiserver", groups: ["berth:apiserver"] });
  const actions = new Map<string, Action>([
    ...reviewActions(access, authenticator),
    ["pods/binding", bindingAction(store)],
    ["pods/eviction", evictionAction(store)],
    ["pods/log", logAction(store, credentials)],
    ["pods/exec", upgradeOnlyAction("exec")],
    ["pods/attach", upgradeOnlyAction("attach")],
    ["pods/portforward", absentAction("port forwarding is not there yet")],
    ["serviceaccounts/token", tokenAction(store, signer)],
  ]);

  const server = createSecureServer({
    allowHTTP1: true,
    key: pki.server.keyPem,
    cert: pki.server.certificatePem,
    ca: pki.authorityPem,
    requestCert: true,
    rejectUnauthorized: false,
    // Clients that end many watches at once must not lose their connection.
    streamResetBurst: 100_000,
    streamResetRate: 10_000,
    settings: { maxConcurrentStreams: 10_000 },
  });
  // Longer than the 90 s for which Go's clients keep idle connections.
  Object.assign(server, { keepAliveTimeout: 120_000, requestTimeout: 0, headersTimeout: 60_000 });
  server.setTimeout(0);
  const sockets = new Set<Socket>();
  server.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  server.on("sessionError", () => {});
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(
        error.code === "EADDRINUSE"
          ? new Error(`port ${port} of ${host} is taken by another program: choose another with --port`)
          : error,
      );
    });
    server.listen(port, host, resolve);
  });
  const url = `https://${host.includes(":") ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`;
  const allows = access.allows.bind(access);
  const dispatcher = {
    resources: {
      registry,
      store,
      metrics,
      decodeProtobuf,
      actions,
      allows,
      policies: options.admissionPolicies && new AdmissionPolicies(options.admissionPolicies, allows),
      now,
      views: views && { inquiries: new Inquiries(store, views.inquiry, now), seenWhollyBy: views.seenWhollyBy },
    },
    discovery,
    authenticator,
    extraRoutes: options.extraRoutes ?? [],
    extraMetrics: options.extraMetrics,
    openapi: (exchange: Exchange) => openapi.serve(exchange),
    version: versionInfo(),
    address: url.replace("https://", ""),
    log,
  };
  const local = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0, headersTimeout: 60_000 });
  for (const listener of [server, local]) {
    listener.on("request", (request: unknown, response: unknown) => {
      void dispatch(dispatcher, request as Request, response as Response);
    });
    listener.on("upgrade", (request: Request, socket: Duplex, head: Buffer) => {
      void upgrade(dispatcher, credentials, request, socket, head);
    });
  }
  if (options.socketPath !== undefined) await listenLocally(local, options.socketPath);
  const adminKubeconfig = join(dataDirectory, "admin.kubeconfig");
  writeKubeconfig(adminKubeconfig, { url, certificateAuthority: pki.authorityPem, user: "admin", token: adminToken });

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      if (local.listening) local.close();
      local.closeAllConnections();
      await closed;
      metrics.stop();
      for (const collector of collectors) collector.stop();
      await store.close();
    })();
    return closing;
  };
  options.signal?.addEventListener("abort", () => void close(), { once: true });
  return { url, certificateAuthority: pki.authorityPem, adminKubeconfig, close };
}

/** Takes the kinds of views into a registry, and that of what they become. */
export function addViews(
  registry: Registry,
  { inquiry, kinds, seenWhollyBy }: NonNullable<ApiServerOptions["views"]>,
): { inquiry: Kind; seenWhollyBy: { group: string; resource: string } } {
  const specOf = (definition: KubernetesObject): DefinitionSpec => definition.spec as unknown as DefinitionSpec;
  const [asked] = kindsOfDefinition(specOf(inquiry), "Question");
  registry.add(asked!);
  for (const definition of kinds) for (const kind of kindsOfDefinition(specOf(definition), "View")) registry.add(kind);
  return { inquiry: asked!, seenWhollyBy };
}

/** A folder that had a store must not begin an empty one in silence: all jobs would be forgotten, and their ids given again. */
function refuseLostStore(dataDirectory: string, path: string): void {
  const isEmpty = (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  // Written when the first store was there.
  if (!isEmpty || log > 0 || !existsSync(join(dataDirectory, "admin.kubeconfig"))) return;
  throw new Error(
    `${path} is missing or empty, and this data folder had one: restore it from a backup, or begin an empty cluster in another folder`,
  );
}

/** The folder that holds the socket is the owner's alone (0700), and so is the file. A file left by a killed server is replaced. */
export async function listenLocally(local: Server, path: string): Promise<void> {
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => local.once("error", reject).listen(path, resolve));
  chmodSync(path, 0o600);
}

export function versionInfo(): Record<string, string> {
  return {
    major: "1",
    minor: "35",
    gitVersion,
    gitCommit: "",
    gitTreeState: "",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: "",
    compiler: "",
    platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
  };
}
