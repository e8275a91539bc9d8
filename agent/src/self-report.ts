import {
  type BuiltEngine,
  type DeviceEvent,
  type Hardware,
  type Hello,
  type Reported,
  sealingPublicKey,
  type Window,
} from "@muster/shared";
import type { BuiltEngines } from "./built-engines.js";
import type { FallbackWatch } from "./fallback-watch.js";
import { type Credentials, loadIdentity, readCertificate } from "./identity-store.js";
import type { Spool } from "./ports.js";
import type { Reconciler } from "./reconciler.js";
import { withEngine, withServing } from "./report-model.js";
import { emptyModel, type ModelState } from "./state.js";
import type { AgentStatus } from "./status.js";
import type { RunnerSupervisor } from "./supervisor.js";

export interface SelfReportDeps {
  readonly agent: {
    readonly version: string;
    readonly bootId: string;
    readonly startedMs: number;
    readonly dataDir: string;
    readonly credentials: Credentials;
  };
  /** The machine as it is now. */
  readonly hardware: () => Promise<Hardware>;
  readonly runner: RunnerSupervisor;
  readonly reconciler: Reconciler;
  readonly spools: { readonly events: Spool<DeviceEvent>; readonly windows: Spool<Window> };
  readonly fallbacks: FallbackWatch;
  readonly engines: Pick<BuiltEngines, "of">;
  readonly now: () => number;
}

/** What this device says of itself: to the hub on connecting and on every change, and to somebody on the device. */
export class SelfReport {
  readonly #deps: SelfReportDeps;
  #seq = 0;

  constructor(deps: SelfReportDeps) {
    this.#deps = deps;
  }

  async hello(): Promise<Hello> {
    const { agent, hardware, reconciler, now } = this.#deps;
    return {
      ...{ agentVersion: agent.version, bootId: agent.bootId },
      ...{ revision: reconciler.state.revision, rootVersion: reconciler.root.version },
      sealingKey: sealingPublicKey(agent.credentials.sealingKey),
      hardware: await hardware(),
      clockMs: now(),
    };
  }

  /** The whole reported state; its number rises with every call. */
  async reported(): Promise<Reported> {
    const { agent, runner, reconciler, spools, fallbacks } = this.#deps;
    this.#seq += 1;
    const seq = this.#seq;
    // While the runner is down its part is left out.
    const status = await runner.status().catch(() => undefined);
    const { revision, models: known } = reconciler.state;
    const models = await Promise.all(
      reconciler.report().map(async (model) => {
        const state = known[model.model] ?? emptyModel;
        return withEngine(withServing(model, state, status), await this.#engine(state));
      }),
    );
    fallbacks.look(models);
    const [events, windows] = [spools.events.counts(), spools.windows.counts()];
    return {
      ...{ seq, bootId: agent.bootId, revision, models },
      runner: {
        state: runner.state,
        restarts: Object.values(runner.endings).reduce((a, b) => a + b, 0),
        endings: runner.endings,
        ...(status?.url === undefined ? {} : { url: status.url }),
        ...(status === undefined ? {} : { usage: status.usage }),
      },
      ...(reconciler.refusal === undefined ? {} : { refusal: reconciler.refusal }),
      spool: { windows: windows.waiting, events: events.waiting, dropped: windows.dropped + events.dropped },
      ...(status === undefined ? {} : { sources: status.sources, sinks: status.sinks }),
    };
  }

  /** What a provider built for the committed version; a report goes without it rather than not at all. */
  async #engine({ committed }: ModelState): Promise<BuiltEngine | undefined> {
    return committed === undefined ? undefined : this.#deps.engines.of(committed).catch(() => undefined);
  }

  /** What `muster-agent status` shows. */
  async status(connected: boolean): Promise<AgentStatus> {
    const { agent, hardware, runner } = this.#deps;
    const { credentials, dataDir, startedMs, version } = agent;
    const running = await runner.status();
    return {
      ...{ device: credentials.device, version, pid: process.pid, startedMs },
      hub: { url: credentials.mqttUrl, connected },
      certificate: await loadIdentity(dataDir).then(
        ({ certificate }) => readCertificate(certificate),
        () => undefined,
      ),
      hardware: await hardware(),
      reported: await this.reported(),
      runner: running,
    };
  }
}
