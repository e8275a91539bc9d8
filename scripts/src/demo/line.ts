import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DeviceList, DriftReport, EventList, Rollout } from "@muster/shared";
import { AgentMachine, eventually, HubMachine } from "@muster/test";
import type { Narrator } from "./narrator.js";

/** The packaging line of the story: one hub, three devices, and who tells about them. */
export class Line {
  readonly folder: string;
  readonly tell: Narrator;
  readonly hub: HubMachine;
  readonly agents: readonly AgentMachine[];

  private constructor(folder: string, tell: Narrator, hub: HubMachine) {
    this.folder = folder;
    this.tell = tell;
    this.hub = hub;
    this.agents = [1, 2, 3].map((number) => new AgentMachine(folder, `lyon-${number}`));
  }

  static async open(folder: string, tell: Narrator): Promise<Line> {
    const hub = await HubMachine.start(folder, {
      // Slow enough that a transfer can be cut in its middle.
      deviceBytesPerSecond: 140_000,
      driftHorizonMs: 12_000,
      offlineAfterMs: 10_000,
      tickMs: 250,
    });
    return new Line(folder, tell, hub);
  }

  agent(number: 1 | 2 | 3): AgentMachine {
    return this.agents[number - 1] as AgentMachine;
  }

  /** Whether the hub answers its operator and made what it needs. */
  async hubAnswers(): Promise<boolean> {
    const made = ["hub.db", "admin.token", "keys/release.key.pem", "identity/ca.crt.pem", "artifacts"];
    await Promise.all(made.map((name) => stat(join(this.hub.dataDir, name))));
    return (await this.hub.operator.run("status")).code === 0;
  }

  /** Runs a muster command, shows it and its output, and returns its exit code. */
  async muster(...args: string[]): Promise<number> {
    const { code, stdout, stderr } = await this.hub.operator.run(...args);
    this.tell.show(
      `muster ${args.map((arg) => (arg.startsWith(this.folder) ? arg.slice(this.folder.length + 1) : arg)).join(" ")}`,
      stdout + stderr,
    );
    return code;
  }

  async devices(): Promise<DeviceList["devices"]> {
    return (await this.hub.operator.json<DeviceList>("device", "ls")).devices;
  }

  /** Devices by the version they have committed. */
  async committed(): Promise<Record<string, string | undefined>> {
    const entries = (await this.devices()).map((device) => [device.id, device.reported?.models[0]?.committed?.version]);
    return Object.fromEntries(entries) as Record<string, string | undefined>;
  }

  /** Starts a rollout and follows it to its end; returns how it ended and the exit code of `rollout watch`. */
  async rollOut(version: string, waves: string): Promise<{ rollout: Rollout; code: number }> {
    const rollout = await this.startRollout(version, waves);
    const code = await this.muster("rollout", "watch", rollout.id, "--timeout", "90s");
    return { rollout: await this.rollout(rollout.id), code };
  }

  startRollout(version: string, waves: string): Promise<Rollout> {
    const settings = [
      "--waves",
      waves,
      "--soak",
      "2s",
      "--probation",
      "2s",
      "--retries",
      "0",
      "--selector",
      "site=lyon",
    ];
    return this.hub.operator.json<Rollout>("rollout", "start", "label-orientation", version, ...settings);
  }

  rollout(id: string): Promise<Rollout> {
    return this.hub.operator.json<Rollout>("rollout", "show", id);
  }

  async drift(): Promise<DriftReport["rows"]> {
    return (await this.hub.operator.json<DriftReport>("drift")).rows;
  }

  async events(...filter: string[]): Promise<EventList["events"]> {
    return (await this.hub.operator.json<EventList>("telemetry", "events", "--limit", "1000", ...filter)).events;
  }

  /** What a device has answered so far, as its sink wrote it. */
  async answers(agent: AgentMachine): Promise<{ input: string; label: string; version: string }[]> {
    const text = await readFile(agent.answers, "utf8").catch(() => "");
    return text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { input: string; label: string; version: string });
  }

  /** Waits until every device has answered so many more pictures. */
  async untilAnswered(more: number): Promise<void> {
    const wait = async (agent: AgentMachine) => {
      const before = (await this.answers(agent)).length;
      const enough = async () => ((await this.answers(agent)).length >= before + more ? true : undefined);
      await eventually(`${agent.device} answers ${more} more pictures`, enough);
    };
    await Promise.all(this.agents.map(wait));
  }

  async close(): Promise<void> {
    for (const agent of this.agents) if (agent.started) await agent.program.stop();
    await this.hub.program.stop();
  }
}
