import type { FieldError } from "@berth/machinery";
import { badRequest, fieldForbidden, fieldInvalid, fieldRequired, fieldTooLong, invalid } from "@berth/machinery";
import { isTrue } from "../registry/watch.ts";
import type { Exchange } from "./exchange.ts";

const longestManagerBytes = 128;
const optionsOf: Record<string, string> = { POST: "CreateOptions", PUT: "UpdateOptions", PATCH: "PatchOptions" };

function refuse(exchange: Exchange, error: FieldError): never {
  throw invalid({ group: "meta.k8s.io", kind: optionsOf[exchange.method] ?? "Options" }, "", [error]);
}

/** Who a write is by: `fieldManager`, else what the user agent says before its version. Throws 422 for names that are none. */
export function fieldManagerOf(exchange: Exchange): string {
  const given = exchange.query.get("fieldManager") ?? "";
  if (given === "") {
    const program = (exchange.request.headers["user-agent"] ?? "").split("/", 1)[0]!;
    return program.slice(0, longestManagerBytes) || "unknown";
  }
  if (Buffer.byteLength(given) > longestManagerBytes) {
    return refuse(exchange, fieldTooLong("fieldManager", longestManagerBytes));
  }
  if (/\p{C}/u.test(given)) {
    return refuse(exchange, fieldInvalid("fieldManager", given, "should only contain printable characters"));
  }
  return given;
}

/** The `force` of a patch. Throws 422 where the rules of PatchOptions do not hold, in Kubernetes' words. */
export function forceOf(exchange: Exchange, isApply: boolean): boolean {
  const { query } = exchange;
  const given = query.get("force");
  if (!isApply) {
    if (given === null) return false;
    return refuse(exchange, fieldForbidden("force", "may not be specified for non-apply patch"));
  }
  if ((query.get("fieldManager") ?? "") === "") {
    return refuse(exchange, fieldRequired("fieldManager", "is required for apply patch"));
  }
  if (given !== null && !/^(?:true|false|1|0)?$/.test(given)) {
    throw badRequest(`force ${JSON.stringify(given)} is neither true nor false`);
  }
  return isTrue(given);
}
