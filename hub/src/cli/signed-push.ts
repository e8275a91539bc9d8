import {
  Draft,
  labelFileOf,
  Manifest,
  MusterError,
  manifestType,
  openDocument,
  type Problem,
  PushedVersion,
  type PushVersion,
  parseBundle,
  type Republish,
  SignedManifest,
  type SigningKey,
  seal,
  VersionList,
} from "@muster/shared";
import { z } from "zod";
import type { Answer } from "./answer.js";
import type { ApiClient } from "./api-client.js";
import { keyFromVariable, readKeyFile } from "./key-files.js";
import { route } from "./route.js";

/** A release further ahead of what is known is not signed. */
const maxReleaseStep = 1000;
const variable = "MUSTER_RELEASE_KEY";

/** The release keys a push is to be signed with here: of `--key`, else of the environment; none when the hub signs. */
export async function releaseKeys(
  files: readonly string[] | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<SigningKey[]> {
  if (files !== undefined) return Promise.all(files.map(readKeyFile));
  const text = env[variable];
  return text === undefined || text === "" ? [] : [keyFromVariable(variable, text)];
}

/**
 * Has the hub prepare a version and signs what it prepared, once that is seen to be this bundle and nothing else: a
 * release key vouches for models, so it must not sign whatever a hub asks for. Throws `signature/invalid` then.
 */
export async function pushSigned(
  api: ApiClient,
  body: PushVersion,
  keys: readonly SigningKey[],
): Promise<Answer<PushedVersion>> {
  const { value, raw } = await api.post("/v1/drafts", z.union([Draft, PushedVersion]), body);
  if (!("payload" in value)) return { value, raw };
  const payload = Buffer.from(value.payload, "base64");
  const problems = differences(JSON.parse(payload.toString("utf8")) as Manifest, body);
  if (problems.length > 0) {
    const text = problems.map(({ field, message }) => `  ${field}: ${message}`).join("\n");
    throw new MusterError("signature/invalid", `not signed: what the hub prepared is not this bundle:\n${text}`, {
      problems,
    });
  }
  await checkRelease(api, JSON.parse(payload.toString("utf8")) as Manifest, keys);
  return api.post("/v1/drafts/sign", PushedVersion, { envelope: seal(manifestType, payload, keys) });
}

/**
 * Has the hub prepare a version's bytes under another name, and signs that once it is seen to be what this very key (or
 * one of these) has signed before. Throws `signature/invalid` otherwise.
 */
export async function republishSigned(
  api: ApiClient,
  request: Republish,
  keys: readonly SigningKey[],
): Promise<Answer<PushedVersion>> {
  const { model, version, as } = request;
  const signed = await api.get(route`/v1/models/${model}/versions/${version}/manifest`, SignedManifest);
  const own = { keys: keys.map((key) => key.public), threshold: 1 };
  const before = openDocument(Manifest, signed.value, manifestType, own, `manifest of ${model} ${version}`);
  const { value } = await api.post("/v1/drafts/republish", Draft, request);
  const payload = Buffer.from(value.payload, "base64");
  const prepared = JSON.parse(payload.toString("utf8")) as Manifest;
  const { release, createdMs } = prepared;
  if (JSON.stringify({ ...before, version: as, release, createdMs }) !== JSON.stringify(Manifest.parse(prepared))) {
    throw new MusterError("signature/invalid", `not signed: what the hub prepared is not ${model} ${version}`);
  }
  await checkRelease(api, prepared, keys);
  return api.post("/v1/drafts/sign", PushedVersion, { envelope: seal(manifestType, payload, keys) });
}

/**
 * Devices never go below a release they have had, so a hub must not be signed one that is far ahead: it would be the last.
 * The newest version that these keys have signed is the measure. Throws `signature/invalid`.
 */
async function checkRelease(api: ApiClient, { model, release }: Manifest, keys: readonly SigningKey[]): Promise<void> {
  const { value } = await api.get("/v1/models", VersionList, { model });
  const own = { keys: keys.map((key) => key.public), threshold: 1 };
  let highest = 0;
  for (const { version } of value.versions.slice(0, 5)) {
    const signed = await api.get(route`/v1/models/${model}/versions/${version}/manifest`, SignedManifest);
    try {
      highest = Math.max(highest, openDocument(Manifest, signed.value, manifestType, own, "manifest").release);
    } catch {
      // Signed by another key: it says nothing here.
    }
  }
  if (release <= highest + maxReleaseStep) return;
  const message = `not signed: the hub prepared release ${release} of ${model}, the newest that this key signed is ${highest}`;
  throw new MusterError("signature/invalid", message);
}

/** Where a prepared manifest says something else than the bundle. Baseline and index are what the hub adds. */
export function differences(manifest: Manifest, { bundle: text, files, encrypt }: PushVersion): Problem[] {
  const bundle = parseBundle(text);
  const problems: Problem[] = [];
  const same = (field: string, prepared: unknown, own: unknown) => {
    if (JSON.stringify(prepared) === JSON.stringify(own)) return;
    problems.push({ field, message: `${JSON.stringify(prepared)} instead of ${JSON.stringify(own)}` });
  };
  same("model", manifest.model, bundle.name);
  same("version", manifest.version, bundle.version);
  same("task", manifest.task, bundle.task);
  for (const field of [
    "tensors",
    "preprocess",
    "postprocess",
    "budgets",
    "batching",
    "requires",
    "licence",
    "metadata",
  ] as const) {
    same(field, manifest[field], bundle[field]);
  }
  const labels = labelFileOf(bundle);
  same(
    "files",
    (manifest.files ?? []).map(({ path, sha256 }) => ({ path, sha256 })),
    labels === undefined ? [] : [{ path: labels, sha256: files[labels] }],
  );
  const variants = manifest.variants.map(({ name, precision, artifact }) => {
    const { encryption } = artifact;
    const sha256 = encrypt ? encryption?.plainSha256 : encryption === undefined ? artifact.sha256 : "encrypted";
    return { name, precision, sha256 };
  });
  same(
    "variants",
    variants,
    bundle.variants.map(({ name, precision, file }) => ({ name, precision, sha256: files[file] })),
  );
  const { samples: preparedSamples, ...preparedLimits } = manifest.selfTest;
  const { samples, ...limits } = bundle.selfTest;
  const names = new Set([...Object.keys(preparedLimits), ...Object.keys(limits)]) as Set<keyof typeof limits>;
  for (const name of names) same(`selfTest.${name}`, preparedLimits[name], limits[name]);
  same(
    "selfTest.samples",
    preparedSamples.map(({ input, ...expect }) => ({ sha256: input.sha256, ...expect })),
    samples.map(({ file, expect }) => ({ sha256: files[file], ...expect })),
  );
  return problems;
}
