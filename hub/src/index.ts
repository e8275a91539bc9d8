export { HubConfig } from "./config.js";
export { type Hub, hubVersion, startHub } from "./hub.js";
export * from "./quantize/onnx-graph.js";
export * from "./quantize/weights.js";
