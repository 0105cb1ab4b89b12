import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import type * as yaml from "js-yaml";
import { delimiter, dirname, join, resolve } from "node:path";
import { type CredentialProgram, tokenFromFile, tokenFromProgram } from "./tokens.ts";
import type { ConnectionOptions } from "./transport.ts";

const require = createRequire(import.meta.url);

interface Cluster {
  server?: string;
  "certificate-authority"?: string;
  "certificate-authority-data"?: string;
  "insecure-skip-tls-verify"?: boolean;
  "tls-server-name"?: string;
}
interface User {
  token?: string;
  tokenFile?: string;
  "client-certificate"?: string;
  "client-certificate-data"?: string;
  "client-key"?: string;
  "client-key-data"?: string;
  exec?: CredentialProgram;
  "auth-provider"?: unknown;
  username?: string;
}
interface Context {
  cluster: string;
  user?: string;
  namespace?: string;
}
interface Document {
  "current-context"?: string;
  clusters?: { name: string; cluster: Cluster }[];
  users?: { name: string; user: User }[];
  contexts?: { name: string; context: Context }[];
}

export interface ResolvedContext {
  name: string;
  namespace: string;
  connection: ConnectionOptions;
}

/**
 * Reads a kubeconfig and resolves one context of it. `path` may be a list of files as in `KUBECONFIG`, of which the
 * first to name a thing wins; absent: `KUBECONFIG`, then `~/.kube/config`. Throws an Error in words.
 */
export function loadKubeconfig(options: { path?: string; context?: string } = {}): ResolvedContext {
  const paths = (options.path ?? process.env["KUBECONFIG"] ?? join(homedir(), ".kube", "config"))
    .split(delimiter)
    .filter((path) => path !== "");
  const documents = paths.map((path) => ({ path, document: read(path, paths.length > 1) }));
  const name =
    options.context ??
    documents.find(({ document }) => (document["current-context"] ?? "") !== "")?.document["current-context"];
  if (name === undefined) {
    throw new Error(`${paths.join(", ")}: no current-context is set; name one of ${contextNames(documents)}`);
  }
  const context = find(documents, "contexts", name)?.entry.context;
  if (context === undefined) {
    throw new Error(`${paths.join(", ")}: there is no context "${name}"; there are ${contextNames(documents)}`);
  }
  const cluster = find(documents, "clusters", context.cluster);
  if (cluster?.entry.cluster.server === undefined) {
    throw new Error(`${paths.join(", ")}: context "${name}" names cluster "${context.cluster}", which has no server`);
  }
  const user = context.user === undefined ? undefined : find(documents, "users", context.user);
  if (context.user !== undefined && user === undefined) {
    throw new Error(`${paths.join(", ")}: context "${name}" names user "${context.user}", who is not there`);
  }
  return {
    name,
    namespace: context.namespace ?? "default",
    connection: {
      server: cluster.entry.cluster.server,
      ca: bytes(cluster.path, cluster.entry.cluster, "certificate-authority"),
      insecureSkipTlsVerify: cluster.entry.cluster["insecure-skip-tls-verify"],
      serverName: cluster.entry.cluster["tls-server-name"],
      ...(user === undefined ? {} : credentials(user.path, user.entry.name, user.entry.user)),
    },
  };
}

const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/** How a program in a pod reaches its own cluster: by its service account, whose token is renewed. Undefined outside of pods. */
export function inClusterConnection(
  environment: Record<string, string | undefined> = process.env,
  folder: string = serviceAccountFolder,
): ConnectionOptions | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = environment;
  if (host === undefined || host === "") return undefined;
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ca: readFileSync(join(folder, "ca.crt")),
    tokenSource: tokenFromFile(join(folder, "token")),
  };
}

function credentials(path: string, name: string, user: User): Partial<ConnectionOptions> {
  const token = user.token;
  const cert = bytes(path, user, "client-certificate");
  const key = bytes(path, user, "client-key");
  if (cert !== undefined && key === undefined) {
    throw new Error(`${path}: user "${name}" has a client certificate but no client-key`);
  }
  if (token === undefined && user.tokenFile !== undefined) {
    text(path, user.tokenFile);
    return { cert, key, tokenSource: tokenFromFile(resolve(dirname(path), user.tokenFile)) };
  }
  if (token === undefined && cert === undefined) {
    if (user.exec?.command !== undefined) return { tokenSource: tokenFromProgram(user.exec, dirname(path)) };
    for (const unsupported of ["auth-provider", "username"] as const) {
      if (user[unsupported] !== undefined) {
        throw new Error(
          `${path}: user "${name}" signs in by "${unsupported}", which Berth cannot do; a token, a client certificate or an exec plugin works`,
        );
      }
    }
  }
  return { token, cert, key };
}

function find<K extends "clusters" | "users" | "contexts">(
  documents: { path: string; document: Document }[],
  kind: K,
  name: string,
): { path: string; entry: NonNullable<Document[K]>[number] } | undefined {
  for (const { path, document } of documents) {
    const entry = document[kind]?.find((candidate) => candidate.name === name);
    if (entry !== undefined) return { path, entry };
  }
  return undefined;
}

function contextNames(documents: { document: Document }[]): string {
  const names = documents.flatMap(({ document }) => (document.contexts ?? []).map(({ name }) => name));
  return names.length === 0 ? "none" : names.join(", ");
}

function read(path: string, mayBeAbsent: boolean): Document {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    if (mayBeAbsent && (error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new Error(`${path}: the kubeconfig cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    // What Berth itself writes is JSON, and read without the reader of YAML.
    if (content.startsWith("{")) return JSON.parse(content) as Document;
    const { load } = require("js-yaml") as typeof yaml;
    return (load(content) ?? {}) as Document;
  } catch (error) {
    throw new Error(`${path}: this is not YAML: ${(error as Error).message}`, { cause: error });
  }
}

/** A field that stands either as base64 in `NAME-data` or as a file, relative to the kubeconfig, in `NAME`. */
function bytes(path: string, holder: object, field: string): Buffer | undefined {
  const fields = holder as Record<string, string | undefined>;
  const data = fields[`${field}-data`];
  if (data !== undefined && data !== "") return Buffer.from(data, "base64");
  const file = fields[field];
  return file === undefined || file === "" ? undefined : Buffer.from(text(path, file));
}

function text(kubeconfig: string, file: string): string {
  const path = resolve(dirname(kubeconfig), file);
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`${kubeconfig} names ${path}, which cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
