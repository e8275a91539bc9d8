// What benchmarks and tests need to have only a part of an agent.
export { FolderShelf } from "../adapters/folder-shelf.js";
export { mqttLanes } from "../adapters/mqtt-lane.js";
export { openMqttLink } from "../adapters/mqtt-link.js";
export { Lanes } from "../lanes.js";
export { AudioStream, type StreamAnswer, type StreamDeps } from "../runner/audio-stream.js";
export { RunnerHost } from "../runner/host.js";
export { batchSettings, servingSettings } from "../runner/serving-settings.js";
export { makeManifest, picture, slotOf } from "../runner/testing.js";
export { Transfer } from "../transfer.js";
export { Uplink } from "../uplink.js";
export { MemorySpool } from "./memory-spool.js";
export { SnapshotServer } from "./snapshot-server.js";
export { WebhookServer } from "./webhook-server.js";

/** The module that makes models dangerous when a process is started with `--import` of it. */
export const dangerousModel = new URL("./dangerous-model.js", import.meta.url);
/** The module that holds whoever decodes a certain large table; see there. */
export const heldDecoder = new URL("./held-decoder.js", import.meta.url);
