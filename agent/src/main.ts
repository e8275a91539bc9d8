import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { MusterError, messageOf, parseWith } from "@muster/shared";
import {
  type Command,
  ExitWith,
  exitCodes,
  integerOption,
  jsonLog,
  labelsOption,
  loadConfig,
  lockFolder,
  program,
  runProgram,
} from "@muster/shared/node";
import { childEnv } from "./adapters/child-env.js";
import { askStatus } from "./adapters/control-socket.js";
import { checkHub } from "./adapters/hub-check.js";
import { probeRuntime } from "./adapters/provider-probe.js";
import { agentVersion, startAgent } from "./agent.js";
import { AgentConfig } from "./config.js";
import { diagnose, findingsText } from "./doctor.js";
import { joinHub } from "./identity.js";
import { statusText } from "./status-text.js";
import { stepBack } from "./step-back.js";
import { videoFindings } from "./video-finding.js";

interface JoinFlags {
  device?: string;
  label?: Record<string, string>;
  again?: boolean;
  certificate?: string;
  key?: string;
}

interface Flags {
  config?: string;
  dataDir?: string;
  json?: boolean;
}

interface JoinFlags {
  device?: string;
  label?: Record<string, string>;
  root?: string;
}

process.exitCode = await runProgram(agentProgram(), process.argv.slice(2), () => process.argv.includes("--json"));

function agentProgram(): Command {
  const root = program(
    "muster-agent",
    "Runs the models that its hub wants on this device, and proves each before it serves.",
    agentVersion,
  )
    .option("--data-dir <folder>", "where the agent keeps everything (default muster-agent-data)")
    .option("--config <file>", "a YAML file with any setting; variables MUSTER_AGENT_… and flags win over it");

  root
    .command("join <url> <token>")
    .description("join a hub with an invitation (the line that 'muster device invite' prints)")
    .option("--device <name>", "the name of this device (default: the host name)")
    .option("--label <key=value,…>", "labels of this device; those of the invitation win", labelsOption)
    .option("--root <file>", "a root this hub's has to follow from, as 'muster key export' wrote it")
    .option("--again", "take a new identity in place of the one that is there; models and state stay")
    .option("--certificate <file>", "a certificate of your own CA (PEM), for hubs that do not sign; it stays there")
    .option("--key <file>", "its key (PEM); it stays there")
    .addHelpText(
      "after",
      "\nExample:\n  muster-agent join https://hub.example:7401 TOKEN --device lyon-1 --label site=lyon,line=1",
    )
    .action(async (url: string, token: string, options: JoinFlags) => {
      const { dataDir } = await settings(root);
      const device =
        options.device ??
        hostname()
          .replaceAll(/[^A-Za-z0-9_-]/g, "-")
          .slice(0, 64);
      // An agent that runs never needs these two, and they take megabytes.
      const { join } = await import("./adapters/enrolment-client.js");
      const { newKeyAndRequest } = await import("./adapters/x509-csr.js");
      const enroller = { newKeyAndRequest, join };
      const { label = {}, again, certificate, key } = options;
      if ((certificate === undefined) !== (key === undefined)) {
        throw new MusterError("usage/invalid", "--certificate and --key belong together; give both");
      }
      const brought =
        certificate === undefined || key === undefined ? undefined : { certificateFile: certificate, keyFile: key };
      const known = options.root === undefined ? {} : { root: await readRoot(options.root) };
      // Not while an agent runs here: it would go on with the identity it has.
      const unlock = await lockFolder(dataDir);
      const invitation = { url, token, device, labels: label, again, brought, ...known };
      const identity = await joinHub(dataDir, invitation, enroller).finally(unlock);
      print(`Joined as ${identity.device}. Start the agent: muster-agent run --data-dir ${dataDir}`);
    });

  root
    .command("run")
    .description("run the agent until Ctrl-C or SIGTERM")
    .option("--inference-port <port>", "where applications ask for inference; 0 for any (default 7410)", integerOption)
    .option("--log-level <level>", "debug, info, warn or error (default info)")
    .addHelpText(
      "after",
      "\nExample:\n  muster-agent run --data-dir /var/lib/muster-agent --config /etc/muster-agent.yaml",
    )
    .action(async (options: Record<string, unknown>) => {
      const config = await settings(root, options);
      const log = jsonLog((line) => process.stderr.write(line), config.logLevel);
      const agent = await startAgent(config, log);
      stepBack(log);
      print(`Agent ${agent.device} is running. Inference: ${agent.inferenceUrl}`);
      await new Promise<void>((resolve) => {
        process.once("SIGINT", resolve);
        process.once("SIGTERM", resolve);
      });
      log.info("agent.stopping");
      await agent.close();
    });

  root
    .command("status")
    .description("show what the running agent does")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  muster-agent status\n  muster-agent status --json")
    .action(async ({ json }: Flags) => {
      const { dataDir } = await settings(root);
      const status = await askStatus(dataDir);
      if (json === true) print(JSON.stringify(status ?? null, undefined, 2));
      else
        print(
          status === undefined
            ? `No agent runs on ${dataDir}. Start it: muster-agent run --data-dir ${dataDir}`
            : statusText(status),
        );
      if (status === undefined) throw new ExitWith(exitCodes.error);
    });

  root
    .command("doctor")
    .description("check this device and say what to do about each problem")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExits with 1 when the agent cannot do its work here; a warning is none.\n\nExample:\n  muster-agent doctor",
    )
    .action(async ({ json }: Flags) => {
      const { dataDir, onnxruntime, sources } = await settings(root);
      const diagnosis = await diagnose({ dataDir, runtime: await probeRuntime(childEnv(onnxruntime)), checkHub });
      const findings = [...diagnosis.findings, ...(await videoFindings(sources))];
      print(json === true ? JSON.stringify({ ...diagnosis, findings }, undefined, 2) : findingsText(findings));
      if (findings.some(({ ok }) => !ok)) throw new ExitWith(exitCodes.error);
    });
  return root;
}

/** The settings out of file, environment and flags. */
async function settings(root: Command, options: Record<string, unknown> = {}): Promise<AgentConfig> {
  const { config, ...common } = root.opts<Flags>();
  const loaded = await loadConfig(AgentConfig, {
    file: config,
    fileRequired: true,
    env: process.env,
    envPrefix: "MUSTER_AGENT",
    flags: { ...common, ...options },
  });
  return parseWith(AgentConfig, loaded, "config/invalid", "the configuration");
}

async function readRoot(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new MusterError("usage/invalid", `cannot read a root from ${path}: ${messageOf(cause)}`, { cause });
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
