// The process whose connects are counted: Muster's broker with mutual TLS, or bare aedes over TCP.
import { createServer } from "node:net";
import { join } from "node:path";
import { openAedesBroker, openAuthority } from "@muster/hub/testing";
import { Aedes } from "aedes";

const [kind, folder = ""] = process.argv.slice(2);
const port = kind === "tls" ? await startMuster(folder) : await startPlain();
process.on("message", () => process.send?.({ cpuUs: cpuUs() }));
process.send?.({ port });

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function startMuster(dataDir: string): Promise<number> {
  const authority = await openAuthority(join(dataDir, "identity"), { clock: Date, deviceMs: 86_400_000 });
  const server = await authority.issueServer(["127.0.0.1"]);
  const quiet = () => undefined;
  const link = await openAedesBroker({
    ...{ host: "127.0.0.1", port: 0, publicHost: "127.0.0.1" },
    tls: { ...server, ca: authority.certificate },
    door: { refusal: () => undefined, entered: quiet },
    limits: {
      ...{ connectsPerSecondPerAddress: 0, connectionsPerAddress: 100_000, maxConnections: 100_000 },
      messagesPerSecondPerDevice: 0,
    },
    listener: { onMessage: quiet, onAlive: quiet, onGone: quiet },
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  });
  return Number(new URL(link.url).port);
}

async function startPlain(): Promise<number> {
  const broker = await Aedes.createBroker();
  const server = createServer((socket) => void broker.handle(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
