import { isIP } from "node:net";
import { z } from "zod";

/** How and to whom the runner serves. Files are read by the runner, again and again. */
export const ServingSettings = z.object({
  host: z.string(),
  /** 0 takes any free port. */
  port: z.int(),
  /** A Unix socket beside the port; who may open the file may ask. */
  socket: z.string().optional(),
  tls: z.object({ certificateFile: z.string(), keyFile: z.string() }).optional(),
  /** A token per line; a request has to bear one of them. */
  tokenFile: z.string().optional(),
  maxConnections: z.int(),
  maxBodyBytes: z.int(),
  maxBodiesBytes: z.int(),
  maxStreams: z.int(),
  streamIdleMs: z.int(),
  /** How long a request may take to arrive. */
  arrivalMs: z.int(),
  /** How long a request may wait for its answer unless it says so itself. */
  timeoutMs: z.int(),
});
export type ServingSettings = z.infer<typeof ServingSettings>;

/** The keys of the agent's configuration that say how applications ask for inference. */
export const servingKeys = {
  /** Where applications ask for inference: an address, or localhost. Others than loopback need TLS and a token. */
  inferenceHost: z
    .string()
    .refine((host) => host === "localhost" || isIP(host) !== 0, "must be an IP address or localhost")
    .default("127.0.0.1"),
  /** 0 takes any free port. */
  inferencePort: z.int().min(0).max(65_535).default(7410),
  /** A Unix socket that is served besides; its file is for the agent's user and group. */
  inferenceSocket: z.string().min(1).max(100, "is too long for a Unix socket, 100 bytes at most").optional(),
  /** PEM files. */
  inferenceTls: z.strictObject({ certificateFile: z.string().min(1), keyFile: z.string().min(1) }).optional(),
  /** A file with one token per line, each of 16 characters at least; a request bears one as `Authorization: Bearer …`. */
  inferenceTokenFile: z.string().min(1).optional(),
  /** How long a request waits for its answer unless it says so itself. */
  inferenceTimeoutMs: z.int().min(10).max(600_000).default(30_000),
  /** How long a request may take to arrive; a third of it for its head. Slower clients are cut off. */
  inferenceArrivalMs: z.int().min(100).max(600_000).default(30_000),
  /** Connections at the same time; more are closed at once, and counted. */
  maxConnections: z.int().min(1).max(10_000).default(256),
  /** The largest body of a request. */
  maxBodyBytes: z
    .int()
    .min(1000)
    .max(1024 ** 3)
    .default(20_000_000),
  /** Bytes of all bodies in memory at a time. */
  maxBodiesBytes: z
    .int()
    .min(1000)
    .max(4 * 1024 ** 3)
    .default(64_000_000),
  /** Inputs that may wait per model. */
  maxQueue: z.int().min(1).max(10_000).default(64),
  /** Inputs that may wait for all models together, each model having an equal share; 0 for four times `maxQueue`. */
  maxQueued: z.int().min(0).max(100_000).default(0),
  /** Streams of sound that applications may have open at a time. */
  maxStreams: z.int().min(0).max(10_000).default(16),
  /** A stream of which nothing came for so long is closed. */
  streamIdleMs: z.int().min(100).max(3_600_000).default(60_000),
  /** Inputs that share a run at most, for models whose batch dimension is free. */
  maxBatch: z.int().min(1).max(64).default(8),
  /** How long an input may wait for others to share its run with, although a thread is free. */
  batchDelayMs: z.number().min(0).max(1000).default(0),
  /** What a version may ask for in its bundle instead of these two; what asks for more gets this. */
  maxModelBatch: z.int().min(1).max(256).default(64),
  maxModelBatchDelayMs: z.number().min(0).max(1000).default(100),
};

type ServingConfig = z.infer<z.ZodObject<typeof servingKeys>>;

/** What a configuration lacks to be served to others than this machine; empty when nothing. */
export function servingProblems(config: ServingConfig): { readonly path: string[]; readonly message: string }[] {
  const problems: { path: string[]; message: string }[] = [];
  const wanted = (key: "inferenceTls" | "inferenceTokenFile", what: string) => {
    if (config[key] !== undefined) return;
    const message = `is needed because inferenceHost ${config.inferenceHost} is not loopback; ${what}, or use 127.0.0.1`;
    problems.push({ path: [key], message });
  };
  if (!isLoopback(config.inferenceHost)) {
    wanted("inferenceTls", "name a certificate and its key");
    wanted("inferenceTokenFile", "name a file with a token");
  }
  if (config.maxBodiesBytes < config.maxBodyBytes) {
    problems.push({ path: ["maxBodiesBytes"], message: "is less than maxBodyBytes; give at least as much" });
  }
  return problems;
}

/** When inputs share a run, as the runner takes it. */
export function batchSettings(config: ServingConfig) {
  return {
    batch: { maxRows: config.maxBatch, maxDelayMs: config.batchDelayMs },
    batchLimit: { maxRows: config.maxModelBatch, maxDelayMs: config.maxModelBatchDelayMs },
  };
}

/** What is served to whom, as the runner takes it. */
export function servingSettings(config: ServingConfig): ServingSettings {
  const { inferenceSocket: socket, inferenceTls: tls, inferenceTokenFile: tokenFile } = config;
  const { maxConnections, maxBodyBytes, maxBodiesBytes, maxStreams, streamIdleMs } = config;
  return {
    ...{ host: config.inferenceHost, port: config.inferencePort, timeoutMs: config.inferenceTimeoutMs },
    arrivalMs: config.inferenceArrivalMs,
    ...{ maxConnections, maxBodyBytes, maxBodiesBytes, maxStreams, streamIdleMs },
    ...(socket === undefined ? {} : { socket }),
    ...(tls === undefined ? {} : { tls }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.") || host.startsWith("::ffff:127.");
}
