/** One certificate of a device, as the hub remembers it. */
export interface KnownCertificate {
  readonly serial: string;
  readonly issuedMs: number;
  readonly expiresMs: number;
  /** From then on it is refused. */
  readonly revokedMs: number | undefined;
  readonly reason: string | undefined;
}

/** How long the predecessor of a renewed certificate is taken when the device does not come with the new one. */
export const overlapMs = 86_400_000;

/** The one way a serial number is written here: hex in lower case, without colons and leading zeros. */
export function normalSerial(serial: string): string {
  return serial
    .toLowerCase()
    .replaceAll(":", "")
    .replace(/^0+(?=.)/, "");
}

/** Whether a certificate that is valid over this span (epoch ms) may be renewed: more than half of it is over. */
export function mayRenew(fromMs: number, expiresMs: number, nowMs: number): boolean {
  return nowMs - fromMs > (expiresMs - fromMs) / 2;
}

/** Whether the certificate is refused now. */
export function isRevoked({ revokedMs }: KnownCertificate, nowMs: number): boolean {
  return revokedMs !== undefined && revokedMs <= nowMs;
}

/**
 * The changes that follow from a renewal: the certificate the device asked with stays good for the overlap,
 * any other (issued before, never used) ends now, so that a device has two at most.
 */
export function replaced(
  known: readonly KnownCertificate[],
  presented: string,
  nowMs: number,
): { serial: string; revokedMs: number }[] {
  return known
    .filter((certificate) => !isRevoked(certificate, nowMs))
    .map(({ serial, revokedMs }) => {
      const endMs = serial === presented ? nowMs + overlapMs : nowMs;
      return { serial, revokedMs: Math.min(endMs, revokedMs ?? Number.POSITIVE_INFINITY) };
    });
}
