import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes, formatDuration, type Hardware, messageOf } from "@muster/shared";
import { type ClockBounds, clockFinding, type Finding, hardwareFindings, runtimeFindings } from "./core/findings.js";
import { isOverdue } from "./core/renewal-time.js";
import { readHardware } from "./hardware.js";
import { type Credentials, loadIdentity, readCertificate } from "./identity-store.js";
import type { CheckHub, HubCheck, RuntimeProbe } from "./ports.js";

const minFreeBytes = 500_000_000;

/** What was looked at, and the facts it was judged by. */
export interface Diagnosis {
  readonly findings: readonly Finding[];
  readonly hardware: Hardware;
  readonly onnxruntime: RuntimeProbe;
}

export interface Patient {
  readonly dataDir: string;
  /** What the inference library said of itself and of its providers. */
  readonly runtime: RuntimeProbe;
  readonly checkHub: CheckHub;
  /** The folder that holds `proc`, `sys`, `dev` and `etc`. */
  readonly root?: string;
}

/** Looks at what an agent needs: machine, disk, inference library and its providers, clock, identity, the way to the hub. */
export async function diagnose({ dataDir, runtime, checkHub, root }: Patient): Promise<Diagnosis> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const { version, build, providers } = runtime;
  const bundled = providers.filter((one) => one.bundled).map(({ provider }) => provider);
  const known = { providers: bundled, onnxruntime: { version, build } };
  const hardware = await readHardware({ dataDir, runtime: known, ...(root === undefined ? {} : { root }) });
  const { findings, ...identity } = await identityFindings(dataDir, checkHub);
  return {
    ...{ hardware, onnxruntime: runtime },
    findings: [
      ...hardwareFindings(hardware),
      diskFinding(dataDir, hardware),
      ...runtimeFindings(runtime, hardware),
      clockFinding(Date.now(), await clockBounds(dataDir, identity)),
      ...findings,
    ],
  };
}

/** The findings for a person. */
export function findingsText(findings: readonly Finding[]): string {
  return findings
    .map(({ check, ok, warning, detail, cure }) => {
      const state = !ok ? "FAIL" : warning === true ? "warn" : "ok  ";
      const line = `${state}  ${check.padEnd(12)} ${detail}`;
      return cure === undefined ? line : `${line}\n      ${"".padEnd(12)} → ${cure}`;
    })
    .join("\n");
}

function diskFinding(dataDir: string, { freeDiskBytes }: Hardware): Finding {
  const ok = freeDiskBytes >= minFreeBytes;
  const detail = `${formatBytes(freeDiskBytes)} free for ${dataDir}`;
  return { check: "disk", ok, detail, ...(ok ? {} : { cure: "make room, or move --data-dir to a larger disk" }) };
}

interface IdentityFindings {
  readonly findings: readonly Finding[];
  readonly credentials?: Credentials;
  readonly hub?: HubCheck;
}

async function identityFindings(dataDir: string, checkHub: CheckHub): Promise<IdentityFindings> {
  try {
    const credentials = await loadIdentity(dataDir);
    const hub = await checkHub(credentials);
    return { findings: [certificateFinding(credentials), hubFinding(credentials.mqttUrl, hub)], credentials, hub };
  } catch (error) {
    const finding = { check: "identity", ok: false, detail: messageOf(error), cure: "muster-agent join URL TOKEN" };
    return { findings: [finding] };
  }
}

function certificateFinding({ certificate, certificateFile, device }: Credentials): Finding {
  const validity = readCertificate(certificate);
  const leftMs = validity.expiresMs - Date.now();
  const ok = !isOverdue(validity, Date.now());
  const detail =
    leftMs > 0
      ? `joined as ${device}; certificate valid for ${formatDuration(leftMs)}`
      : `certificate of ${device} has expired`;
  if (ok) return { check: "identity", ok, detail };
  if (certificateFile !== undefined) {
    return { check: "identity", ok, detail, cure: `put a new certificate in ${certificateFile}` };
  }
  const again = `muster device invite --device ${device} --again, and run the printed line here`;
  const cure = leftMs > 0 ? "it should have been renewed: see that the agent runs and is connected" : again;
  return { check: "identity", ok, detail, cure };
}

function hubFinding(mqttUrl: string, hub: HubCheck): Finding {
  if (!("error" in hub)) {
    return { check: "hub", ok: true, detail: `${mqttUrl} answers (${hub.protocol}, ${Math.round(hub.tookMs)} ms)` };
  }
  const clock = /not yet valid|has expired/i.test(hub.error);
  const cure = clock
    ? "set the clock of this device; if it is right, the hub's"
    : "check the network, the hub, and a firewall between";
  return { check: "hub", ok: false, detail: `${mqttUrl}: ${hub.error}`, cure };
}

/** The latest time that something signed vouches for. */
async function clockBounds(
  dataDir: string,
  { credentials, hub }: Pick<IdentityFindings, "credentials" | "hub">,
): Promise<ClockBounds> {
  const bounds: [number, string][] = [[Date.parse("2025-01-01"), "the making of this program"]];
  if (credentials !== undefined) {
    bounds.push([readCertificate(credentials.certificate).fromMs, "the certificate of this device"]);
    bounds.push([await trustedMs(dataDir), "what the hub signed last for this device"]);
  }
  if (hub !== undefined && !("error" in hub)) bounds.push([hub.fromMs, "the certificate of the hub"]);
  bounds.sort(([a], [b]) => b - a);
  const [[notBeforeMs, from]] = bounds as [[number, string]];
  return { notBeforeMs, from, synchronised: await isSynchronised() };
}

async function trustedMs(dataDir: string): Promise<number> {
  try {
    return Number(JSON.parse(await readFile(join(dataDir, "state.json"), "utf8")).trustedMs) || 0;
  } catch {
    // A device that was never told anything has no such file, and a damaged one keeps the agent from starting anyway.
    return 0;
  }
}

/** What systemd says of the clock; undefined where another service keeps it. */
async function isSynchronised(): Promise<boolean | undefined> {
  const exists = (path: string) =>
    stat(path).then(
      () => true,
      () => false,
    );
  if (await exists("/run/systemd/timesync/synchronized")) return true;
  return (await exists("/run/systemd/timesync")) ? false : undefined;
}
