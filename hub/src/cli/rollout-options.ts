import { MusterError, parseWith, type RolloutSettings, StartRollout, type WaveSize } from "@muster/shared";
import { type Command, durationOption, integerOption } from "@muster/shared/node";
import type { z } from "zod";

/** What `rollout plan` and `rollout start` can be told. */
export interface RolloutFlags {
  readonly selector?: string;
  readonly waves?: WaveSize[];
  readonly soak?: number;
  readonly success?: number;
  readonly error?: number;
  readonly fallback?: number;
  readonly minExecuted?: number;
  readonly timeout?: number;
  readonly retries?: number;
  readonly probation?: number;
  readonly shadow?: number;
  readonly shadowShare?: number;
  readonly shadowCpu?: number;
  readonly minAgreement?: number;
}

/** Adds the arguments and options that describe a rollout. What is not given, the hub decides. */
export function rolloutOptions(command: Command): Command {
  return command
    .argument("<model>", "name of the model")
    .argument("<version>", "version to bring to the devices")
    .option("--selector <selector>", "only devices with these labels, for example site=lyon,line!=3 (default: all)")
    .option(
      "--waves <sizes>",
      "devices each wave reaches in all, counted or in percent (default: 5,10%,50%,100%)",
      waves,
    )
    .option("--soak <duration>", "how long a finished wave is watched before the next (default: 30min)", durationOption)
    .option("--success <percent>", "a wave passes with so many of its started devices committed (default: 95)", percent)
    .option("--error <percent>", "the rollout halts with more of a wave's started devices failed (default: 5)", percent)
    .option(
      "--fallback <percent>",
      "the rollout halts with more of a wave's started devices on a slower execution provider (default: 5)",
      percent,
    )
    .option(
      "--min-executed <n>",
      "the error share counts only from so many finished devices (default: 3)",
      integerOption,
    )
    .option(
      "--timeout <duration>",
      "a device that started and has not finished for so long has failed (default: 60min)",
      durationOption,
    )
    .option("--retries <n>", "how often a device that failed is tried again (default: 2)", integerOption)
    .option(
      "--probation <duration>",
      "how long a device watches the new version before it keeps it (default: 2min)",
      durationOption,
    )
    .option(
      "--shadow <duration>",
      "before that, run it beside the serving version for so long and compare answers (default: not)",
      durationOption,
    )
    .option("--shadow-share <share>", "the share of the inputs that it gets then, 0 to 1 (default: 0.1)", share)
    .option("--shadow-cpu <share>", "the share of one core's time that this may take (default: 0.2)", share)
    .option("--min-agreement <share>", "refuse it when a smaller share of its answers agrees (default: 0)", share);
}

/** The rollout as the API takes it. Throws `usage/invalid`. */
export function startRollout(model: string, version: string, flags: RolloutFlags): z.input<typeof StartRollout> {
  const { waves, soak, success, error, fallback, minExecuted, timeout, retries, probation } = flags;
  const { shadow, shadowShare, shadowCpu, minAgreement } = flags;
  const settings: { [Key in keyof RolloutSettings]: RolloutSettings[Key] | undefined } = {
    waves,
    soakMs: soak,
    successPercent: success,
    errorPercent: error,
    fallbackPercent: fallback,
    minExecuted,
    inProgressTimeoutMs: timeout,
    retries,
    probationMs: probation,
    shadowMs: shadow,
    shadowShare,
    shadowCpuShare: shadowCpu,
    minAgreement,
  };
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  const body = { model, version, selector: flags.selector ?? "", settings: given };
  parseWith(StartRollout, body, "usage/invalid", "the rollout");
  return body;
}

/** Wave sizes such as `5,10%,100%`. */
export function waves(text: string): WaveSize[] {
  return text.split(",").map((part) => {
    const [, amount, sign] = /^\s*(\d+(?:\.\d+)?)(%?)\s*$/.exec(part) ?? [];
    const value = Number(amount);
    if (sign === "%" && value > 0 && value <= 100) return { percent: value };
    if (sign === "" && Number.isInteger(value) && value > 0) return { devices: value };
    throw new MusterError(
      "usage/invalid",
      `--waves: '${part}' is no wave; write a count or a share, as in 5,10%,50%,100%`,
    );
  });
}

function share(text: string): number {
  const value = Number(text.trim() || Number.NaN);
  if (value >= 0 && value <= 1) return value;
  throw new MusterError("usage/invalid", `'${text}' is no share; give a number from 0 to 1`);
}

function percent(text: string): number {
  const [, amount] = /^(\d+(?:\.\d+)?)%?$/.exec(text.trim()) ?? [];
  const value = Number(amount);
  if (amount !== undefined && value <= 100) return value;
  throw new MusterError("usage/invalid", `'${text}' is no share; give a number from 0 to 100`);
}
