import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, readdir, readFile, readlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

/** A line of a program's JSON log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

const stopMs = 15_000;
const defaultStartMs = 30_000;

/** One of our programs as a process of its own, its log kept in a file and in memory. */
export class Program {
  readonly name: string;
  readonly log: LogLine[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;

  private constructor(name: string, child: ChildProcess, logFile: string) {
    this.name = name;
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
    const file = createWriteStream(logFile, { flags: "a" });
    child.stdout?.pipe(file, { end: false });
    child.stderr?.pipe(file, { end: false });
    void this.#ended.then(() => file.end());
    if (child.stderr === null) return;
    createInterface(child.stderr).on("line", (line) => {
      if (!line.startsWith("{")) return;
      this.log.push(JSON.parse(line) as LogLine);
      if (this.log.length > 20_000) this.log.splice(0, 10_000);
    });
  }

  /** Starts `node script args…` on this Node or another, and waits for the event that says it is up. */
  static async start(
    name: string,
    script: string,
    args: readonly string[],
    options: { logFile: string; ready: string; node?: string; startMs?: number },
  ): Promise<Program> {
    const { node = process.execPath, startMs = defaultStartMs } = options;
    await mkdir(dirname(options.logFile), { recursive: true });
    const child = spawn(node, [script, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const program = new Program(name, child, options.logFile);
    await program.waitFor(options.ready, startMs);
    return program;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** The first line with the event, now or later. Rejects when the program ends before, or after `timeoutMs`. */
  async waitFor(event: string, timeoutMs: number, matches: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    const untilMs = Date.now() + timeoutMs;
    for (;;) {
      const found = this.log.find((line) => line.event === event && matches(line));
      if (found !== undefined) return found;
      const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (ended || Date.now() > untilMs) {
        const why = ended
          ? `ended with ${this.#child.signalCode ?? this.#child.exitCode}`
          : `took more than ${timeoutMs} ms`;
        throw new Error(`${this.name} ${why} before '${event}'; its last lines: ${JSON.stringify(this.log.slice(-5))}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** What the processes that it has started have open, as Linux tells it. */
  async openFilesOfChildren(): Promise<string[]> {
    const files = (await childrenOf(this.pid)).map(async (pid) => {
      const folder = `/proc/${pid}/fd`;
      const open = await readdir(folder).catch(gone);
      return Promise.all(open.map((fd) => readlink(join(folder, fd)).catch(() => "")));
    });
    return (await Promise.all(files)).flat();
  }

  /** Ends it as an operator does; resolves with its exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopMs);
    const code = await this.#ended;
    clearTimeout(timer);
    return code;
  }

  /** Ends it as a power cut does. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

/** The processes that a process has started, and those that these have. */
async function childrenOf(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(gone);
  const texts = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, "utf8").catch(() => "")),
  );
  const children = texts.flatMap((text) => text.split(" ").filter((part) => part !== "")).map(Number);
  return [...children, ...(await Promise.all(children.map(childrenOf))).flat()];
}

/** A process may end while one looks. */
function gone(): string[] {
  return [];
}
