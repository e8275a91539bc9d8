import { jsonLog, loadConfig } from "@muster/shared/node";
import { HubConfig } from "./config.js";
import { prepareMosquitto, startHub } from "./hub.js";

export { HubConfig } from "./config.js";

/** Writes what a Mosquitto needs to be the broker of the hub of this configuration, and says what is next. */
export async function writeBroker(
  folder: string,
  { hosts, port }: { hosts?: string[] | undefined; port?: number | undefined },
  flags: Record<string, unknown>,
  configFile: string | undefined,
): Promise<BrokerFiles> {
  const config = await hubConfig(flags, configFile);
  const files = await prepareMosquitto(config, {
    folder,
    ...(hosts === undefined ? {} : { hosts }),
    ...(port === undefined ? {} : { port }),
  });
  return { files, broker: config.broker?.url };
}

/** What {@link writeBroker} has written, and the broker that the configuration names already. */
export interface BrokerFiles {
  readonly files: readonly string[];
  readonly broker: string | undefined;
}

function hubConfig(flags: Record<string, unknown>, file: string | undefined): Promise<HubConfig> {
  return loadConfig(HubConfig, { file, fileRequired: true, env: process.env, envPrefix: "MUSTER_HUB", flags });
}

/** Runs a hub until SIGINT or SIGTERM. Configuration: file, then `MUSTER_HUB_…` variables, then flags. */
export async function runHub(flags: Record<string, unknown>, configFile: string | undefined): Promise<void> {
  const config = await hubConfig(flags, configFile);
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
