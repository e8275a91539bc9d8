export { type Agent, agentVersion, startAgent } from "./agent.js";
export { AgentConfig } from "./config.js";
export { joinHub } from "./identity.js";
