// What tests need to play a hub that is not honest, with what a thief would find on an honest one.
export { openAedesBroker } from "../adapters/aedes-broker.js";
export { openAuthority } from "../adapters/x509-ca.js";
export type { DeviceLink } from "../ports.js";
