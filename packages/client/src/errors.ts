import { ApiError, apiErrorFromStatus, type Status } from "@berth/machinery";

const reasonByCode: Record<number, string> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  410: "Expired",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
  507: "InsufficientStorage",
};

/** Makes an ApiError of a failed answer, also where its body is not a `Status` (proxies, plain text). */
export function errorFromResponse(code: number, text: string, what: string): ApiError {
  const reason = reasonByCode[code] ?? "Unknown";
  try {
    const status = JSON.parse(text) as Partial<Status>;
    if (status.kind === "Status") {
      return apiErrorFromStatus({ ...(status as Status), code: status.code ?? code, reason: status.reason ?? reason });
    }
  } catch {
    // Not JSON: the text itself is what the user may read.
  }
  const words = text.trim().slice(0, 500);
  return new ApiError(code, reason, `${what}: ${code}${words === "" ? "" : ` ${words}`}`);
}

/** True when `error` is an ApiError with one of these reasons (`NotFound`, `AlreadyExists`, `Conflict`, …). */
export function isReason(error: unknown, ...reasons: string[]): error is ApiError {
  return error instanceof ApiError && reasons.includes(error.reason);
}
