import { jsonLog, loadConfig } from "@muster/shared/node";
import { HubConfig } from "./config.js";
import { startHub } from "./hub.js";

export { HubConfig } from "./config.js";

/** Runs a hub until SIGINT or SIGTERM. Configuration: file, then `MUSTER_HUB_…` variables, then flags. */
export async function runHub(flags: Record<string, unknown>, configFile: string | undefined): Promise<void> {
  const config = await loadConfig(HubConfig, {
    file: configFile,
    fileRequired: true,
    env: process.env,
    envPrefix: "MUSTER_HUB",
    flags,
  });
  const log = jsonLog((line) => process.stderr.write(line), config.logLevel);
  const hub = await startHub(config, log);
  // Once, and on a terminal only: what goes elsewhere may be kept by whoever collects logs.
  const token =
    process.stdout.isTTY && hub.newToken !== undefined ? [`  admin      ${hub.newToken}  (shown only now)`] : [];
  process.stdout.write(
    [
      `Muster hub is running. Its data is in ${config.dataDir}.`,
      `  API        ${hub.apiUrl}  (token in ${config.dataDir}/admin.token)`,
      `  devices    ${hub.mqttUrl}`,
      `  joining    ${hub.enrolmentUrl}`,
      ...token,
      "",
    ].join("\n"),
  );
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  log.info("hub.stopping");
  await hub.close();
}
