import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Invite } from "@muster/shared";
import { Operator, programs, runCommand } from "./cli.js";
import { Program } from "./process.js";
import type { WeakLink } from "./weak-link.js";

/** A hub as a process; killing and starting it again keeps its ports and its data. */
export class HubMachine {
  readonly dataDir: string;
  readonly #flags: readonly string[];
  readonly #logFile: string;
  program: Program;
  readonly apiUrl: string;
  readonly enrolmentUrl: string;
  /** Where devices connect. */
  readonly mqttPort: number;
  readonly operator: Operator;

  private constructor(
    options: { dataDir: string; flags: string[]; logFile: string },
    program: Program,
    urls: { apiUrl: string; enrolmentUrl: string; mqttPort: number },
    token: string,
  ) {
    this.dataDir = options.dataDir;
    this.#flags = options.flags;
    this.#logFile = options.logFile;
    this.program = program;
    this.apiUrl = urls.apiUrl;
    this.enrolmentUrl = urls.enrolmentUrl;
    this.mqttPort = urls.mqttPort;
    this.operator = new Operator(urls.apiUrl, token);
  }

  /** Starts a hub in a folder, on the given ports or on free ones; `settings` are written to its configuration file. */
  static async start(folder: string, settings: Readonly<Record<string, unknown>> = {}): Promise<HubMachine> {
    const dataDir = join(folder, "hub");
    const config = join(folder, "hub.yaml");
    const ports = { httpPort: await freePort(), mqttPort: await freePort(), enrolmentPort: await freePort() };
    await mkdir(folder, { recursive: true });
    await writeFile(
      config,
      JSON.stringify({ dataDir, mqttHost: "127.0.0.1", enrolmentHost: "127.0.0.1", ...ports, ...settings }),
    );
    const options = { dataDir, flags: ["--config", config], logFile: join(folder, "hub.log") };
    const program = await Program.start("hub", programs.muster, ["hub", ...options.flags], {
      logFile: options.logFile,
      ready: "hub.started",
    });
    const started = await program.waitFor("hub.started", 1000);
    const token = (await readFile(join(dataDir, "admin.token"), "utf8")).trim();
    const mqttPort = Number(new URL(String(started.mqttUrl)).port);
    const urls = { apiUrl: String(started.apiUrl), enrolmentUrl: String(started.enrolmentUrl), mqttPort };
    return new HubMachine(options, program, urls, token);
  }

  /** Starts the hub again after it was stopped or killed; more flags count for this start. */
  async restart(...flags: string[]): Promise<void> {
    this.program = await Program.start("hub", programs.muster, ["hub", ...this.#flags, ...flags], {
      logFile: this.#logFile,
      ready: "hub.started",
    });
  }
}

/** What an agent runs on. */
export interface Board {
  /** Its Node. */
  readonly node: string;
  /** The file behind `muster-agent` there. */
  readonly agent: string;
  /** How long an agent may take to start. */
  readonly startMs: number;
}

/** This machine, and the agent of this checkout. */
const thisMachine: Board = { node: process.execPath, agent: programs.agent, startMs: 30_000 };

/** A device as a process, with a camera folder; killing and starting it again keeps its data. */
export class AgentMachine {
  readonly device: string;
  readonly dataDir: string;
  /** Where its camera writes. */
  readonly inbox: string;
  /** Where its answers go. */
  readonly answers: string;
  readonly #board: Board;
  readonly #config: string;
  readonly #logFile: string;
  #program: Program | undefined;

  constructor(folder: string, device: string, board: Board = thisMachine) {
    this.device = device;
    this.#board = board;
    this.dataDir = join(folder, device, "data");
    this.inbox = join(folder, device, "inbox");
    this.answers = join(folder, device, "answers.jsonl");
    this.#config = join(folder, device, "agent.yaml");
    this.#logFile = join(folder, device, "agent.log");
  }

  /** Invites the device on the hub and joins it. */
  async join(hub: HubMachine, labels: string, settings: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await mkdir(this.inbox, { recursive: true });
    const invite = await hub.operator.json<Invite>("device", "invite", "--device", this.device, "--label", labels);
    await writeFile(
      this.#config,
      JSON.stringify({
        dataDir: this.dataDir,
        inferencePort: await freePort(),
        windowMs: 1000,
        sources: [{ type: "folder", path: this.inbox, model: "label-orientation", pollMs: 100, afterwards: "delete" }],
        sinks: [{ type: "jsonl", path: this.answers }],
        ...settings,
      }),
    );
    const args = ["--config", this.#config, "join", invite.url, invite.token, "--device", this.device];
    const { code, stderr } = await runCommand(this.#board.agent, args, {}, this.#board.node);
    if (code !== 0) throw new Error(`${this.device} could not join: ${stderr}`);
  }

  /** Has it reach its hub over a link, from its next start on. */
  async useLink({ port }: WeakLink): Promise<void> {
    const file = join(this.dataDir, "identity", "identity.json");
    const identity = JSON.parse(await readFile(file, "utf8")) as { mqttUrl: string };
    const url = new URL(identity.mqttUrl);
    url.port = String(port);
    await writeFile(file, JSON.stringify({ ...identity, mqttUrl: url.href }));
  }

  async start(): Promise<void> {
    const args = ["--config", this.#config, "run", "--log-level", "debug"];
    const { node, agent, startMs } = this.#board;
    this.#program = await Program.start(this.device, agent, args, {
      ...{ logFile: this.#logFile, node, startMs },
      ready: "agent.started",
    });
  }

  /** Whether it was ever started. */
  get started(): boolean {
    return this.#program !== undefined;
  }

  get program(): Program {
    if (this.#program === undefined) throw new Error(`${this.device} was not started`);
    return this.#program;
  }

  /** Where an application on the device asks. */
  get inferenceUrl(): string {
    return String(this.program.log.find(({ event }) => event === "agent.started")?.inferenceUrl);
  }

  /** Asks for one picture, as an application on the device does. */
  async infer(jpeg: Uint8Array, model = "label-orientation"): Promise<Response> {
    return fetch(`${this.inferenceUrl}/v2/models/${model}/infer`, {
      method: "POST",
      headers: { "content-type": "image/jpeg" },
      body: jpeg,
    });
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

/** Asks again and again until the answer is not undefined; what it is waiting for is named when time is over. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  timeoutMs = 30_000,
  pauseMs = 150,
): Promise<T> {
  const untilMs = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > untilMs) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
