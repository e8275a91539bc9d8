export * from "./contracts.js";
export * from "./fake-clock.js";
export * from "./memory-stores.js";
export * from "./seeded-random.js";
export * from "./signed-roots.js";
export * from "./wav-file.js";
