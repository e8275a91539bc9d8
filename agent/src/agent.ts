import { randomUUID } from "node:crypto";
import { availableParallelism, getPriority } from "node:os";
import { join } from "node:path";
import { type DeviceEvent, type Log, lanesIn, MusterError, messageOf, parseWith, type Window } from "@muster/shared";
import { LowdbDoc, lockFolder, systemClock } from "@muster/shared/node";
import { childEnv } from "./adapters/child-env.js";
import { serveStatus } from "./adapters/control-socket.js";
import { FolderShelf } from "./adapters/folder-shelf.js";
import { FolderSpool } from "./adapters/folder-spool.js";
import { mqttLanes } from "./adapters/mqtt-lane.js";
import { openMqttLink } from "./adapters/mqtt-link.js";
import { runtimeFault } from "./adapters/provider-probe.js";
import { StandInServer } from "./adapters/stand-in-server.js";
import { Allowance, Spent } from "./allowance.js";
import { encryptedAtRest, inTheClear } from "./at-rest.js";
import { BuiltEngines } from "./built-engines.js";
import { AgentConfig } from "./config.js";
import { parseHours } from "./core/allowance.js";
import { machineKey } from "./core/machine.js";
import { Crowd } from "./crowd.js";
import { EngineCache } from "./engine-cache.js";
import { EngineUpload } from "./engine-upload.js";
import { nvidiaMemoryOnce } from "./facts/nvidia.js";
import { FallbackWatch } from "./fallback-watch.js";
import { feedWatch } from "./feed-watch.js";
import { readHardware } from "./hardware.js";
import { watchHeat } from "./heat-watch.js";
import { loadIdentity, readIdentity, replaceIdentity, sweepKeys } from "./identity-store.js";
import { dropUnneeded, neededByModels } from "./installed.js";
import { Lanes } from "./lanes.js";
import { PrebuiltEngines } from "./prebuilt-engines.js";
import { Reconciler } from "./reconciler.js";
import { Renewal } from "./renewal.js";
import { RunnerHost } from "./runner/host.js";
import type { RunnerStatus } from "./runner/protocol.js";
import { trialBy } from "./runner/trial.js";
import { runnerSettings } from "./runner-settings.js";
import { SelfReport } from "./self-report.js";
import { AgentState, initialState } from "./state.js";
import { Steps } from "./steps.js";
import { RunnerSupervisor } from "./supervisor.js";
import { Telemetry } from "./telemetry.js";
import { Transfer } from "./transfer.js";
import { trialWithEngines } from "./trial-engines.js";
import { TrialMemory } from "./trial-memory.js";
import { Upkeep } from "./upkeep.js";
import { Uplink } from "./uplink.js";

/** The version of this agent. */
export const agentVersion = "0.1.0";

/** At most so old is a change of a source or sink when the hub hears of it. */
const feedWatchMs = 15_000;

/** A running agent. */
export interface Agent {
  readonly device: string;
  /** Where applications ask for inference. */
  readonly inferenceUrl: string;
  close(): Promise<void>;
}

/** The environment of the processes that run models. Throws `config/invalid` when another ONNX Runtime cannot be loaded. */
async function runtimeEnv({ onnxruntime }: AgentConfig): Promise<NodeJS.ProcessEnv> {
  const env = childEnv(onnxruntime);
  const fault = onnxruntime === undefined ? undefined : await runtimeFault(env);
  if (fault === undefined) return env;
  throw new MusterError("config/invalid", `onnxruntime: ${fault}; correct the path, or leave the setting out`);
}

/**
 * Starts an agent in a folder where a device has joined. What was committed serves before the hub is
 * even tried. Throws `identity/missing`, `store/in-use`, `store/damaged`, `port/in-use`, `config/invalid`.
 */
