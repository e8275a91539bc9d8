import { asMusterError, type ErrorCode, MusterError, type Problem } from "@muster/shared";

/** An error as it crosses the border of a thread or process, where classes are lost. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly problems: readonly Problem[];
}

/** The error, ready to be sent. */
export function toWire(error: unknown): WireError {
  const { code, message, problems } = asMusterError(error);
  return { code, message, problems: [...problems] };
}

/** The error as it was thrown on the other side. */
export function fromWire({ code, message, problems }: WireError): MusterError {
  return new MusterError(code, message, { problems });
}
