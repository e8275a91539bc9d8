import { createHash, X509Certificate } from "node:crypto";
import { connect, type DetailedPeerCertificate } from "node:tls";
import {
  ApiError,
  type ErrorCode,
  JoinReply,
  type JoinRequest,
  MusterError,
  messageOf,
  parseWith,
} from "@muster/shared";
import { callHttp } from "./got-http.js";

const timeoutMs = 30_000;
const maxAnswerBytes = 1_000_000;

/**
 * Joins a hub. The first connection only looks at the certificate chain and sends nothing; the request
 * itself goes over a connection that trusts nothing but the CA whose digest the invitation pins.
 * Throws `identity/pin-mismatch`, `hub/unreachable`, or what the hub refuses with.
 */
export async function join(url: string, pin: string, request: JoinRequest): Promise<JoinReply> {
  const ca = await pinnedAuthority(new URL(url), pin);
  const answer = await callHttp({
    ...{ method: "POST", url: new URL("/join", url).href, ca, timeoutMs, maxBytes: maxAnswerBytes },
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  }).catch((cause) => {
    throw new MusterError("hub/unreachable", `the hub at ${url} does not answer: ${messageOf(cause)}`, { cause });
  });
  const body = parseJson(answer.body);
  if (answer.status === 200) return parseWith(JoinReply, body, "request/invalid", "the hub's answer");
  const { error } = parseWith(ApiError, body, "request/invalid", "the hub's answer");
  throw new MusterError(error.code as ErrorCode, error.message, { problems: error.problems });
}

/** Undefined when it is none, which fits no schema. */
function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

async function pinnedAuthority(url: URL, pin: string): Promise<string> {
  const chain = await certificateChain(url);
  const pinned = chain.find((raw) => createHash("sha256").update(raw).digest("base64url") === pin);
  if (pinned === undefined) {
    const message = `${url.host} is not the hub this invitation is from: no certificate of its chain has the pinned digest. Do not go on; ask for a new invitation and check the address`;
    throw new MusterError("identity/pin-mismatch", message);
  }
  return new X509Certificate(pinned).toString();
}

function certificateChain({ hostname, port }: URL): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: hostname, port: Number(port || 443), rejectUnauthorized: false, timeout: timeoutMs },
      () => {
        const chain: Buffer[] = [];
        let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
        while (certificate?.raw !== undefined && chain.length < 8) {
          chain.push(certificate.raw);
          certificate = certificate.issuerCertificate === certificate ? undefined : certificate.issuerCertificate;
        }
        socket.destroy();
        resolve(chain);
      },
    );
    const fail = (cause: Error) => {
      socket.destroy();
      reject(
        new MusterError("hub/unreachable", `cannot reach the hub at ${hostname}:${port}: ${cause.message}`, { cause }),
      );
    };
    socket.once("error", fail);
    socket.once("timeout", () => fail(new Error(`no answer for ${timeoutMs / 1000} s`)));
  });
}
