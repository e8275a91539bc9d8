import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { systemClock } from "@muster/shared/node";
import { callHttp } from "../adapters/got-http.js";
import { connectBroker } from "../adapters/mqtt-session.js";
import { SnapshotServer } from "../testing/snapshot-server.js";
import { faultyInputContract, type SourceUnderTest, sourceContract } from "../testing/source-contract.js";
import { TestBroker } from "../testing/test-broker.js";
import {
  FolderSource as FolderSettings,
  HttpSource as HttpSettings,
  MqttSource as MqttSettings,
} from "./feed-settings.js";
import { FolderSource } from "./folder-source.js";
import { HttpSource } from "./http-source.js";
import { MqttSource } from "./mqtt-source.js";
import { temporaryFolder } from "./testing.js";

const clock = systemClock;

async function folder(): Promise<SourceUnderTest> {
  const root = await temporaryFolder();
  const path = join(root, "inbox");
  let count = 0;
  return {
    start: (intake) =>
      FolderSource.start({
        ...{ intake, clock, stateDir: join(root, "state") },
        settings: FolderSettings.parse({ type: "folder", path, model: "m", pollMs: 20 }),
      }),
    appear: async () => void (await mkdir(path)),
    put: async (text) => {
      count += 1;
      await writeFile(join(path, `.${count}`), text);
      await rename(join(path, `.${count}`), join(path, `${count}.jpg`));
    },
  };
}

async function snapshots(t: TestContext): Promise<SourceUnderTest> {
  const server = new SnapshotServer(t);
  const url = await server.reserve();
  return {
    start: (intake) =>
      new HttpSource({
        ...{ intake, clock, call: callHttp, env: {} },
        settings: HttpSettings.parse({ type: "http", url, model: "m", everyMs: 20 }),
      }),
    appear: () => server.listen(),
    put: async (text) => server.show(text),
  };
}

async function topic(t: TestContext): Promise<SourceUnderTest> {
  const broker = new TestBroker(t);
  const url = await broker.reserve();
  return {
    start: (intake) =>
      new MqttSource({
        ...{ intake, clock, connect: connectBroker, env: {}, clientId: "device-1" },
        settings: MqttSettings.parse({ type: "mqtt", url, topic: "cameras/+", model: "m" }),
      }),
    appear: () => broker.listen(),
    put: (text) => broker.publish("cameras/1", text),
  };
}

for (const [name, open] of Object.entries({ folder, snapshots, topic })) {
  sourceContract(name, open);
  faultyInputContract(name, open);
}
