import { mkdir } from "node:fs/promises";
import { connect } from "node:net";
import { formatBytes, formatDuration, messageOf } from "@muster/shared";
import { isOverdue } from "./core/renewal-time.js";
import { readHardware } from "./hardware.js";
import { type Credentials, loadIdentity, readCertificate } from "./identity-store.js";
import type { ProviderProbe } from "./ports.js";

/** One thing that was looked at. */
export interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What to do about it, when it is not ok. */
  readonly cure?: string;
}

const minFreeBytes = 500_000_000;

/** Looks at what an agent needs: data folder, disk, inference library, identity, the way to the hub. */
export async function diagnose(dataDir: string, providers: ProviderProbe): Promise<Finding[]> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const findings: Finding[] = [];
  const hardware = await readHardware({ dataDir, runtime: { providers: [...providers.working] } });
  const { board, cpu, cores, memoryBytes, freeDiskBytes } = hardware;
  findings.push({
    check: "machine",
    ok: true,
    detail: `${board}, ${cpu}, ${cores} cores, ${formatBytes(memoryBytes)} memory`,
  });
  findings.push({
    check: "disk",
    ok: freeDiskBytes >= minFreeBytes,
    detail: `${formatBytes(freeDiskBytes)} free for ${dataDir}`,
    ...(freeDiskBytes >= minFreeBytes ? {} : { cure: "make room, or move --data-dir to a larger disk" }),
  });
  findings.push({
    check: "onnxruntime",
    ok: providers.working.length > 0,
    detail:
      providers.working.length > 0
        ? `${providers.version}; runs models on ${providers.working.join(", ")}`
        : (providers.error ?? "nothing works"),
    ...(providers.working.length > 0
      ? {}
      : { cure: "install the agent again for this platform; see README, 'Devices'" }),
  });
  try {
    const credentials = await loadIdentity(dataDir);
    findings.push(certificateFinding(credentials), await hubFinding(credentials));
  } catch (error) {
    findings.push({ check: "identity", ok: false, detail: messageOf(error), cure: "muster-agent join URL TOKEN" });
  }
  return findings;
}

/** The findings for a person. */
export function findingsText(findings: readonly Finding[]): string {
  return findings
    .map(({ check, ok, detail, cure }) => {
      const line = `${ok ? "ok  " : "FAIL"}  ${check.padEnd(12)} ${detail}`;
      return cure === undefined ? line : `${line}\n      ${"".padEnd(12)} → ${cure}`;
    })
    .join("\n");
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

async function hubFinding({ mqttUrl }: Credentials): Promise<Finding> {
  const { hostname, port } = new URL(mqttUrl);
  const error = await new Promise<string | undefined>((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), timeout: 5000 }, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (cause) => resolve(cause.message));
    socket.once("timeout", () => {
      socket.destroy();
      resolve("no answer for 5 s");
    });
  });
  if (error === undefined) return { check: "hub", ok: true, detail: `${mqttUrl} answers` };
  return {
    check: "hub",
    ok: false,
    detail: `${mqttUrl}: ${error}`,
    cure: "check the network, the hub, and a firewall between",
  };
}
