import type { Status } from "@berth/machinery";
import { acceptedMediaTypes } from "./media-types.ts";
import { ApiError, badRequest, internalError, tooLarge, unsupportedMediaType } from "@berth/machinery";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Identity } from "../authentication/identity.ts";
import { timeInTurn } from "../turn.ts";

/** Requests of HTTP/1.1 and (by Node's compatibility layer) HTTP/2: one type here, they have the same members. */
export type Request = IncomingMessage;
export type Response = ServerResponse;

/** One request and its answer. */
export interface Exchange {
  request: Request;
  response: Response;
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  identity: Identity;
  warnings: string[];
}

const largestBodyBytes = 3 << 20;

/** The whole body, when there is time to work on it; 413 above the cap. */
export async function readBody(request: Request): Promise<Buffer> {
  const bytes = await collectBody(request);
  if (bytes.length > 0) await timeInTurn();
  return bytes;
}

function collectBody(request: Request): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > largestBodyBytes) {
        request.removeAllListeners("data");
        request.resume();
        reject(tooLarge(`limit is ${largestBodyBytes}`));
        return;
      }
      chunks.push(chunk);
    });
    request.on("end", () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    request.on("error", reject);
    request.on("close", () => {
      if (!request.complete) reject(badRequest("the connection was closed before the body was complete"));
    });
  });
}

export function sendJson(exchange: Exchange, code: number, body: unknown): void {
  sendBytes(exchange, code, Buffer.from(`${JSON.stringify(body)}\n`), "application/json");
}

export function sendBytes(
  exchange: Exchange,
  code: number,
  bytes: Buffer,
  contentType: string,
  headers: Record<string, string | string[]> = {},
): void {
  const { response, warnings } = exchange;
  if (response.headersSent) return;
  const all: Record<string, string | string[] | number> = {
    "content-type": contentType,
    "content-length": bytes.length,
    "cache-control": "no-cache, private",
    ...headers,
  };
  if (warnings.length > 0) all["warning"] = warnings.map((words) => `299 - ${JSON.stringify(words)}`);
  response.writeHead(code, all);
  if (exchange.method === "HEAD") response.end();
  else response.end(bytes);
}

/** Any error as a Status; what is not an ApiError is a fault of this server, told without a stack. */
export function statusOf(error: unknown): Status {
  if (error instanceof ApiError) return error.status;
  if (error instanceof URIError) return badRequest("the URL holds a malformed escape").status;
  return internalError(error instanceof Error ? error.message : String(error)).status;
}

export function sendError(exchange: Exchange, error: unknown): void {
  const status = statusOf(error);
  const headers: Record<string, string> = {};
  if (status.details?.retryAfterSeconds !== undefined)
    headers["retry-after"] = String(status.details.retryAfterSeconds);
  if (status.code === 401) headers["www-authenticate"] = 'Bearer realm="berth"';
  sendBytes(exchange, status.code, Buffer.from(`${JSON.stringify(status)}\n`), "application/json", headers);
}

/** `application/json; charset=utf-8` → `application/json`. */
export function mediaTypeOf(request: Request): string {
  return (request.headers["content-type"] ?? "").split(";")[0]!.trim().toLowerCase();
}

export function refuseMediaType(): never {
  throw unsupportedMediaType(acceptedMediaTypes);
}
