import type { Readable } from "node:stream";
import type { AnyObject } from "./objects.ts";
import type { ExecuteOptions, ExecuteResult } from "./exec.ts";
import { resourcePath, resources, type ResourceReference } from "./resources.ts";
import { createTransport, type ConnectionOptions, type RequestOptions } from "./transport.ts";
import { readWatch, type WatchEvent } from "./watch.ts";

export interface ObjectList<T> {
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  items: T[];
}

interface Scope {
  namespace?: string;
  signal?: AbortSignal;
}

export interface GetOptions extends Scope {
  subresource?: string;
  resourceVersion?: string;
}

export interface ListOptions extends Scope {
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: "Exact" | "NotOlderThan";
}

export interface WatchOptions extends Scope {
  labelSelector?: string;
  fieldSelector?: string;
  resourceVersion?: string;
  resourceVersionMatch?: "NotOlderThan";
  allowWatchBookmarks?: boolean;
  sendInitialEvents?: boolean;
  timeoutSeconds?: number;
}

export interface WriteOptions extends Scope {
  fieldManager?: string;
  dryRun?: boolean;
  /** `status`, `scale`, `binding`, `eviction`, `token`, … */
  subresource?: string;
}

export interface PatchOptions extends WriteOptions {
  /** Default `Merge`, which every kind understands. */
  type?: "Merge" | "Json" | "Strategic" | "Apply";
  /** Only with Apply: take fields that another manager owns. */
  force?: boolean;
}

export interface DeleteOptions extends Scope {
  gracePeriodSeconds?: number;
  propagationPolicy?: "Background" | "Foreground" | "Orphan";
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: boolean;
}

export interface LogOptions {
  container?: string;
  follow?: boolean;
  tailLines?: number;
  /** Of a pod that carries several tasks of an array in turn: the output of this one alone. */
  task?: number;
  limitBytes?: number;
  sinceSeconds?: number;
  previous?: boolean;
  timestamps?: boolean;
  signal?: AbortSignal;
}

/**
 * A Kubernetes client that knows paths, verbs and errors, and nothing about kinds: the type of the objects is the
 * caller's to state. All methods throw ApiError for an answer that is not 2xx and ConnectionError where there was none.
 */
