export { HubConfig } from "./config.js";
export { type Hub, hubVersion, startHub } from "./hub.js";
