import { readFile } from "node:fs/promises";
import {
  asMusterError,
  invalid,
  type Manifest,
  MusterError,
  messageOf,
  minReferenceInputs,
  type Problem,
  referencesOf,
} from "@muster/shared";
import {
  compareTensors,
  type FeatureValues,
  OnnxSession,
  onlyInput,
  pipelineOf,
  runInputs,
} from "@muster/shared/inference";
import type { InspectResult, InspectTask } from "../ports.js";
import { fixedBatchProblems, fullBatchProblems } from "./batch-check.js";

/** What this process answers its parent with. */
export type InspectAnswer =
  | { readonly ok: true; readonly result: InspectResult }
  | { readonly ok: false; readonly code: string; readonly message: string; readonly problems: readonly Problem[] };

/** More inputs make a reference no better, only the push slower. */
const maxValues = 10_000;

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
    const actual = session.tensors();
    const differences = [...compareTensors(bundle.tensors, actual), ...fixedBatchProblems(bundle.tensors, actual)];
    problems.push(...differences);
    if (differences.length === 0) {
      const failed = selfTest ? await selfTestProblems(session, bundle, samples, name) : [];
      problems.push(...failed);
      if (selfTest && failed.length === 0) problems.push(...(await fullBatchProblems(session, bundle, samples, name)));
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
  const pipeline = pipelineOf(bundle);
  const problems: Problem[] = [];
  for (const [at, { file, expect }] of bundle.selfTest.samples.entries()) {
    const field = `selfTest.samples[${at}]`;
    try {
      const input = onlyInput(await pipeline.decode(await readFile(paths[at] ?? "")));
      const { readings } = await runInputs(session, pipeline, bundle.tensors, [input]);
      const fault = readings[0]?.fault(expect, bundle.selfTest);
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
  const pipeline = pipelineOf(bundle);
  const values: FeatureValues[] = [];
  for (const path of paths) {
    const { inputs } = await pipeline.decode(await readFile(path));
    // One at a time: a table may hold thousands, and all their tensors at once would fill the memory.
    for (const input of inputs.slice(0, maxValues - values.length)) {
      const { readings } = await runInputs(session, pipeline, bundle.tensors, [input]);
      values.push(...readings.map((reading) => reading.features()));
    }
  }
  if (values.length < minReferenceInputs) {
    const field = referencesOf(bundle)?.field ?? "baseline";
    const message = `the files hold ${values.length} inputs; at least ${minReferenceInputs} are needed to compare with`;
    throw invalid("bundle/invalid", "the bundle", [{ field, message }]);
  }
  return pipeline.baselineOf(values, bundle.baseline?.bins ?? 10);
}
