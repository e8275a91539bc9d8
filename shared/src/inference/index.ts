export * from "./classification.js";
export * from "./drift-features.js";
export * from "./image-features.js";
export * from "./image-tensor.js";
export * from "./onnx-engine.js";
export { installedProviders, knownProviders, runtimeBuild, runtimeVersion } from "./onnxruntime.js";
export * from "./placement.js";
export * from "./provider-check.js";
export * from "./sharp-image.js";
