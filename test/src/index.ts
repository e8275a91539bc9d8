export * from "./fixtures/bundles.js";
export * from "./fixtures/fonts.js";
export * from "./fixtures/label-model.js";
export * from "./fixtures/labels.js";
export * from "./fixtures/photo-stream.js";
export * from "./fleet/cli.js";
export * from "./fleet/fleet.js";
export * from "./fleet/process.js";
