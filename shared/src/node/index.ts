export * from "./command-line.js";
export * from "./durable-file.js";
export * from "./folder-blobs.js";
export * from "./json-log.js";
export * from "./load-config.js";
export * from "./lock-folder.js";
export * from "./lowdb-doc.js";
export * from "./system-clock.js";
