import { type Command, integerOption } from "@muster/shared/node";
import { withExamples } from "../help.js";

/** `muster hub`: runs a hub until it is stopped. */
export function hubCommand(root: Command): void {
  const command = root
    .command("hub")
    .description("run a hub until it is stopped with Ctrl-C or SIGTERM")
    .option("--data-dir <dir>", "folder for everything the hub keeps (default: muster-data)")
    .option("--http-host <host>", "where the API listens; outside of loopback it speaks TLS (default: 127.0.0.1)")
    .option("--http-port <port>", "port of the API, 0 for any free one (default: 7400)", integerOption)
    .option("--mqtt-port <port>", "port devices connect to, MQTT over mutual TLS (default: 8883)", integerOption)
    .option("--enrolment-port <port>", "port devices join at, HTTPS (default: 7401)", integerOption)
    .option("--public-host <host>", "name or address under which devices reach this machine (default: 127.0.0.1)")
    .option("--new-admin-token", "make a new token for the user admin, for when no admin can get in any more")
    .option("--log-level <level>", "debug, info, warn or error (default: info)")
    .option(
      "--config <file>",
      "YAML file with any of these and the rarer settings; MUSTER_HUB_* variables go before it",
    )
    .action(async ({ config, ...flags }: { config?: string } & Record<string, unknown>) => {
      // Loaded late: only this command needs the broker, the database and all the rest.
      const { runHub } = await import("../../hub-process.js");
      await runHub(flags, config);
    });
  withExamples(
    command,
    "muster hub",
    "muster hub --data-dir /var/lib/muster --public-host hub.example --http-host 0.0.0.0",
    "muster hub --config /etc/muster/hub.yaml",
  );
}
