import { sign, verify, X509Certificate } from "node:crypto";
import type { RenewalRequest } from "../protocol/messages.js";

/** A renewal request that proves which certificate it follows. */
export type ProvenRenewal = Record<keyof RenewalRequest, string>;

/** The parts of a renewal request that its proof covers. */
type Asked = Pick<ProvenRenewal, "request" | "csr">;

/** The signature that proves who asks for a renewal, made with the key (PEM, EC or RSA) of the present certificate; base64. */
export function proveRenewal(asked: Asked, privateKey: string): string {
  return sign("sha256", signedText(asked), privateKey).toString("base64");
}

/** Whether the key of the request's own certificate has signed the request. What the certificate is worth is another question. */
export function isProvenRenewal({ certificate, proof, ...asked }: ProvenRenewal): boolean {
  try {
    const { publicKey } = new X509Certificate(certificate);
    return verify("sha256", signedText(asked), publicKey, Buffer.from(proof, "base64"));
  } catch {
    return false;
  }
}

function signedText({ request, csr }: Asked): Buffer {
  return Buffer.from(`muster renewal\n${request}\n${csr}`);
}
