// What benchmarks and tests need to have only a part of a hub, or one that is not honest.
export { openAedesBroker } from "../adapters/aedes-broker.js";
export { brokerCredentials } from "../adapters/broker-credentials.js";
export { writeMosquittoFiles } from "../adapters/mosquitto-files.js";
export { hubName, openMqttBroker } from "../adapters/mqtt-broker.js";
export { openPki } from "../adapters/pki.js";
export { openSqlite } from "../adapters/sqlite-store.js";
export { type Bench, client, connected, until } from "../adapters/testing/broker-bench.js";
export { deviceLinkContract } from "../adapters/testing/device-link-contract.js";
export { openAuthority } from "../adapters/x509-ca.js";
export { blobBytes, chunkUp, storeBytes } from "../chunking.js";
export type { DeviceLink, LinkListener } from "../ports.js";
export { Transfers } from "../transfers.js";
export { encodingsOf, manifestOf, openDevices } from "./hub-rooms.js";
