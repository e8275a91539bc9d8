import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { HubMachine } from "../fleet/fleet.js";

/** A folder that goes away with the test. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "muster-e2e-"));
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  return folder;
}

/** A hub of its own for the test, on free ports. */
export async function startHub(
  t: TestContext,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<{ hub: HubMachine; folder: string }> {
  const folder = await temporaryFolder(t);
  const hub = await HubMachine.start(folder, {
    tickMs: 200,
    offlineAfterMs: 10_000,
    driftHorizonMs: 20_000,
    ...settings,
  });
  t.after(() => hub.program.stop());
  return { hub, folder };
}
