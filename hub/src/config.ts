import { z } from "zod";

const BrokerUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^mqtts:\/\/[^/@]+\/?$/.test(text),
    "must be mqtts://host or mqtts://host:port",
  );

/** A broker elsewhere, instead of the embedded one; `muster broker-config` writes what a Mosquitto needs for it. */
const BrokerConfig = z
  .strictObject({
    /** Where the broker is for the hub. */
    url: BrokerUrl,
    /** Where it is for devices, when that is another address. */
    deviceUrl: BrokerUrl.optional(),
    /** The CA of its certificate, PEM; that of the hub's listeners if not given. Devices trust the latter only. */
    ca: z.string().min(1).optional(),
    /** What the hub shows there, and its key, PEM; if not given, the hub's CA makes one for each connection. */
    certificate: z.string().min(1).optional(),
    key: z.string().min(1).optional(),
    /** Where the hub writes which certificates it has revoked, PEM, for the broker to read. */
    crlFile: z.string().min(1).optional(),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    path: ["key"],
    message: "certificate and key belong together; give both or neither",
  });
export type BrokerConfig = z.infer<typeof BrokerConfig>;

/** What a hub can be told; every key has a default, so an empty configuration works. */
export const HubConfig = z.strictObject({
  /** Everything the hub keeps lies in this folder: database, artifacts, keys. */
  dataDir: z.string().min(1).default("muster-data"),
  /** Where the HTTP API listens. Outside of loopback it speaks TLS. */
  httpHost: z.string().min(1).default("127.0.0.1"),
  /** 0 takes any free port, as with the other two. */
  httpPort: z.int().min(0).max(65_535).default(7400),
  /** Where devices connect: MQTT over mutual TLS. */
  mqttHost: z.string().min(1).default("0.0.0.0"),
  mqttPort: z.int().min(0).max(65_535).default(8883),
  /** With it, devices connect there and not to `mqttPort`; the limits of connections and messages below are the broker's then. */
  broker: BrokerConfig.optional(),
  /** Where devices join, by HTTPS. */
  enrolmentHost: z.string().min(1).default("0.0.0.0"),
  enrolmentPort: z.int().min(0).max(65_535).default(7401),
  /** The name or address under which devices reach this machine; goes into invitations and the server certificate. */
  publicHost: z
    .string()
    .regex(/^[A-Za-z0-9.:-]+$/, "must be a host name or an address")
    .default("127.0.0.1"),
  /** Write a new token for the user `admin` at this start, for when no admin can get in any more. */
  newAdminToken: z.boolean().default(false),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
  /** A device silent for this long counts as offline. */
  offlineAfterMs: z.int().min(500).default(90_000),
  /** How often rollouts are looked at when no device says anything. */
  tickMs: z.int().min(50).default(1000),
  /** How long a device may act on what the hub last wanted of it. */
  desiredValidMs: z
    .int()
    .min(60_000)
    .default(7 * 86_400_000),
  /** Bytes per second sent to one device at most; 0 for no limit. */
  deviceBytesPerSecond: z.int().min(0).default(0),
  /** Bytes per second of artifacts sent to all devices together; 0 for no limit. */
  totalBytesPerSecond: z.int().min(0).default(0),
  /** How long a device's certificate is valid; it is renewed by the device itself long before. */
  deviceCertificateMs: z
    .int()
    .min(3000)
    .max(3650 * 86_400_000)
    .default(90 * 86_400_000),
  /** A CA of your own, PEM: its certificate, followed by those above it up to the root. */
  caCertificate: z.string().min(1).optional(),
  /** Its key: then Muster signs with it. Without it, devices bring certificates of that CA. */
  caKey: z.string().min(1).optional(),
  /** Revocation lists of that CA and those above it, PEM; read again every minute. */
  caCrl: z.string().min(1).optional(),
  /** What the listeners show instead of a certificate of the CA, and its key; read again every minute. */
  serverCertificate: z.string().min(1).optional(),
  serverKey: z.string().min(1).optional(),
  /** New MQTT connections per second of one address, twice as many at once; many devices may share one. 0 for no limit. */
  connectsPerSecondPerAddress: z.number().min(0).default(200),
  /** MQTT connections of one address, and of all, at the same time. */
  connectionsPerAddress: z.int().min(1).default(10_000),
  maxConnections: z.int().min(1).default(20_000),
  /** A device that sends more has to wait; a transfer asks up to 800 times at 200 MB/s. 0 for no limit. */
  messagesPerSecondPerDevice: z.number().min(0).default(1000),
  /** The largest model file that can be pushed. */
  maxArtifactBytes: z
    .int()
    .min(1)
    .default(4 * 1024 ** 3),
  /** Files of bundles that were sent and not made a version of yet: bytes in all, and how many; kept for a day. */
  maxUploadBytes: z
    .int()
    .min(1)
    .default(32 * 1024 ** 3),
  maxUploads: z.int().min(1).default(50_000),
  /** Drift is measured over the inputs of the last so many milliseconds. */
  driftHorizonMs: z.int().min(1000).default(3_600_000),
  /** Telemetry windows and events older than this are deleted. */
  keepTelemetryMs: z
    .int()
    .min(60_000)
    .default(30 * 86_400_000),
  /** Past this many windows, or events, the oldest are deleted. */
  maxTelemetryRows: z.int().min(1000).default(5_000_000),
});
export type HubConfig = z.infer<typeof HubConfig>;
