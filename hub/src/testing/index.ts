// What benchmarks and tests need to have only a part of a hub, or one that is not honest.
export { openAedesBroker } from "../adapters/aedes-broker.js";
export { openSqlite } from "../adapters/sqlite-store.js";
export { openAuthority } from "../adapters/x509-ca.js";
export { blobBytes, chunkUp, storeBytes } from "../chunking.js";
export type { DeviceLink } from "../ports.js";
export { Transfers } from "../transfers.js";
export { encodingsOf, manifestOf, openDevices } from "./hub-rooms.js";
