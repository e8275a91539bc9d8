import {
  type DeviceError,
  type DeviceErrorCode,
  type ErrorCode,
  MusterError,
  messageOf,
  type Outcome,
} from "@muster/shared";

/** An end of an attempt that is not an error of the program. */
export class DeviceFault extends Error {
  readonly outcome: Outcome;
  readonly code: DeviceErrorCode;

  constructor(outcome: Outcome, code: DeviceErrorCode, detail: string) {
    super(detail);
    this.outcome = outcome;
    this.code = code;
  }
}

const faults: Partial<Record<ErrorCode, readonly [Outcome, DeviceErrorCode]>> = {
  "signature/invalid": ["rejected", "E_SIG"],
  "desired/refused": ["rejected", "E_SIG"],
  "artifact/digest-mismatch": ["failed", "E_HASH"],
  "artifact/index-invalid": ["rejected", "E_HASH"],
  "artifact/undecryptable": ["rejected", "E_SIG"],
  "artifact/too-large": ["rejected", "E_DISK"],
  "artifact/missing": ["failed", "E_HASH"],
  "transfer/refused": ["failed", "E_TRANSFER"],
  "transfer/stalled": ["failed", "E_TRANSFER"],
  "engine/failed": ["rejected", "E_PROVIDER"],
};

/** Whether an error of the file system says that there is no room. */
export function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}

/** Whether the runner's process ended before it answered. */
export function isRunnerCrash(error: unknown): boolean {
  return error instanceof MusterError && error.code === "runner/crashed";
}

/** How an attempt ends because of what was thrown, and what the hub is told. */
export function outcomeOf(error: unknown): [Outcome, DeviceError] {
  const detail = messageOf(error).slice(0, 2000);
  if (error instanceof DeviceFault) return [error.outcome, { code: error.code, detail }];
  if (isDiskFull(error))
    return ["failed", { code: "E_DISK", detail: "the disk is full; make room in the data folder" }];
  const [outcome, code] = (error instanceof MusterError ? faults[error.code] : undefined) ?? ["failed", "E_INTERNAL"];
  return [outcome, { code, detail }];
}
