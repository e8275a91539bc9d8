import { type ChildProcess, execFile, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually, freePort } from "./fleet.js";
import { OpensslCa } from "./openssl-ca.js";
import { toolPath } from "./tool.js";
import { runTool } from "./tool-run.js";

/** A Mosquitto of a site, with TLS and a password, as cameras and lines talk to it; nothing to do with the hub. */
export class LocalBroker {
  readonly user = "line";
  readonly password = "hunter2";
  readonly port: number;
  /** Who signed its certificate, PEM. */
  readonly caFile: string;
  readonly #config: string;
  #child: ChildProcess | undefined;

  private constructor(port: number, caFile: string, config: string) {
    this.port = port;
    this.caFile = caFile;
    this.#config = config;
  }

  static async start(folder: string): Promise<LocalBroker> {
    const ca = await OpensslCa.make(folder, "Site root");
    const { certificate, key } = await ca.issue("broker", { names: "DNS:localhost,IP:127.0.0.1" });
    const [port, config, passwords] = [await freePort(), join(folder, "mosquitto.conf"), join(folder, "passwords")];
    const broker = new LocalBroker(port, ca.certificate, config);
    const args = ["-c", "-b", passwords, broker.user, broker.password];
    await promisify(execFile)(await toolPath("mosquitto_passwd"), args);
    const lines = [
      // Started by root it would become another user, who cannot read the folders of a test.
      `user ${userInfo().username}`,
      `listener ${port} 127.0.0.1`,
      ...[`cafile ${ca.certificate}`, `certfile ${certificate}`, `keyfile ${key}`],
      ...["allow_anonymous false", `password_file ${passwords}`],
      ...["persistence true", `persistence_location ${folder}/`, "autosave_interval 1", "autosave_on_changes true"],
    ];
    await writeFile(config, `${lines.join("\n")}\n`);
    await broker.restart();
    return broker;
  }

  get url(): string {
    return `mqtts://localhost:${this.port}`;
  }

  async restart(): Promise<void> {
    this.#child = spawn(await toolPath("mosquitto"), ["-c", this.#config], { stdio: "ignore" });
    await eventually("mosquitto listens", async () => ((await listens(this.port)) ? true : undefined));
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  /** Publishes a file with QoS 1, by Mosquitto's own client. */
  async publishFile(topic: string, file: string): Promise<void> {
    const { code, stderr } = await runTool("mosquitto_pub", [...this.#login(), "-q", "1", "-t", topic, "-f", file]);
    if (code !== 0) throw new Error(`mosquitto_pub: ${stderr}`);
  }

  /** The first `count` messages of a topic from now on, by Mosquitto's own client. */
  async messages(topic: string, count: number): Promise<string[]> {
    const args = [...this.#login(), "-q", "1", "-t", topic, "-C", String(count)];
    const { code, stdout, stderr } = await runTool("mosquitto_sub", args, { timeoutMs: 60_000 });
    if (code !== 0) throw new Error(`mosquitto_sub: ${stderr}`);
    return stdout.trim().split("\n");
  }

  #login(): string[] {
    const { port, caFile, user, password } = this;
    return ["-h", "localhost", "-p", String(port), "--cafile", caFile, "-u", user, "-P", password];
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
