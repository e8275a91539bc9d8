import { DeviceId, Hardware, Reported } from "@muster/shared";
import { z } from "zod";
import { RunnerStatus } from "./runner/protocol.js";

/** What a running agent says of itself to somebody on the device. */
export const AgentStatus = z.object({
  device: DeviceId,
  version: z.string(),
  pid: z.int(),
  startedMs: z.int(),
  hub: z.object({ url: z.string(), connected: z.boolean() }),
  /** What this device is known by. */
  certificate: z.object({ serial: z.string(), fromMs: z.int(), expiresMs: z.int() }).optional(),
  hardware: Hardware,
  /** What the hub is told too. */
  reported: Reported,
  runner: RunnerStatus,
});
export type AgentStatus = z.infer<typeof AgentStatus>;
