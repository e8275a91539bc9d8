export * from "./fixtures/bundles.js";
export * from "./fixtures/fonts.js";
export * from "./fixtures/labels.js";
export * from "./fixtures/photo-stream.js";
