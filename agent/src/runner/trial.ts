import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { DeviceErrorCode, Log, TriedCandidate } from "@muster/shared";
import type { RunTrial } from "../ports.js";
import { putFirst } from "./put-first.js";
import { chooseCandidate, fairShareMs } from "./trial-choice.js";
import type { CandidateRequest } from "./trial-run.js";

/** What the process said last is kept up to here; a crash is often explained there. */
const tailLength = 500;
/** Proves a version in processes of its own, one per candidate: a provider that crashes takes no other with it. */
export const runTrial: RunTrial = trialBy({});

/** How the processes of a trial are started. */
export interface TrialProcess {
  /** The program. */
  readonly script?: URL;
  /** Its environment; the agent's own when it is not given. */
  readonly env?: NodeJS.ProcessEnv;
  /** The nice value that the version would serve at; the one of this process when it is not given. */
  readonly rank?: { readonly nice: number; readonly log: Log };
}

/** A trial whose processes run another program, or in another environment. */
export function trialBy(how: TrialProcess): RunTrial {
  return async ({ candidates, variants, ...request }, { timeoutMs, signal, onCandidate }) => {
    const deadlineMs = performance.now() + timeoutMs;
    const tried: TriedCandidate[] = [];
    /** Variants whose file is damaged: no way to run them is worth a process. */
    const damaged = new Set<string>();
    for (const [at, candidate] of candidates.entries()) {
      const variant = variants.find(({ name }) => name === candidate.variant);
      if (variant === undefined || damaged.has(candidate.variant)) continue;
      onCandidate?.(candidate, at + 1, candidates.length);
      const limitMs = fairShareMs(deadlineMs - performance.now(), candidates.slice(at));
      const one = await tryApart(how, { ...request, variant, candidate }, { limitMs, signal });
      tried.push(one);
      if (one.rejected?.code === "E_CANCEL") return { kind: "failed", error: one.rejected, tried };
      if (one.rejected?.code === "E_HASH") damaged.add(candidate.variant);
    }
    return chooseCandidate(tried);
  };
}

/** Tries one candidate in a process of its own, and always comes to an end. */
async function tryApart(
  { script = new URL("./trial-main.js", import.meta.url), env, rank }: TrialProcess,
  request: CandidateRequest,
  { limitMs, signal }: { limitMs: number; signal: AbortSignal },
): Promise<TriedCandidate> {
  const { candidate } = request;
  const { provider, threads } = candidate;
  const where = `on ${provider} with ${threads} thread${threads === 1 ? "" : "s"}`;
  const rejected = (code: DeviceErrorCode, detail: string): TriedCandidate => ({
    ...candidate,
    rejected: { code, detail: detail.slice(0, 2000) },
  });
  if (signal.aborted) return rejected("E_CANCEL", "the trial was cancelled");
  const child = fork(fileURLToPath(script), [], {
    ...(env === undefined ? {} : { env }),
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  // Before it is asked: the threads that it starts get its rank, and what it measures must be what will serve.
  if (rank !== undefined) putFirst(child, rank.nice, rank.log);
  const tail = tailOf(child);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const settled = new AbortController();
  try {
    return await new Promise<TriedCandidate>((resolve) => {
      const timer = setTimeout(
        () => resolve(rejected("E_TIMEOUT", `no result ${where} within ${Math.round(limitMs)} ms`)),
        limitMs,
      );
      settled.signal.addEventListener("abort", () => clearTimeout(timer));
      const cancel = () => resolve(rejected("E_CANCEL", "the trial was cancelled"));
      signal.addEventListener("abort", cancel, { once: true, signal: settled.signal });
      child.once("message", (tried: TriedCandidate) => resolve(tried));
      child.once("error", (error) => resolve(rejected("E_INTERNAL", `the trial cannot be started: ${error.message}`)));
      child.once("close", (code, ended) => {
        const how = ended ?? `exit code ${code}`;
        resolve(rejected("E_CRASH", `the trial process ended with ${how} ${where}${tail()}`));
      });
      child.send(request, () => undefined);
    });
  } finally {
    settled.abort();
    child.kill("SIGKILL");
    // What could not be started does not end either.
    if (child.pid !== undefined) await exited;
  }
}

/** The end of what the process wrote to its error output. */
function tailOf(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (part: string) => {
    text = (text + part).slice(-tailLength);
  });
  return () => (text.trim() === "" ? "" : `: ${text.trim()}`);
}
