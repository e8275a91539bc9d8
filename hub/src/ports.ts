import type { DownKind, ProvenRenewal, UpKind } from "@muster/shared";

/** What the hub hears from its broker. Handlers must not throw. */
export interface LinkListener {
  /** A device sent something on one of its topics. */
  onMessage(device: string, kind: UpKind, payload: Buffer): void;
  /** A device gave a sign of life, by a message or a ping. */
  onAlive(device: string): void;
  /** A device's connection ended. */
  onGone(device: string): void;
  /** The way to a broker elsewhere is open, for the first time or again. Who is there is not known; an embedded broker knows. */
  onOpen?(): void;
}

/** Bytes in front of a frame that a link may fill with a header of its own: the longest topic, and what surrounds it. */
export const linkRoomBytes = 128;

/**
 * The way to the devices: an embedded broker, or one elsewhere that does not say who is connected. There, "the device's
 * socket" is the one to the broker, and a message to a device that is away is lost: whatever matters is sent again.
 */
export interface DeviceLink {
  /**
   * Hands a message to the device's connection and resolves when its socket has taken it, so a slow
   * device slows down only who sends to it; with QoS 1 a broker elsewhere has acknowledged it. Throws `link/closed` when
   * the device, or the broker elsewhere, is not connected.
   */
  send(device: string, kind: DownKind, payload: Buffer): Promise<void>;
  /** How many lanes a device may open: further connections of its own that carry nothing but chunks to it. */
  readonly lanes: number;
  /**
   * Sends a chunk as {@link send} does, on the device's connection or, above 0, on one of its lanes; without that lane it
   * throws `link/closed`. It copies nothing: the frame lies behind {@link linkRoomBytes} that the link may overwrite. When it
   * resolves, the buffer may be used again; when it throws, it may not.
   */
  sendFrame(device: string, roomy: Buffer, lane?: number): Promise<void>;
  /**
   * Hands the message over now, if the device is connected. An embedded broker also keeps it for later connects; the hub
   * answers each hello with it again, so no broker has to.
   */
  retain(device: string, kind: DownKind, payload: Buffer): Promise<void>;
  /** Ends the device's connection and its lanes, if there are any. At a broker elsewhere that takes a moment, and a CA that signs here. */
  kick(device: string): void;
  /** Ends every connection whose certificate the {@link Door} no longer lets in; elsewhere, of every device that the {@link OuterDoor} shuts out. */
  recheck(): void;
  /** Shows this certificate, and trusts these CAs, from the next connection on. A broker elsewhere has its own. */
  useTls(tls: ListenerTls): void;
  /** The URL devices are told, `mqtts://host:port`. */
  readonly url: string;
  /** What the broker has refused since it started, by reason. */
  counters(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** The certificate on a device's connection; the handshake has verified it. */
export interface PresentedCertificate {
  /** Serial number: hex in lower case, without leading zeros. */
  readonly serial: string;
  readonly fromMs: number;
  readonly expiresMs: number;
}

/** Why a connection is turned away: a name to count it by, and a sentence. */
export interface Refusal {
  readonly count: "device-unknown" | "certificate-unknown" | "certificate-revoked" | "certificate-expired";
  readonly reason: string;
}

/** Says who may connect. */
export interface Door {
  /** Why the device may not connect with this certificate; undefined when it may. */
  refusal(device: string, presented: PresentedCertificate): Refusal | undefined;
  /** The device is connected with this certificate now. Must not throw. */
  entered(device: string, presented: PresentedCertificate): void;
}

/** Says who may speak through a broker elsewhere, which checks certificates itself and does not show them. */
export interface OuterDoor {
  /** Why nothing is heard of the device whatever it shows: it is not in the fleet, or has no good certificate. */
  shut(device: string): Refusal | undefined;
}

/** What a TLS listener of the hub shows and whom it trusts; all PEM. */
export interface ListenerTls {
  /** The chain, root included: an invitation pins the root. */
  readonly certificate: string;
  readonly privateKey: string;
  /** The CA whose certificates devices have, followed by those above it. */
  readonly ca: string;
  /** Revocation lists of those CAs, one per CA. */
  readonly crl?: readonly string[] | undefined;
}

/** Who vouches for whom: the hub's own CA, or what the operator brought. */
export interface Pki {
  /** Signs for devices; undefined when devices bring certificates of their own. */
  readonly authority: CertificateAuthority | undefined;
  /** The root behind the hub's listeners, PEM: what devices trust. */
  readonly serverCa: string;
  /** SHA-256 of that root (DER), base64url: what an invitation pins. */
  readonly pin: string;
  /** What the listeners are to show: files are read again, and a certificate of our own is made anew before it expires. Throws `config/invalid`. */
  listenerTls(): Promise<ListenerTls>;
  /** Reads a certificate that a device brought. Throws `request/invalid` when it is not of the device or of the CA. */
  readBrought(certificate: string, device: string): IssuedCertificate;
  /** The certificate with whose key the device has signed its request. Throws `request/invalid` when it is not of the device or of the CA. */
  readProven(request: ProvenRenewal, device: string): PresentedCertificate;
}

export interface IssuedCertificate {
  /** PEM. */
  readonly certificate: string;
  readonly serial: string;
  readonly expiresMs: number;
}

/** A CA that signs for devices and listeners. */
export interface CertificateAuthority {
  /** The CA's certificate and those above it up to the root, PEM. */
  readonly certificate: string;
  /** SHA-256 of the root (DER), base64url. */
  readonly pin: string;
  /** A certificate for a listener of this hub, for the given names and addresses; PEM, CA appended. */
  issueServer(hosts: readonly string[]): Promise<{ certificate: string; privateKey: string }>;
  /** A client certificate for the key in the PKCS#10 request. Throws `request/invalid` when it does not fit. */
  issueDevice(csr: string, device: string): Promise<IssuedCertificate>;
  /** A key and a client certificate for a connection that the hub itself opens to a broker; PEM. */
  issueClient(name: string): Promise<{ certificate: string; privateKey: string }>;
  /** A list of what this CA has revoked, PEM. It does not expire before the CA does: an old list is better than a standstill. */
  issueCrl(revoked: readonly { readonly serial: string; readonly revokedMs: number }[]): Promise<string>;
}

/** What opening a model file tells, and what a pipeline makes of pictures; done in a process of its own. */
export interface ModelInspector {
  /** Throws `bundle/model-unreadable`, `bundle/invalid` or `bundle/self-test-failed`. */
  inspect(task: InspectTask): Promise<InspectResult>;
}

export interface InspectTask {
  /** The bundle, parsed. */
  readonly bundle: import("@muster/shared").Bundle;
  /** Variant name → file. */
  readonly variants: Readonly<Record<string, string>>;
  /** The input file of each self-test sample. */
  readonly samples: readonly string[];
  /** The reference inputs. */
  readonly baseline: readonly string[];
  readonly selfTest: boolean;
}

export interface InspectResult {
  readonly baseline: Record<string, import("@muster/shared").Feature>;
}
