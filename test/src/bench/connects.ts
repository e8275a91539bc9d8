import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { connect as connectTls, createSecureContext, type SecureContext } from "node:tls";
import { fileURLToPath } from "node:url";
import { OpensslCa } from "../fleet/openssl-ca.js";
import { comparisonText, median } from "./measure.js";

const rounds = 5;
const connectsPerRound = 400;
/** Clients that connect at the same time. */
const atOnce = 16;

/** Connects per second and processor time per connect: Muster's broker with mutual TLS beside bare aedes over TCP. */
export async function benchConnects(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-bench-"));
  try {
    const plain = await measure("tcp", folder, (port) => connectTcp({ host: "127.0.0.1", port }));
    const contexts: SecureContext[] = [];
    // The broker makes its CA when it starts, so the certificates come after that.
    const ours = await measure("tls", folder, async (port, client) => {
      const secureContext = contexts[client] ?? (await contextOf(folder, client));
      contexts[client] = secureContext;
      return connectTls({ host: "127.0.0.1", port, secureContext });
    });
    return comparisonText(
      "Connects (TCP, TLS handshake, MQTT CONNECT to CONNACK; client on the same 2 cores)",
      "bare aedes, TCP",
      [
        { what: "connects per second", ours: ours.perSecond, plain: plain.perSecond, unit: "1/s" },
        { what: "processor time of the broker per connect", ours: ours.cpuMs, plain: plain.cpuMs, unit: "ms" },
      ],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(
  kind: "tls" | "tcp",
  folder: string,
  open: (port: number, client: number) => Socket | Promise<Socket>,
): Promise<{ perSecond: number; cpuMs: number }> {
  const script = fileURLToPath(new URL("./connect-broker.js", import.meta.url));
  const broker = fork(script, [kind, folder], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  try {
    const { port } = await answer<{ port: number }>(broker);
    await connectMany(50, (client) => open(port, client));
    const perSecond: number[] = [];
    const cpuMs: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const [cpuBefore, beginMs] = [await cpuUs(broker), performance.now()];
      await connectMany(connectsPerRound, (client) => open(port, client));
      perSecond.push((connectsPerRound * 1000) / (performance.now() - beginMs));
      cpuMs.push(((await cpuUs(broker)) - cpuBefore) / 1000 / connectsPerRound);
    }
    return { perSecond: median(perSecond), cpuMs: median(cpuMs) };
  } finally {
    broker.kill();
  }
}

async function cpuUs(broker: ChildProcess): Promise<number> {
  const told = answer<{ cpuUs: number }>(broker);
  broker.send("cpu");
  return (await told).cpuUs;
}

async function answer<T>(broker: ChildProcess): Promise<T> {
  const [message] = (await once(broker, "message")) as [T];
  return message;
}

async function connectMany(count: number, open: (client: number) => Socket | Promise<Socket>): Promise<void> {
  let left = count;
  const run = async (client: number) => {
    while (left > 0) {
      left -= 1;
      await connectOnce(await open(client), client);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, (_, client) => run(client)));
}

/** From the first packet to CONNACK, then away. Throws when the broker says no. */
async function connectOnce(socket: Socket, client: number): Promise<void> {
  socket.write(connectPacket(nameOf(client)));
  const [acknowledged] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  if (acknowledged[3] !== 0) throw new Error(`connect was refused with code ${acknowledged[3]}`);
}

/** MQTT 3.1.1 CONNECT, clean session, keep-alive 60 s. */
function connectPacket(id: string): Buffer {
  const rest = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, id.length, ...Buffer.from(id)]);
  return Buffer.concat([Buffer.from([0x10, rest.length]), rest]);
}

function nameOf(client: number): string {
  return `bench-${client}`;
}

async function contextOf(folder: string, client: number): Promise<SecureContext> {
  const identity = join(folder, "identity");
  const pair = { certificate: join(identity, "ca.crt.pem"), key: join(identity, "ca.key.pem") };
  const issued = await (await OpensslCa.of(join(folder, `client-${client}`), pair)).issue(nameOf(client));
  const [ca, cert, key] = await Promise.all(
    [pair.certificate, issued.certificate, issued.key].map((file) => readFile(file)),
  );
  return createSecureContext({ ca, cert, key });
}
