export * from "./classification.js";
export * from "./drift-features.js";
export * from "./image-features.js";
export * from "./image-tensor.js";
export * from "./onnx-engine.js";
export * from "./sharp-image.js";
