import { resolve } from "node:path";
import { type Command, integerOption } from "@muster/shared/node";
import { withExamples } from "../help.js";
import type { Session } from "../session.js";

/** `muster broker-config`: all that a Mosquitto needs to be this hub's broker. */
export function brokerConfigCommand(root: Command, session: Session): void {
  const command = root
    .command("broker-config")
    .description("write what a Mosquitto needs to be the broker of a hub: configuration, access list, certificates")
    .argument("<folder>", "where the files are written, and where the broker will read them")
    .option("--host <host>", "name or address of the broker, for its certificate; may be given again", several)
    .option("--port <port>", "port of the broker (default: that of broker.url, else 8883)", integerOption)
    .option("--data-dir <dir>", "folder of the hub, which may be running (default: muster-data)")
    .option("--config <file>", "YAML file of the hub")
    .action(async (folder: string, { config, host, port, ...flags }: Options) => {
      // Loaded late, as with `muster hub`.
      const { writeBroker } = await import("../../hub-process.js");
      const { files, broker } = await writeBroker(folder, { hosts: host, port }, flags, config);
      const written = { files };
      session.show({ raw: written, value: written }, () =>
        [
          ...files.map((file) => `wrote ${file}`),
          `Start the broker: mosquitto -c ${resolve(folder, "mosquitto.conf")}`,
          ...(broker === undefined ? hubLines(folder, host?.[0] ?? "HOST", port ?? 8883) : []),
        ].join("\n"),
      );
    });
  withExamples(
    command,
    "muster broker-config /etc/mosquitto/muster --host mqtt.example --data-dir /var/lib/muster",
    "muster broker-config ./broker --config /etc/muster/hub.yaml",
  );
}

type Options = { config?: string; host?: string[]; port?: number } & Record<string, unknown>;

function hubLines(folder: string, host: string, port: number): string[] {
  return [
    "Tell the hub, in its configuration file:",
    "  broker:",
    `    url: mqtts://${host}:${port}`,
    `    crlFile: ${resolve(folder, "crl.pem")}`,
  ];
}

function several(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
