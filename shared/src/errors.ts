/**
 * Every error code of Muster: what it means and whether the same call may succeed later without
 * anybody changing anything. Codes are `area/what` and never change their meaning.
 */
export const errorCodes = {
  "config/invalid": { means: "a configuration file, variable or flag does not fit", retryable: false },
  "usage/invalid": { means: "a command line does not fit", retryable: false },
  "message/invalid": { means: "an MQTT payload is not one of ours", retryable: false },
  "frame/invalid": { means: "a binary frame is not one of ours", retryable: false },
  "request/invalid": { means: "an HTTP body, query or path does not fit", retryable: false },
  "request/unauthorized": { means: "the API token is missing or wrong", retryable: false },
  "request/not-found": { means: "no such route", retryable: false },
  "request/method-not-allowed": { means: "the route does not take this HTTP method", retryable: false },
  "request/unsupported-type": { means: "the media type or encoding of a body is not taken", retryable: false },
  "request/late": { means: "a request did not arrive in time", retryable: true },
  "bundle/invalid": { means: "a bundle does not fit; every problem is listed", retryable: false },
  "bundle/model-unreadable": { means: "ONNX Runtime cannot open a model file", retryable: false },
  "bundle/self-test-failed": { means: "a variant does not give the outputs its bundle expects", retryable: false },
  "model/unknown": { means: "no such model or version", retryable: false },
  "model/exists": { means: "the version was pushed before with other contents", retryable: false },
  "model/in-use": { means: "a version is still needed by a device or a rollout", retryable: false },
  "artifact/digest-mismatch": { means: "bytes do not have the digest they should have", retryable: true },
  "artifact/missing": { means: "no such artifact in the store", retryable: false },
  "artifact/too-large": { means: "an artifact is larger than the limit", retryable: false },
  "artifact/index-invalid": { means: "a chunk index is damaged", retryable: false },
  "artifact/delta-invalid": { means: "a delta does not fit the artifact it was made for", retryable: false },
  "artifact/undecryptable": { means: "an artifact or its key was not encrypted for this device", retryable: false },
  "signature/invalid": { means: "a document is not signed by a key trusted for its role", retryable: false },
  "desired/refused": { means: "a desired document is for another device, older, or expired", retryable: false },
  "access/denied": { means: "the role or scope of who asks does not allow this", retryable: false },
  "access/too-many-attempts": { means: "too many failed attempts from this address", retryable: true },
  "user/unknown": { means: "no such user", retryable: false },
  "user/exists": { means: "a user of this name is there already", retryable: false },
  "user/last-admin": { means: "nobody could administer the hub any more", retryable: false },
  "token/unknown": { means: "no such API token", retryable: false },
  "signature/key-needed": {
    means: "the release key is not on the hub; a push has to bring its signature",
    retryable: false,
  },
  "trust/refused": { means: "a new root cannot take effect", retryable: false },
  "device/unknown": { means: "no such device", retryable: false },
  "device/exists": { means: "a device of this name has joined already", retryable: false },
  "invite/refused": { means: "a join token is unknown, used up or expired", retryable: false },
  "certificate/unknown": { means: "the device has no certificate of this serial number", retryable: false },
  "renewal/refused": { means: "the hub does not renew the certificate now", retryable: true },
  "identity/missing": { means: "the device has not joined a hub yet", retryable: false },
  "identity/invalid": { means: "a certificate is not this device's, or not of its key", retryable: false },
  "identity/pin-mismatch": { means: "the hub's CA is not the one the invitation names", retryable: false },
  "rollout/unknown": { means: "no such rollout", retryable: false },
  "rollout/conflict": { means: "the rollout cannot do this in its present state", retryable: false },
  "selector/invalid": { means: "a label selector cannot be read", retryable: false },
  "hub/unreachable": { means: "the hub does not answer", retryable: true },
  "link/closed": { means: "there is no connection to the broker now", retryable: true },
  "transfer/refused": { means: "the hub refuses to send these bytes", retryable: false },
  "transfer/stalled": { means: "no bytes arrived for too long", retryable: true },
  "image/invalid": { means: "the bytes are not an image that can be decoded", retryable: false },
  "image/too-large": { means: "the image has more bytes or pixels than allowed", retryable: false },
  "input/invalid": { means: "the bytes are not an input that the model's pipeline can decode", retryable: false },
  "input/too-large": { means: "the input has more bytes, rows or samples than allowed", retryable: false },
  "tensor/invalid": { means: "a tensor has the wrong name, type, shape or length", retryable: false },
  "runner/not-serving": { means: "no model of this name is in service", retryable: true },
  "runner/overloaded": { means: "the queue for this model is full", retryable: true },
  "runner/deadline": { means: "there was no answer within the time that the request gave", retryable: true },
  "runner/client-gone": { means: "who asked went away before there was an answer", retryable: true },
  "runner/crashed": { means: "the runner process ended while working", retryable: true },
  "source/failed": { means: "a source of inputs gives none now", retryable: true },
  "sink/failed": { means: "a receiver of answers does not take them now", retryable: true },
  "sink/refused": { means: "a receiver will never take these answers", retryable: false },
  "engine/failed": { means: "ONNX Runtime failed to load or run a model", retryable: false },
  "engine/unknown": { means: "no such engine of a model, on a device or shared", retryable: false },
  "engine/exists": { means: "another engine of this model file is shared with these devices", retryable: false },
  "engine/cancelled": { means: "the sharing of an engine was ended on request", retryable: true },
  "engine/busy": { means: "engines are being fetched from devices already", retryable: true },
  "store/in-use": { means: "another process works in the same data folder", retryable: true },
  "store/full": { means: "there is no room for more of what nobody has used yet", retryable: true },
  "store/damaged": { means: "a stored document cannot be read", retryable: false },
  "port/in-use": { means: "another program listens on the port", retryable: true },
  internal: { means: "a fault of Muster itself", retryable: false },
} as const satisfies Record<string, { means: string; retryable: boolean }>;

export type ErrorCode = keyof typeof errorCodes;

/** One thing that is wrong in an input: where, and what to do about it. */
export interface Problem {
  /** Path of the field, for example `variants[0].file`; empty for the whole. */
  readonly field: string;
  readonly message: string;
}

/** The base of every error Muster throws on purpose. */
export class MusterError extends Error {
  readonly code: ErrorCode;
  /** All that is wrong with the input, when the error is about an input. */
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; problems?: readonly Problem[] } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MusterError";
    this.code = code;
    this.problems = options.problems ?? [];
  }

  /** Whether the same call may succeed later although nobody changed anything. */
  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }
}

/** An input with one or more problems; the message lists all of them. */
export function invalid(code: ErrorCode, what: string, problems: readonly Problem[]): MusterError {
  const lines = problems.map(({ field, message }) => `  ${field === "" ? "(whole)" : field}: ${message}`);
  return new MusterError(code, [`${what} does not fit:`, ...lines].join("\n"), { problems });
}

/** The error as a MusterError; what is not one becomes `internal` with the original as cause. */
export function asMusterError(error: unknown): MusterError {
  if (error instanceof MusterError) return error;
  return new MusterError("internal", messageOf(error), { cause: error });
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
