/** The `Status` object of meta/v1 that a failed request answers with. */
export interface ApiStatus {
  code: number;
  reason: string;
  message: string;
  details?: {
    name?: string;
    group?: string;
    kind?: string;
    uid?: string;
    retryAfterSeconds?: number;
    causes?: { reason?: string; message?: string; field?: string }[];
  };
}

/** An answer of the API that is not 2xx. `reason` is Kubernetes' word: `NotFound`, `AlreadyExists`, `Conflict`, … */
export class ApiError extends Error {
  override name = "ApiError";
  readonly code: number;
  readonly reason: string;
  readonly details: ApiStatus["details"];
  constructor(status: ApiStatus) {
    super(status.message);
    this.code = status.code;
    this.reason = status.reason;
    this.details = status.details;
  }
}

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
};

/** Makes an ApiError of a failed answer, also where its body is not a `Status` (proxies, plain text). */
export function errorFromResponse(code: number, text: string, what: string): ApiError {
  try {
    const status = JSON.parse(text) as Partial<ApiStatus> & { kind?: string };
    if (status.kind === "Status") {
      return new ApiError({
        code: status.code ?? code,
        reason: status.reason ?? reasonByCode[code] ?? "Unknown",
        message: status.message ?? `${what}: ${code}`,
        details: status.details,
      });
    }
  } catch {
    // Not JSON: the text itself is what the user may read.
  }
  const words = text.trim().slice(0, 500);
  return new ApiError({
    code,
    reason: reasonByCode[code] ?? "Unknown",
    message: `${what}: ${code}${words === "" ? "" : ` ${words}`}`,
  });
}

/** True when `error` is an ApiError with this reason (`NotFound`, `AlreadyExists`, `Conflict`, `Expired`, …). */
export function isReason(error: unknown, ...reasons: string[]): error is ApiError {
  return error instanceof ApiError && reasons.includes(error.reason);
}