export async function startAgent(options: Partial<AgentConfig>, log: Log): Promise<Agent> {
  const config = parseWith(AgentConfig, options, "config/invalid", "the configuration");
  const { dataDir } = config;
  const clock = systemClock;
  const credentials = await loadIdentity(dataDir);
  const bootId = randomUUID();
  const startedMs = clock.now();
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    closers.push(await lockFolder(dataDir));
    const env = await runtimeEnv(config);
    await sweepKeys(dataDir);
    const shelf = await FolderShelf.open(join(dataDir, "models"));
    const atRestKey = config.atRestKeyFile ?? join(dataDir, "identity", "at-rest.key");
    const atRest = config.encryptAtRest ? await encryptedAtRest(atRestKey) : inTheClear;
    const spoolOptions = { maxWaiting: config.maxSpooled, atRest, log };
    const events = await FolderSpool.open<DeviceEvent>(join(dataDir, "spool", "events"), spoolOptions);
    const windows = await FolderSpool.open<Window>(join(dataDir, "spool", "windows"), spoolOptions);

    const runnerProcess = new RunnerHost({
      settings: runnerSettings(config, availableParallelism()),
      ...{ env, log },
    });
    const runner: RunnerSupervisor = new RunnerSupervisor({
      process: runnerProcess,
      standIn: new StandInServer(),
      restore: () =>
        Object.entries(reconciler.state.models).map(([model, { committed, previous }]) =>
          [committed, previous].flatMap((installed) =>
            installed === undefined ? [] : [() => steps.slot(model, installed)],
          ),
        ),
      on: {
        unusable: (error) => {
          log.error("model.unusable", { error });
          tell("model.unusable", { reason: messageOf(error) }).catch(unspooled);
          upkeep.look();
        },
        ending: (ending) => {
          reconciler.runnerEnded(ending);
          tell("runner.ended", { ...ending }).catch(unspooled);
          uplink.report();
        },
        restored: () => {
          reconciler.runnerRestored();
          uplink.report();
        },
      },
      clock,
      log,
    });
    let runtime: RunnerStatus | undefined;
    const gpuMemory = nvidiaMemoryOnce();
    // A runner that is down brings the same ONNX Runtime along when it is back: what may mend it must not wait for it.
    const hardware = async () => {
      const known = await runner.status().catch((error) => runtime ?? Promise.reject(error));
      runtime = known;
      return readHardware({ dataDir, runtime: known, gpuMemory });
    };

    const unspooled = (error: unknown) => log.error("event.unspooled", { error });
    // Uplink, transfer and reconciler need each other; nothing is called before all three are there.
    const tell = async (kind: string, fields: Record<string, unknown>) => {
      await events.add((seq) => ({ seq, atMs: clock.now(), kind, fields }));
      uplink.flush();
    };
    const rules = {
      hours: config.transferHours === undefined ? undefined : parseHours(config.transferHours),
      bytesPerDay: config.transferBytesPerDay,
    };
    const allowance = await Allowance.open(
      rules,
      new LowdbDoc(join(dataDir, "fetched.json"), Spent, { day: "", bytes: 0 }),
      clock,
      log,
    );
    closers.push(() => allowance.close());
    const lanes = new Lanes({
      main: () => uplink,
      open: mqttLanes(credentials.device, () => loadIdentity(dataDir)),
      ...{ most: config.transferLanes, clock, log },
    });
    closers.push(() => lanes.close());
    const transfer = new Transfer({
      link: lanes,
      ...{ shelf, clock, log, allowance, maxArtifactBytes: config.maxArtifactBytes },
    });
    const engines = new EngineCache(join(dataDir, "engines"), config.maxEngineCacheBytes);
    const told = (kind: string, fields: Record<string, unknown>) => tell(kind, fields).catch(unspooled);
    const apart = trialBy({ env, rank: { nice: getPriority(), log } });
    const trial = trialWithEngines({ trial: apart, tell: told, clock, log });
    const trials = await TrialMemory.open(join(dataDir, "trials.json"), { trial, log });
    const { maxVariantsTried: maxVariants, maxArtifactBytes, transferBytesPerDay } = config;
    const steps = new Steps({
      ...{ shelf, transfer, runner, trial: trials.run, favourite: trials.favourite },
      device: {
        ...{ hardware, agentVersion, trialTimeoutMs: config.trialTimeoutMs, sealingKey: credentials.sealingKey },
        ...{ engines, tell: told },
        prebuilt: new PrebuiltEngines({
          ...{ shelf, transfer, link: lanes, allowance, cache: engines, clock, log },
          blobs: {
            needed: () => neededByModels(reconciler.state, shelf),
            discard: (digests) => reconciler.whileStill((state) => dropUnneeded(state, digests, shelf)),
          },
          device: { root: () => reconciler.root, hardware, tell: told },
        }),
        budget: { maxVariants, maxArtifactBytes, dataBytes: transferBytesPerDay || undefined },
        root: () => reconciler.root,
        crowd: new Crowd({
          shelf,
          models: () => reconciler.state.models,
          limits: {
            maxModels: config.maxModels,
            memoryBytes: config.runnerMemoryMb === 0 ? undefined : config.runnerMemoryMb * 1_000_000,
          },
        }),
      },
      now: () => clock.now(),
    });
    const reconciler = await Reconciler.open({
      store: new LowdbDoc(join(dataDir, "state.json"), AgentState, initialState),
      ...{ steps, shelf, clock, log },
      device: { id: credentials.device, joined: credentials.root, onEvent: tell, onChange: () => uplink.report() },
    });
    const upkeep = new Upkeep({
      ...{ shelf, clock, log },
      state: () => reconciler.state,
      onDamaged: (model, installed) => void reconciler.damaged(model, installed).catch(unspooled),
    });

    const built = new BuiltEngines({
      cache: engines,
      machine: async () => machineKey(await hardware()),
      committed: () => Object.values(reconciler.state.models).flatMap(({ committed }) => committed ?? []),
      onChange: () => uplink.report(),
      log,
    });
    const self = new SelfReport({
      agent: { version: agentVersion, ...{ bootId, startedMs, dataDir, credentials } },
      ...{ hardware, runner, reconciler, engines: built, spools: { events, windows } },
      fallbacks: new FallbackWatch((fields) => void tell("provider-fallback", fields).catch(unspooled)),
      now: () => clock.now(),
    });
    const uplink: Uplink = new Uplink({
      open: (handlers) =>
        openMqttLink({
          ...{ device: credentials.device, bootId, handlers, clock, log },
          credentials: () => loadIdentity(dataDir),
        }),
      ...{ events, windows, clock, log },
      say: {
        hello: () => self.hello(),
        reported: () => self.reported(),
        desired: (message) => {
          lanes.allow(lanesIn(message));
          void reconciler.take(message);
        },
        upload: (command) => upload.take(command),
        renewal: (answer) => renewal.take(answer),
      },
    });
    const upload = new EngineUpload({ engines: built, send: (payload) => uplink.upload(payload), log });
    const renewal = new Renewal({
      identity: {
        load: () => loadIdentity(dataDir),
        replace: async ({ privateKey, ...next }) => {
          const { device, mqttUrl, root } = (await readIdentity(dataDir)) ?? credentials;
          await replaceIdentity(dataDir, { device, mqttUrl, root, ...next }, privateKey);
        },
      },
      // Needed once in weeks, and takes megabytes.
      newKeyAndRequest: async (device) => (await import("./adapters/x509-csr.js")).newKeyAndRequest(device),
      ...{ link: uplink, clock, log, tell },
    });
    // What it sends ends with the connection, so that goes first.
    closers.push(() => upload.close());
    closers.push(() => uplink.close());
    closers.push(() => renewal.close());
    closers.push(() => runner.close());
    await runner.start();
    closers.push(await serveStatus(dataDir, () => self.status(uplink.connected)));
    closers.push(watchHeat({ runner, tell, clock, log }));
    const telemetry = new Telemetry({
      ...{ runner, spool: windows, clock, log, windowMs: config.windowMs },
      onWindow: (window) => {
        reconciler.observed(window);
        uplink.flush();
      },
    });
    const feeds = feedWatch({
      feeds: () => runner.status().catch(() => undefined),
      ...{ everyMs: Math.min(config.windowMs, feedWatchMs), onChange: () => uplink.report(), clock },
    });
    closers.push(() => telemetry.close());
    closers.push(() => feeds.close());
    closers.push(() => reconciler.close());
    closers.push(() => upkeep.close());
    telemetry.start();
    if (config.sources.length + config.sinks.length > 0) feeds.start();
    reconciler.start();
    upkeep.start();
    uplink.start();
    renewal.start();
    const inferenceUrl = (await runner.status()).url ?? "";
    log.info("agent.started", { device: credentials.device, inferenceUrl, version: agentVersion });
    return { device: credentials.device, inferenceUrl, close };
  } catch (error) {
    await close();
    throw error;
  }
}
