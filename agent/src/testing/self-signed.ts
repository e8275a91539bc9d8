import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A certificate for the device, signed by its own key, valid over the span (epoch ms); both PEM. */
export async function selfSigned(
  device: string,
  { fromMs, expiresMs }: { fromMs: number; expiresMs: number },
): Promise<{ certificate: string; privateKey: string }> {
  x509.cryptoProvider.set(webcrypto as Parameters<typeof x509.cryptoProvider.set>[0] & typeof webcrypto);
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${device}`,
    ...{ notBefore: new Date(fromMs), notAfter: new Date(expiresMs), signingAlgorithm: algorithm, keys },
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { certificate: certificate.toString("pem"), privateKey: x509.PemConverter.encode(pkcs8, "PRIVATE KEY") };
}
