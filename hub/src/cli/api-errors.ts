import { ApiError, type ErrorCode, errorCodes, MusterError, type Problem } from "@muster/shared";
import { printable } from "./answer.js";

const giveToken =
  "Give it with --token-file FILE, --token TOKEN or MUSTER_TOKEN; the hub keeps it in admin.token in its data folder.";

/** The error of a request the hub refused: its own, or what the status says when the body is not the hub's. */
export function refusedRequest(status: number, body: string, what: string, hadToken: boolean): MusterError {
  const parsed = ApiError.safeParse(jsonOf(body));
  if (status === 401) {
    const why = hadToken
      ? "the hub does not accept this token: it is wrong, expired or revoked"
      : "the hub asks for a token";
    return new MusterError("request/unauthorized", `${why}. ${giveToken}`);
  }
  if (!parsed.success && status === 403) {
    // An answer to HEAD has no body.
    return new MusterError("access/denied", "this token may not do that; see: muster whoami");
  }
  if (!parsed.success) {
    const code = status >= 502 && status <= 504 ? "hub/unreachable" : "internal";
    return new MusterError(code, `${what}; is this the address of a Muster hub?`);
  }
  const { code, message, problems } = printable(parsed.data.error);
  return hubError(code, message, problems);
}

/** An error that the hub tells of, as its own; a code that is not known here becomes `internal`. */
export function hubError(code: string, message: string, problems: readonly Problem[] = []): MusterError {
  if (isErrorCode(code)) return new MusterError(code, message, { problems });
  return new MusterError("internal", `${message} (the hub calls it ${code}; it may be newer than this program)`, {
    problems,
  });
}

/** The error of a request that got no answer, with what to do about it. */
export function brokenConnection(hub: string, code: string, cause: unknown): MusterError {
  return new MusterError("hub/unreachable", `no answer from the hub at ${hub}: ${reasonOf(code)}`, { cause });
}

function reasonOf(code: string): string {
  switch (code) {
    case "ECONNREFUSED":
      return "nothing listens there. Start it with 'muster hub', or give its address with --hub URL or MUSTER_HUB.";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "its name cannot be resolved. Correct the address: --hub URL or MUSTER_HUB.";
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return "it cannot be reached in time. Check the address, the network and the firewall.";
    case "EPROTO":
    case "ERR_SSL_WRONG_VERSION_NUMBER":
      return "it does not speak TLS. Write http:// instead of https://.";
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return "its certificate is for another name. Use the name or address the hub was started with (--public-host).";
    case "CERT_HAS_EXPIRED":
      return "its certificate has expired.";
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return "its certificate is not trusted. Give the hub's CA with --ca FILE or MUSTER_CA; it is identity/ca.crt.pem in the hub's data folder.";
    case "ECONNRESET":
    case "EPIPE":
      return "the connection broke. Try again; if it stays so, see whether the hub speaks https:// there.";
    default:
      return `${code}.`;
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code);
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
