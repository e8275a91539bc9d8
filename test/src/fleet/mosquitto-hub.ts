import { join } from "node:path";
import type { TestContext } from "node:test";
import { temporaryFolder } from "../e2e/place.js";
import { programs, runCommand } from "./cli.js";
import { freePort, HubMachine } from "./fleet.js";
import { Mosquitto } from "./mosquitto.js";

/** A hub and its Mosquitto, set up as an operator does it: with `muster broker-config`. Both end with the test. */
export async function startMosquittoHub(
  t: TestContext,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<{ hub: HubMachine; broker: Mosquitto; folder: string }> {
  const folder = await temporaryFolder(t);
  const files = join(folder, "broker");
  const port = await freePort();
  const args = ["--data-dir", join(folder, "hub"), "--host", "127.0.0.1", "--port", `${port}`];
  const { code, stderr } = await runCommand(programs.muster, ["broker-config", files, ...args]);
  if (code !== 0) throw new Error(`muster broker-config ended with ${code}: ${stderr}`);
  const broker = await Mosquitto.start(files, port);
  t.after(() => broker.stop());
  const hub = await HubMachine.start(folder, {
    ...{ tickMs: 200, offlineAfterMs: 6000, driftHorizonMs: 20_000 },
    broker: { url: `mqtts://127.0.0.1:${port}`, crlFile: join(files, "crl.pem") },
    ...settings,
  });
  t.after(() => hub.program.stop());
  return { hub, broker, folder };
}
