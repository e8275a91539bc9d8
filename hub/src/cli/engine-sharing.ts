import {
  type BuiltEngine,
  Device,
  EngineShare,
  engineClass,
  formatBytes,
  Manifest,
  MusterError,
  PrebuiltEngine,
  parseWith,
  prebuiltEngineType,
  SharedEngine,
  type ShareEngine,
  SignedManifest,
  type SigningKey,
  seal,
} from "@muster/shared";
import type { Answer } from "./answer.js";
import type { ApiClient } from "./api-client.js";
import { hubError } from "./api-errors.js";
import { Patience } from "./patience.js";
import { ProgressBar, QuarterLines } from "./progress.js";
import { route } from "./route.js";
import type { Session } from "./session.js";

const pollMs = 500;

type Fetched = Exclude<EngineShare, { state: "fetching" | "failed" }>;

/** What a device says that it built of a version, and for which devices. */
interface Expected {
  readonly device: string;
  readonly engineClass: string;
  readonly built: BuiltEngine;
}

/** The user ended a sharing, and so did the hub. */
export class SharingStopped extends Error {}

/** Has the hub fetch an engine and share it under its own release key. */
export async function shareByHub(
  api: ApiClient,
  body: ShareEngine,
  session: Session,
  signal: AbortSignal,
): Promise<Answer<SharedEngine>> {
  return engineOf(await untilFetched(api, body, session, signal));
}

/**
 * Has the hub fetch and prepare an engine, and signs that once it is seen to be what the device has reported of this version:
 * a release key vouches for what devices run, so it must not sign whatever a hub asks for. Throws `signature/invalid` then.
 */
export async function shareSigned(
  api: ApiClient,
  body: ShareEngine,
  keys: readonly SigningKey[],
  session: Session,
  signal: AbortSignal,
): Promise<Answer<SharedEngine>> {
  const expected = await expectedOf(api, body);
  const fetched = await untilFetched(api, { ...body, draft: true }, session, signal);
  if (fetched.value.state === "shared") return engineOf(fetched);
  const payload = Buffer.from(fetched.value.payload, "base64");
  requireSame(parsed(payload), expected);
  for (const { name, sha256 } of expected.built.files) session.note(`signing ${name}: SHA-256 ${sha256}`);
  return api.post("/v1/engines/sign", SharedEngine, { envelope: seal(prebuiltEngineType, payload, keys) });
}

function engineOf({ value, raw }: Answer<Fetched>): Answer<SharedEngine> {
  if (value.state !== "shared")
    throw new MusterError("internal", `the hub left the engine ${value.state} and did not share it`);
  return { value: value.engine, raw: (raw as { engine: unknown }).engine };
}

/** What the prepared document has to be, from what the hub tells of device and version. Throws `engine/unknown`. */
async function expectedOf(api: ApiClient, { model, version, device }: ShareEngine): Promise<Expected> {
  const { value: shown } = await api.get(route`/v1/devices/${device}`, Device);
  const signed = await api.get(route`/v1/models/${model}/versions/${version}/manifest`, SignedManifest);
  const manifest = parseWith(
    Manifest,
    JSON.parse(Buffer.from(signed.value.payload, "base64").toString("utf8")),
    "signature/invalid",
    `the manifest of ${model} ${version}`,
  );
  const built = shown.reported?.models.find((said) => said.model === model)?.engine;
  const own = shown.hardware && engineClass(shown.hardware);
  const plain = manifest.variants.filter(({ artifact }) => artifact.encryption === undefined);
  if (built === undefined || own === undefined || !plain.some(({ artifact }) => artifact.sha256 === built.artifact)) {
    const message = `${device} holds no engine of ${model} ${version} that can be shared; see: muster engine ls`;
    throw new MusterError("engine/unknown", message);
  }
  return { device, engineClass: own, built };
}

function parsed(payload: Buffer): PrebuiltEngine {
  return parseWith(PrebuiltEngine, JSON.parse(payload.toString("utf8")), "signature/invalid", "what the hub prepared");
}

/** Throws `signature/invalid` where a prepared engine is not the one that the device reported. */
export function requireSame(prepared: PrebuiltEngine, { device, engineClass: own, built }: Expected): void {
  const files = (list: BuiltEngine["files"]) =>
    JSON.stringify(list.map(({ name, sha256, sizeBytes }) => [name, sha256, sizeBytes]).sort());
  const listed = prepared.files.map(({ name, artifact: { sha256, sizeBytes } }) => ({ name, sha256, sizeBytes }));
  const problems = [
    { field: "artifact", is: prepared.artifact, expected: built.artifact },
    { field: "engineClass", is: prepared.engineClass, expected: own },
    { field: "builtBy", is: prepared.builtBy, expected: device },
    { field: "files", is: files(listed), expected: files(built.files) },
  ]
    .filter(({ is, expected }) => is !== expected)
    .map(({ field, is, expected }) => ({ field, message: `${is} instead of ${expected}` }));
  if (problems.length === 0) return;
  const text = problems.map(({ field, message }) => `  ${field}: ${message}`).join("\n");
  throw new MusterError("signature/invalid", `not signed: what the hub prepared is not this engine:\n${text}`, {
    problems,
  });
}

/**
 * Asks the hub to begin and waits until it has fetched the engine. Throws why it could not; {@link SharingStopped} when it was
 * ended by `signal` and the hub has stopped, too.
 */
async function untilFetched(
  api: ApiClient,
  body: ShareEngine,
  session: Session,
  signal: AbortSignal,
): Promise<Answer<Fetched>> {
  const bar = new ProgressBar(session.io.err, session.io.clock);
  const lines = session.json || session.io.err.isTerminal ? undefined : new QuarterLines(session.io.err);
  const patience = new Patience(session, (text) => {
    bar.clear();
    session.note(text);
  });
  let fetching: string | undefined;
  try {
    let { value: share, raw } = await patience.ask(() => api.post("/v1/engines", EngineShare, body), signal);
    while (share.state === "fetching") {
      const { id, doneBytes, totalBytes } = share;
      fetching = id;
      const text = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)} from ${body.device}`;
      bar.draw(doneBytes / totalBytes, text);
      lines?.report(doneBytes / totalBytes, text);
      await session.io.clock.sleep(pollMs, signal);
      const path = route`/v1/engines/shares/${id}`;
      ({ value: share, raw } = await patience.ask(() => api.get(path, EngineShare, {}, signal), signal));
    }
    if (share.state === "failed") throw hubError(share.error.code, share.error.message);
    return { value: share, raw };
  } catch (error) {
    if (!signal.aborted || fetching === undefined) throw error;
    const stopped = api.delete(route`/v1/engines/shares/${fetching}`).then(() => true);
    throw (await stopped.catch(() => false)) ? new SharingStopped() : error;
  } finally {
    bar.clear();
  }
}
