import { ModelName, maxFeeds } from "@muster/shared";
import { z } from "zod";

/** A secret stays out of the configuration: it is named by the file, or the variable, that holds it. Read again on every use. */
export const SecretRef = z.union(
  [z.strictObject({ file: z.string().min(1) }), z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/) })],
  "name the file or the variable that holds the secret: { file: PATH } or { env: NAME }",
);
export type SecretRef = z.infer<typeof SecretRef>;

const Login = z.strictObject({ user: z.string().min(1), password: SecretRef });

/** How to log in by HTTP: basic or bearer. */
export const HttpAuth = z.union(
  [Login, z.strictObject({ token: SecretRef })],
  "must be { user: NAME, password: SECRET } or { token: SECRET }, SECRET being { file: PATH } or { env: NAME }",
);
export type HttpAuth = z.infer<typeof HttpAuth>;

/** Text that is an address of one of the schemes, without a user or password in it. */
const address = (...schemes: readonly string[]) =>
  z
    .string()
    .max(2000)
    .refine((text) => isPlainAddress(text, schemes), {
      error: `must be an address that begins with ${schemes.map((scheme) => `${scheme}//`).join(" or ")}, without user and password: they belong in 'auth'`,
    });

const HttpAddress = address("http:", "https:");
const caFile = z.string().min(1).optional();

/** Files that appear in a folder. */
export const FolderSource = z.strictObject({
  type: z.literal("folder"),
  path: z.string().min(1),
  model: ModelName,
  /** How the names of inputs end; other files are left alone. Give `wav`, `csv`, `json` or `npy` for a model of such inputs. */
  endings: z
    .array(z.string().regex(/^[A-Za-z0-9]{1,10}$/, "must be an ending without its dot, such as wav"))
    .min(1)
    .default(["jpg", "jpeg", "png", "webp"]),
  pollMs: z.int().min(20).max(60_000).default(500),
  /** What becomes of a file that has been answered. `keep` remembers durably how far it got. */
  afterwards: z.enum(["keep", "delete"]).default("keep"),
});
export type FolderSource = z.infer<typeof FolderSource>;

/** A picture that is fetched again and again, such as the snapshot address of a camera. */
export const HttpSource = z.strictObject({
  type: z.literal("http"),
  url: HttpAddress,
  model: ModelName,
  everyMs: z.int().min(20).max(86_400_000).default(1000),
  timeoutMs: z.int().min(100).max(600_000).default(10_000),
  auth: HttpAuth.optional(),
  /** Authorities to trust in place of the system's, PEM. */
  caFile,
});
export type HttpSource = z.infer<typeof HttpSource>;

/** What a source or sink of a broker has to know to connect. */
const brokerShape = {
  url: address("mqtt:", "mqtts:"),
  auth: Login.optional(),
  caFile,
  /** A certificate and its key to log in with, PEM. */
  certificateFile: z.string().min(1).optional(),
  keyFile: z.string().min(1).optional(),
};
export type BrokerSettings = z.infer<z.ZodObject<typeof brokerShape>>;

/** Every message of a topic of a broker. */
export const MqttSource = z.strictObject({
  type: z.literal("mqtt"),
  ...brokerShape,
  /** A topic or filter, `+` and `#` as in MQTT. */
  topic: z.string().min(1).max(1000),
  model: ModelName,
  /** Whether a message is a picture, or JSON for a model of numbers. */
  payload: z.enum(["image", "json"]).default("image"),
  /** With 1 the broker keeps what is not answered yet, also while this device is away. */
  qos: z.union([z.literal(0), z.literal(1)], "must be 0 or 1").default(1),
});
export type MqttSource = z.infer<typeof MqttSource>;

/** Frames of a video, taken by ffmpeg. */
export const VideoSource = z.strictObject({
  type: z.literal("video"),
  /** An address (rtsp://…, http://…), a device (/dev/video0) or a file. */
  input: z
    .string()
    .min(1)
    .max(2000)
    .refine((text) => !hasLogin(text), {
      error: "must not hold user and password: they belong in 'auth'",
    }),
  auth: Login.optional(),
  model: ModelName,
  framesPerSecond: z.number().min(0.01).max(240).default(5),
  /** What happens while the model is slower: `latest` lets frames go, `wait` holds the video (a file's, not a camera's). */
  whenSlow: z.enum(["latest", "wait"]).default("latest"),
  /** A file begins again at its end. */
  repeat: z.boolean().default(false),
  /** Without a frame for so long, ffmpeg is started again. */
  stallMs: z.int().min(1000).max(3_600_000).default(30_000),
  /** The program. */
  ffmpeg: z.string().min(1).default("ffmpeg"),
});
export type VideoSource = z.infer<typeof VideoSource>;

