import type { DownKind, UpKind } from "@muster/shared";

/** What the hub hears from its broker. Handlers must not throw. */
export interface LinkListener {
  /** A device sent something on one of its topics. */
  onMessage(device: string, kind: UpKind, payload: Buffer): void;
  /** A device gave a sign of life, by a message or a ping. */
  onAlive(device: string): void;
  /** A device's connection ended. */
  onGone(device: string): void;
}

/** The way to the devices: an embedded or an external broker. */
export interface DeviceLink {
  /**
   * Hands a message to the device's connection and resolves when its socket has taken it, so a slow
   * device slows down only who sends to it. Throws `link/closed` when the device is not connected.
   */
  send(device: string, kind: DownKind, payload: Buffer): Promise<void>;
  /** Keeps the message for the device and hands it over now, if it is connected, and at every later connect. */
  retain(device: string, kind: DownKind, payload: Buffer): Promise<void>;
  /** Ends the device's connection, if there is one. */
  kick(device: string): void;
  /** The URL devices are told, `mqtts://host:port`. */
  readonly url: string;
  /** What the broker has refused since it started, by reason. */
  counters(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** A device CA: who it signs for may connect. */
export interface CertificateAuthority {
  /** The CA's own certificate, PEM. */
  readonly certificate: string;
  /** SHA-256 of the CA's certificate (DER), base64url: what an invitation pins. */
  readonly pin: string;
  /** A certificate for a listener of this hub, for the given names and addresses; PEM, CA appended. */
  issueServer(hosts: readonly string[]): Promise<{ certificate: string; privateKey: string }>;
  /** A client certificate for the key in the PKCS#10 request. Throws `request/invalid` when it does not fit. */
  issueDevice(csr: string, device: string): Promise<{ certificate: string; serial: string }>;
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
