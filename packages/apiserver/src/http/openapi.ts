import type { Resource, Schema } from "@berth/machinery/server";
import { notAcceptable } from "@berth/machinery";
import { customKindDefinitions, openApiDocument } from "@berth/machinery/server";
import { createHash } from "node:crypto";
import type { Kind } from "../registry/kind.ts";
import type { Registry } from "../registry/registry.ts";
import { subresourcesOf } from "./discovery.ts";
import type { Exchange } from "./exchange.ts";
import { sendBytes, sendJson } from "./exchange.ts";
import { acceptsJson } from "./negotiate.ts";

interface Path {
  group: string;
  version: string;
  kinds: Kind[];
  /** Changes when the document does. */
  hash: string;
}

const yearSeconds = 31_536_000;

/** OpenAPI v3 documents, one for each group version, cached by clients through hashed URLs. */
export class OpenApi {
  private readonly registry: Registry;
  private revision = -1;
  /** `api/v1`, `apis/batch/v1` */
  private paths = new Map<string, Path>();
  private readonly documents = new Map<string, Buffer>();

  constructor(registry: Registry) {
    this.registry = registry;
  }

  private refresh(): void {
    if (this.revision === this.registry.revision) return;
    this.revision = this.registry.revision;
    const groups = new Map<string, Path>();
    for (const kind of this.registry.all()) {
      const path = kind.group === "" ? `api/${kind.version}` : `apis/${kind.group}/${kind.version}`;
      const known = groups.get(path);
      if (known === undefined) groups.set(path, { group: kind.group, version: kind.version, kinds: [kind], hash: "" });
      else known.kinds.push(kind);
    }
    for (const [path, one] of groups) {
      one.kinds.sort((a, b) => (a.resource < b.resource ? -1 : 1));
      const hash = createHash("sha256").update(path);
      for (const kind of one.kinds) hash.update(kind.resource).update(JSON.stringify(kind.customSchema ?? kind.verbs));
      one.hash = hash.digest("hex").toUpperCase();
    }
    const kept = new Set([...groups.values()].map(({ hash }) => hash));
    for (const hash of this.documents.keys()) if (!kept.has(hash)) this.documents.delete(hash);
    this.paths = groups;
  }

  /** Answers below `/openapi/`; false where there is no such document. Throws 406 for what only protobuf would satisfy. */
  serve(exchange: Exchange): boolean {
    const { accept } = exchange.request.headers;
    if (!acceptsJson(accept)) throw notAcceptable(["application/json"]);
    const path = exchange.path.slice("/openapi/".length).replace(/\/$/, "");
    this.refresh();
    if (path === "v3") {
      const paths: Record<string, { serverRelativeURL: string }> = {};
      for (const [name, { hash }] of this.paths)
        paths[name] = { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` };
      sendJson(exchange, 200, { paths });
      return true;
    }
    if (!path.startsWith("v3/")) return false;
    const name = path.slice(3);
    const found = this.paths.get(name);
    if (found === undefined) return false;
    const asked = exchange.query.get("hash");
    const etag = `"${found.hash}"`;
    if (asked !== null && asked !== found.hash) {
      exchange.response.writeHead(301, { location: `/openapi/v3/${name}?hash=${found.hash}` });
      exchange.response.end();
      return true;
    }
    const headers: Record<string, string> = { etag, vary: "Accept" };
    if (asked !== null) {
      headers["cache-control"] = "public, immutable";
      headers["expires"] = new Date(Date.now() + yearSeconds * 1000).toUTCString();
    }
    if (exchange.request.headers["if-none-match"] === etag) {
      exchange.response.writeHead(304, headers);
      exchange.response.end();
      return true;
    }
    sendBytes(exchange, 200, this.document(found), "application/json", headers);
    return true;
  }

  private document(path: Path): Buffer {
    let document = this.documents.get(path.hash);
    if (document === undefined) {
      const extra: Record<string, Schema> = {};
      for (const kind of path.kinds) {
        if (kind.customSchema !== undefined) {
          Object.assign(extra, customKindDefinitions(path, kind.kind, kind.customSchema));
        }
      }
      document = Buffer.from(JSON.stringify(openApiDocument(path, path.kinds.map(resourceOf), extra)));
      this.documents.set(path.hash, document);
    }
    return document;
  }
}

function resourceOf(kind: Kind): Resource {
  return {
    group: kind.group,
    version: kind.version,
    resource: kind.resource,
    singular: kind.singular,
    kind: kind.kind,
    namespaced: kind.namespaced,
    shortNames: [...kind.shortNames],
    categories: [...kind.categories],
    verbs: [...kind.verbs],
    subresources: subresourcesOf(kind).map(({ name, group, version, kind: of, verbs }) => ({
      name,
      group,
      version,
      kind: of,
      verbs: [...verbs],
    })),
  };
}