/** Sound as it comes, heard by ffmpeg; for models of audio-events that run frame by frame. */
export const AudioSource = z.strictObject({
  type: z.literal("audio"),
  /** An address (rtsp://…, http://…), a microphone (alsa:hw:1,0 or pulse:default) or a file. */
  input: z
    .string()
    .min(1)
    .max(2000)
    .refine((text) => !hasLogin(text), {
      error: "must not hold user and password: they belong in 'auth'",
    }),
  auth: Login.optional(),
  model: ModelName,
  /** How much is heard at a time; each piece in which there is something gives an answer. */
  pieceMs: z.int().min(20).max(60_000).default(500),
  /** Give an answer for every piece, also for those in which there is nothing. */
  everyPiece: z.boolean().default(false),
  /** A file begins again at its end. */
  repeat: z.boolean().default(false),
  /** Without a sound for so long, ffmpeg is started again. */
  stallMs: z.int().min(1000).max(3_600_000).default(30_000),
  /** The program. */
  ffmpeg: z.string().min(1).default("ffmpeg"),
});
export type AudioSource = z.infer<typeof AudioSource>;

/** Where inputs come from. */
export const SourceSettings = z.discriminatedUnion("type", [
  FolderSource,
  HttpSource,
  MqttSource,
  VideoSource,
  AudioSource,
]);
export type SourceSettings = z.infer<typeof SourceSettings>;

/** A file of JSON lines, begun anew past `maxBytes`. */
export const JsonLinesSink = z.strictObject({
  type: z.literal("jsonl"),
  path: z.string().min(1),
  maxBytes: z.int().min(1000).default(10_000_000),
  /** So many earlier files are kept, as `.1` (the newest), `.2` … */
  keep: z.int().min(1).max(1000).default(1),
});
export type JsonLinesSink = z.infer<typeof JsonLinesSink>;

/** How answers wait on the disk for a receiver that is away. */
const spoolShape = {
  maxWaiting: z.int().min(10).max(1_000_000).default(10_000),
  /** What happens then: `wait` holds the sources, `drop-oldest` lets the oldest answers go and counts them. */
  whenFull: z.enum(["wait", "drop-oldest"]).default("wait"),
};
export type SpoolSettings = z.infer<z.ZodObject<typeof spoolShape>>;

/** An address that answers are posted to. */
export const WebhookSink = z.strictObject({
  type: z.literal("webhook"),
  url: HttpAddress,
  timeoutMs: z.int().min(100).max(600_000).default(10_000),
  /** Answers per request, at most. */
  batch: z.int().min(1).max(1000).default(50),
  /** The secret that requests are signed with. */
  signWith: SecretRef.optional(),
  auth: HttpAuth.optional(),
  caFile,
  ...spoolShape,
});
export type WebhookSink = z.infer<typeof WebhookSink>;

/** A topic of a broker that each answer is published to. */
export const MqttSink = z.strictObject({
  type: z.literal("mqtt"),
  ...brokerShape,
  /** `{model}` in it becomes the name of the model. */
  topic: z
    .string()
    .min(1)
    .max(1000)
    .refine((topic) => !/[+#]/.test(topic), "must be a topic, without + and #"),
  retain: z.boolean().default(false),
  ...spoolShape,
});
export type MqttSink = z.infer<typeof MqttSink>;

/** Where answers go. */
export const SinkSettings = z.discriminatedUnion("type", [JsonLinesSink, WebhookSink, MqttSink]);
export type SinkSettings = z.infer<typeof SinkSettings>;

/** All sources and sinks of a device. */
export const sourceList = z.array(SourceSettings).max(maxFeeds);
export const sinkList = z.array(SinkSettings).max(maxFeeds);

/** An address as it may be shown: without user, password and query, which often holds a key. */
export function shownAddress(text: string): string {
  if (!URL.canParse(text)) return text.slice(0, 300);
  const url = new URL(text);
  const authority = url.host === "" ? "" : `//${url.host}`;
  return `${url.protocol}${authority}${url.pathname}`.slice(0, 300);
}

function isPlainAddress(text: string, schemes: readonly string[]): boolean {
  return URL.canParse(text) && schemes.includes(new URL(text).protocol) && !hasLogin(text);
}

function hasLogin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password } = new URL(text);
  return username !== "" || password !== "";
}
