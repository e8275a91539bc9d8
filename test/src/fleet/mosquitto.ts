import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readFile, watch, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { toolPath } from "./tool.js";

const startMs = 20_000;

/** A Mosquitto as a process, with the files that `muster broker-config` wrote. */
export class Mosquitto {
  readonly port: number;
  readonly #folder: string;
  readonly #watching = new AbortController();
  #child: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  /** Starts it with `mosquitto.conf` of the folder, and has it read a new revocation list as an operator's unit would. */
  static async start(folder: string, port: number): Promise<Mosquitto> {
    const broker = new Mosquitto(folder, port);
    await broker.restart();
    void broker.#reloadOnNewList();
    return broker;
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** What it has logged. */
  log(): Promise<string> {
    return readFile(join(this.#folder, "mosquitto.log"), "utf8");
  }

  /** Processor time it has used since its start, as Linux tells it: in hundredths of a second. */
  async cpuUs(): Promise<number> {
    const stat = await readFile(`/proc/${this.pid}/stat`, "utf8");
    const [user = 0, system = 0] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13)
      .map(Number);
    return (user + system) * 10_000;
  }

  /** Starts it again on the same port. */
  async restart(): Promise<void> {
    const config = join(this.#folder, "as-tester.conf");
    // Started by root it would become another user, who cannot read the folders of a test.
    const written = await readFile(join(this.#folder, "mosquitto.conf"), "utf8");
    await writeFile(config, `user ${userInfo().username}\n${written}`);
    const child = spawn(await toolPath("mosquitto"), ["-c", config], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    const log = createWriteStream(join(this.#folder, "mosquitto.log"), { flags: "a" });
    child.stderr?.pipe(log);
    child.stdout?.resume();
    const untilMs = Date.now() + startMs;
    while (!(await this.#listens())) {
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended || Date.now() > untilMs) throw new Error(`mosquitto does not listen; it said: ${await this.log()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends it as a power cut does. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    this.#watching.abort();
    await this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    // A test may have had it stand still.
    child.kill("SIGCONT");
    await ended;
  }

  async #reloadOnNewList(): Promise<void> {
    const list = join(this.#folder, "crl.pem");
    const { signal } = this.#watching;
    try {
      for await (const { filename } of watch(dirname(list), { signal })) {
        if (filename === basename(list)) this.#child?.kill("SIGHUP");
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #listens(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
  }
}
