import { asMusterError, type ErrorCode, MusterError } from "@muster/shared";

/** An answer, ready to be sent. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: readonly (string | Uint8Array)[];
}

/** When a client that was refused for want of room may come again. */
const retryAfterS = 1;

/** Everything that is not here is a fault of ours, 500. */
const statuses: Partial<Record<ErrorCode, number>> = {
  "image/invalid": 400,
  "input/invalid": 400,
  "tensor/invalid": 400,
  "request/invalid": 400,
  "request/unauthorized": 401,
  "request/not-found": 404,
  "model/unknown": 404,
  "request/method-not-allowed": 405,
  "request/late": 408,
  "image/too-large": 413,
  "input/too-large": 413,
  "request/unsupported-type": 415,
  "runner/overloaded": 429,
  "runner/not-serving": 503,
  "runner/deadline": 504,
};

/** The HTTP status of an error. */
export function statusOf(code: ErrorCode): number {
  return statuses[code] ?? 500;
}

export function jsonReply(status: number, value: unknown, headers: Reply["headers"] = {}): Reply {
  return jsonTextReply(status, JSON.stringify(value), headers);
}

/** For JSON that is text already. */
export function jsonTextReply(status: number, text: string | Uint8Array, headers: Reply["headers"] = {}): Reply {
  return { status, headers: { "content-type": "application/json", ...headers }, body: [text] };
}

/** An error as the Open Inference Protocol wants it, `error` a text; `code` and `problems` are for programs. */
export function errorReply(error: unknown): Reply {
  const known = asMusterError(error);
  const status = statusOf(known.code);
  const headers = {
    ...(status === 429 || status === 503 ? { "retry-after": retryAfterS } : {}),
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
  };
  return jsonReply(status, errorBody(known), headers);
}

/** The body of an error's answer, also where there is an answer beside it. */
export function errorBody({ code, message, problems }: MusterError) {
  return { error: message, code, ...(problems.length === 0 ? {} : { problems }) };
}

/** No route, or none for this method. */
export function noRoute(method: string, path: string, allowed: readonly string[] = []): MusterError {
  const code = allowed.length === 0 ? "request/not-found" : "request/method-not-allowed";
  const cure = allowed.length === 0 ? "see /openapi.json" : `use ${allowed.join(" or ")}`;
  return new MusterError(code, `no route ${method} ${path.slice(0, 200)}; ${cure}`);
}
