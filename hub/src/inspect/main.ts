import { readFile } from "node:fs/promises";
import { asMusterError, invalid, type Manifest, MusterError, messageOf, type Problem } from "@muster/shared";
import {
  baselineOf,
  type Classification,
  classify,
  compareTensors,
  decodeImage,
  type FeatureValues,
  featureValues,
  imageFeatures,
  imageShape,
  imageTensor,
  OnnxSession,
  selfTestFault,
} from "@muster/shared/inference";
import type { InspectResult, InspectTask } from "../ports.js";

/** What this process answers its parent with. */
export type InspectAnswer =
  | { readonly ok: true; readonly result: InspectResult }
  | { readonly ok: false; readonly code: string; readonly message: string; readonly problems: readonly Problem[] };

process.once("message", (task) => {
  inspect(task as InspectTask).then(
    (result) => answer({ ok: true, result }),
    (error) => {
      const { code, message, problems } = asMusterError(error);
      answer({ ok: false, code, message, problems });
    },
  );
});

function answer(message: InspectAnswer): void {
  process.send?.(message, () => process.disconnect());
}

async function inspect({ bundle, variants, samples, baseline, selfTest }: InspectTask): Promise<InspectResult> {
  const problems: Problem[] = [];
  let reference: Manifest["baseline"] = {};
  for (const [at, { name, file }] of bundle.variants.entries()) {
    const session = await openModel(variants[name] ?? "", `variants[${at}].file`, file);
    const differences = compareTensors(bundle.tensors, session.tensors());
    problems.push(...differences);
    if (differences.length === 0) {
      if (selfTest) problems.push(...(await selfTestProblems(session, bundle, samples, name)));
      if (at === 0 && baseline.length > 0 && problems.length === 0)
        reference = await measureBaseline(session, bundle, baseline);
    }
    await session.close();
  }
  if (problems.length > 0) {
    const failed = problems.every(({ field }) => field.startsWith("selfTest"));
    throw invalid(failed ? "bundle/self-test-failed" : "bundle/invalid", "the bundle", problems);
  }
  return { baseline: reference };
}

async function openModel(path: string, field: string, file: string): Promise<OnnxSession> {
  try {
    return await OnnxSession.load(path, { provider: "cpu", threads: 1 });
  } catch (cause) {
    const message = `'${file}' is no model ONNX Runtime can open; export it again (${messageOf(cause)})`;
    throw new MusterError("bundle/model-unreadable", `${field}: ${message}`, { cause, problems: [{ field, message }] });
  }
}

async function selfTestProblems(
  session: OnnxSession,
  bundle: InspectTask["bundle"],
  paths: readonly string[],
  variant: string,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const [at, { file, expect }] of bundle.selfTest.samples.entries()) {
    const field = `selfTest.samples[${at}]`;
    try {
      const { answer } = await ask(session, bundle, paths[at] ?? "");
      const fault = selfTestFault(answer, expect, bundle.selfTest.tolerance);
      if (fault !== undefined) problems.push({ field, message: `'${file}' on variant ${variant}: ${fault}` });
    } catch (error) {
      problems.push({ field: `${field}.file`, message: `'${file}': ${messageOf(error)}` });
    }
  }
  return problems;
}

async function measureBaseline(
  session: OnnxSession,
  bundle: InspectTask["bundle"],
  paths: readonly string[],
): Promise<Manifest["baseline"]> {
  const values: FeatureValues[] = [];
  for (const path of paths) {
    const { answer, features } = await ask(session, bundle, path);
    values.push(featureValues(features, answer));
  }
  return baselineOf(values, bundle.postprocess.labels, bundle.baseline?.bins ?? 10);
}

async function ask(session: OnnxSession, { preprocess, postprocess }: InspectTask["bundle"], path: string) {
  const pixels = await decodeImage(await readFile(path), preprocess);
  const { data } = await session.run(imageTensor(pixels, preprocess), imageShape(preprocess));
  const answer: Classification = classify(data, postprocess);
  return { answer, features: imageFeatures(pixels) };
}