export interface Client {
  readonly server: string;
  get<T extends AnyObject>(resource: ResourceReference, name: string, options?: GetOptions): Promise<T>;
  list<T extends AnyObject>(resource: ResourceReference, options?: ListOptions): Promise<ObjectList<T>>;
  /** All objects, asked for in pages of `limit` (default 500) that belong to one resource version. */
  listAll<T extends AnyObject>(resource: ResourceReference, options?: ListOptions): Promise<ObjectList<T>>;
  /**
   * Calls `onEvent` for each event in order until the server ends the stream (resolves), it breaks (ConnectionError) or
   * an ERROR event comes (ApiError, reason `Expired` where the resource version is too old).
   */
  watch<T extends AnyObject>(
    resource: ResourceReference,
    options: WatchOptions,
    onEvent: (event: WatchEvent<T>) => void,
  ): Promise<void>;
  /** With a subresource (`eviction`, `binding`, `token`) the object's own name says which parent. */
  create<T extends AnyObject>(resource: ResourceReference, object: T, options?: WriteOptions): Promise<T>;
  update<T extends AnyObject>(resource: ResourceReference, object: T, options?: WriteOptions): Promise<T>;
  updateStatus<T extends AnyObject>(resource: ResourceReference, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends AnyObject>(
    resource: ResourceReference,
    name: string,
    patch: unknown,
    options?: PatchOptions,
  ): Promise<T>;
  patchStatus<T extends AnyObject>(
    resource: ResourceReference,
    name: string,
    patch: unknown,
    options?: PatchOptions,
  ): Promise<T>;
  /** The object where the server answers with it (deletion pending, pods), else its Status. */
  delete(resource: ResourceReference, name: string, options?: DeleteOptions): Promise<AnyObject>;
  deleteCollection(resource: ResourceReference, options?: ListOptions & DeleteOptions): Promise<void>;
  /** The bytes of a container's log; ends when the log ends, with `follow` when the container does. */
  logs(namespace: string, pod: string, options?: LogOptions): Promise<Readable>;
  /** Runs a command in a container; resolves when it ended. */
  exec(namespace: string, pod: string, options: ExecuteOptions): Promise<ExecuteResult>;
  /** Any other path, for example `/version` or `/berth/v1/login`. */
  request<T>(options: RequestOptions): Promise<T>;
  /** Closes idle connections; what is under way ends by its own signal. */
  close(): void;
}

const patchTypes = {
  Merge: "application/merge-patch+json",
  Json: "application/json-patch+json",
  Strategic: "application/strategic-merge-patch+json",
  Apply: "application/apply-patch+yaml",
} as const;

export function createClient(connection: ConnectionOptions): Client {
  const transport = createTransport(connection);

  const write = <T>(
    method: string,
    path: string,
    body: unknown,
    options: WriteOptions & { contentType?: string } = {},
  ) =>
    transport.json<T>({
      method,
      path,
      body,
      contentType: options.contentType,
      query: { fieldManager: options.fieldManager, dryRun: options.dryRun === true ? "All" : undefined },
      signal: options.signal,
    });

  const client: Client = {
    server: transport.server.origin,
    get: (resource, name, options = {}) =>
      transport.json({
        method: "GET",
        path: resourcePath(resource, options.namespace, name, options.subresource),
        query: { resourceVersion: options.resourceVersion },
        signal: options.signal,
      }),
    async list<T extends AnyObject>(resource: ResourceReference, options: ListOptions = {}) {
      const { namespace, signal, ...query } = options;
      const list = await transport.json<ObjectList<T>>({
        method: "GET",
        path: resourcePath(resource, namespace),
        query,
        signal,
      });
      return { metadata: list.metadata ?? {}, items: list.items ?? [] };
    },
    async listAll<T extends AnyObject>(resource: ResourceReference, options: ListOptions = {}) {
      const items: T[] = [];
      let page: ObjectList<T> | undefined;
      do {
        // Later pages carry their resource version in the token; naming another is refused by the server.
        const next =
          page === undefined ? options : { ...options, resourceVersion: undefined, resourceVersionMatch: undefined };
        page = await client.list<T>(resource, { limit: 500, ...next, continue: page?.metadata.continue });
        for (const item of page.items) items.push(item);
      } while (page.metadata.continue !== undefined && page.metadata.continue !== "");
      return { metadata: page.metadata, items };
    },
    async watch(resource, options, onEvent) {
      const { namespace, signal, ...query } = options;
      const response = await transport.stream({
        method: "GET",
        path: resourcePath(resource, namespace),
        query: { watch: true, ...query },
        signal,
      });
      await readWatch(response, onEvent, { signal, timeoutSeconds: options.timeoutSeconds });
    },
    create: (resource, object, options = {}) => {
      const namespace = options.namespace ?? object.metadata.namespace;
      const name = options.subresource === undefined ? undefined : object.metadata.name;
      if (resource.namespaced && namespace === undefined) {
        return Promise.reject(new TypeError(`${resource.resource}: a namespaced object is created in a namespace`));
      }
      return write("POST", resourcePath(resource, namespace, name, options.subresource), object, options);
    },
    update: (resource, object, options = {}) => {
      const namespace = options.namespace ?? object.metadata.namespace;
      return write(
        "PUT",
        resourcePath(resource, namespace, object.metadata.name, options.subresource),
        object,
        options,
      );
    },
    updateStatus: (resource, object, options = {}) =>
      client.update(resource, object, { ...options, subresource: "status" }),
    patch: (resource, name, patch, options = {}) =>
      transport.json({
        method: "PATCH",
        path: resourcePath(resource, options.namespace, name, options.subresource),
        body: patch,
        contentType: patchTypes[options.type ?? "Merge"],
        query: {
          fieldManager: options.fieldManager ?? (options.type === "Apply" ? "berth" : undefined),
          force: options.force,
          dryRun: options.dryRun === true ? "All" : undefined,
        },
        signal: options.signal,
      }),
    patchStatus: (resource, name, patch, options = {}) =>
      client.patch(resource, name, patch, { ...options, subresource: "status" }),
    delete: (resource, name, options = {}) =>
      transport.json({
        method: "DELETE",
        path: resourcePath(resource, options.namespace, name),
        body: deleteBody(options),
        signal: options.signal,
      }),
    async deleteCollection(resource, options = {}) {
      const { namespace, signal, labelSelector, fieldSelector, limit, ...rest } = options;
      await transport.json({
        method: "DELETE",
        path: resourcePath(resource, namespace),
        query: { labelSelector, fieldSelector, limit },
        body: deleteBody(rest),
        signal,
      });
    },
    logs(namespace, pod, options = {}) {
      const { signal, ...query } = options;
      return transport.stream({
        method: "GET",
        path: resourcePath(resources.pods, namespace, pod, "log"),
        query,
        accept: "*/*",
        signal,
      });
    },
    async exec(namespace, pod, options) {
      // WebSockets are loaded by who needs them: most commands are over before.
      const { execute } = await import("./exec.ts");
      return await execute(transport, resourcePath(resources.pods, namespace, pod, "exec"), options);
    },
    request: (options) => transport.json(options),
    close: () => transport.close(),
  };
  return client;
}

function deleteBody(options: DeleteOptions): Record<string, unknown> {
  return {
    kind: "DeleteOptions",
    apiVersion: "v1",
    gracePeriodSeconds: options.gracePeriodSeconds,
    propagationPolicy: options.propagationPolicy,
    preconditions: options.preconditions,
    dryRun: options.dryRun === true ? ["All"] : undefined,
  };
}
