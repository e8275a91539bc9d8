import { z } from "zod";
import { invalid, messageOf, type Problem } from "../errors.js";
import { ModelName, VersionName } from "../ids.js";
import { problemsOf } from "../schema.js";
import { readYaml } from "../yaml-text.js";
import { Batching, batchingProblems } from "./batching.js";
import { BundlePath } from "./bundle-path.js";
import { labelFileOf, labelSourceProblems, parseLabelFile, withLabels } from "./label-file.js";
import { Budgets, Precision, Requirements } from "./promises.js";
import { taskProblems } from "./task-problems.js";
import { type TaskSchema, taskNames, tasks } from "./tasks.js";
import { Tensors } from "./tensors.js";

const Variant = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,31}$/, "must be 1 to 32 of a-z 0-9 . _ -"),
  file: BundlePath,
  precision: Precision,
});

const common = {
  name: ModelName,
  version: VersionName,
  variants: z.array(Variant).min(1, "needs at least one variant"),
  tensors: Tensors,
  budgets: Budgets.default({}),
  batching: Batching.optional(),
  requires: Requirements.default({}),
  baseline: z
    .strictObject({
      /** A folder of reference inputs; drift is measured as the distance from them. */
      images: BundlePath.optional(),
      /** The same for inputs that are not pictures. */
      inputs: BundlePath.optional(),
      /** How many files are used, pictures or not. */
      maxImages: z.int().min(20).max(10_000).default(2000),
      /** Bins per continuous feature, cut at equal shares of the reference. */
      bins: z.int().min(4).max(64).default(10),
    })
    .optional(),
  licence: z.string().min(1).max(200).optional(),
  metadata: z.record(z.string().max(100), z.union([z.string().max(2000), z.number(), z.boolean()])).default({}),
};

function selfTestOf<Expect extends z.ZodType, Limits extends z.ZodRawShape>(expect: Expect, limits: Limits) {
  const samples = z.array(z.strictObject({ file: BundlePath, expect }));
  const enough = samples.min(1, "needs at least one sample, so that a device can prove the model").max(64);
  return z.strictObject({ ...limits, samples: enough });
}

function bundleOf<
  T extends string,
  Pre extends z.ZodType,
  Post extends z.ZodType,
  Expect extends z.ZodRawShape,
  Limits extends z.ZodRawShape,
>({ task, preprocess, postprocess, expectation, limits }: TaskSchema<T, Pre, Post, Expect, Limits>) {
  const selfTest = selfTestOf(z.strictObject(expectation), limits);
  return z.strictObject({ task: z.literal(task), ...common, preprocess, postprocess, selfTest });
}

/** The contents of `muster.yaml`. Every task is one member of the union. */
export const Bundle = z.discriminatedUnion(
  "task",
  [
    bundleOf(tasks.imageClassification),
    bundleOf(tasks.objectDetection),
    bundleOf(tasks.textDetection),
    bundleOf(tasks.textRecognition),
    bundleOf(tasks.segmentation),
    bundleOf(tasks.classification),
    bundleOf(tasks.regression),
    bundleOf(tasks.anomaly),
    bundleOf(tasks.audioEvents),
    bundleOf(tasks.raw),
  ],
  {
    error: ({ code }: { code: string }) =>
      code === "invalid_type"
        ? "must hold keys and values, first of all 'task: image-classification'"
        : `must be one of: ${taskNames.join(", ")}`,
  },
);
export type Bundle = z.infer<typeof Bundle>;
/** The bundle of one task. */
export type BundleOf<T extends Bundle["task"]> = Extract<Bundle, { task: T }>;

/** What every task has, to check the rest of a bundle whose task is not known. */
const AnyTask = z.looseObject({ ...common, selfTest: selfTestOf(z.unknown(), {}).loose() });

/** The name of the file that makes a folder a bundle. */
export const bundleFileName = "muster.yaml";

/**
 * Reads the text of a `muster.yaml`. Throws `bundle/invalid` with every problem at once,
 * each naming its field and, where the text has it, its line.
 */
export function parseBundle(text: string): Bundle {
  const { value, problems: unreadable, lineOf } = readYaml(text);
  if (unreadable.length > 0) throw invalid("bundle/invalid", bundleFileName, unreadable);
  const result = Bundle.safeParse(value);
  const problems = result.success ? crossChecks(result.data) : allProblems(result.error, value);
  if (!result.success || problems.length > 0) throw invalid("bundle/invalid", bundleFileName, problems.map(withLine));
  return result.data;

  function withLine(problem: Problem): Problem {
    const line = lineOf(problem.field);
    return line === undefined ? problem : { ...problem, message: `${problem.message} (line ${line})` };
  }
}

/**
 * A bundle with the labels of the file that it names, checked as if they stood in it; a bundle that names none as it is.
 * Throws `bundle/invalid` with every problem.
 */
export function bundleWithLabels(bundle: Bundle, bytes: Uint8Array): Bundle {
  const file = labelFileOf(bundle);
  if (file === undefined) return bundle;
  const result = Bundle.safeParse(withLabels(bundle, labelsOf(file, bytes)));
  const problems = result.success ? taskProblems(result.data) : problemsOf(result.error);
  if (!result.success || problems.length > 0) {
    throw invalid(
      "bundle/invalid",
      bundleFileName,
      problems.map((problem) => inFile(file, problem)),
    );
  }
  return result.data;
}

function labelsOf(file: string, bytes: Uint8Array): string[] {
  try {
    return parseLabelFile(bytes);
  } catch (error) {
    const problem = { field: "postprocess.labelsFile", message: `'${file}' ${messageOf(error)}` };
    throw invalid("bundle/invalid", bundleFileName, [problem]);
  }
}

/** A problem of labels as one of their file: the number of a label is that of its line. */
function inFile(file: string, problem: Problem): Problem {
  const [, at] = /^postprocess\.labels(?:\[(\d+)\])?$/.exec(problem.field) ?? [];
  if (!problem.field.startsWith("postprocess.labels")) return problem;
  const line = at === undefined ? "" : ` line ${Number(at) + 1}`;
  return { field: "postprocess.labelsFile", message: `'${file}'${line}: ${problem.message}` };
}

/** With an unknown task the union says nothing of the other fields; those that every task has are checked all the same. */
function allProblems(error: z.ZodError, value: unknown): Problem[] {
  const problems = problemsOf(error);
  const rest = problems.some(({ field }) => field === "task") ? AnyTask.safeParse(value).error : undefined;
  return rest === undefined ? problems : [...problems, ...problemsOf(rest)];
}

/** What the shape of single fields cannot say: fields that must agree with each other. */
function crossChecks(bundle: Bundle): Problem[] {
  return [
    ...repeatedVariants(bundle),
    ...oneReference(bundle),
    ...batchingProblems(bundle),
    ...labelSourceProblems(bundle),
    ...taskProblems(bundle),
  ];
}

function repeatedVariants({ variants }: Bundle): Problem[] {
  return variants.flatMap(({ name }, at) =>
    variants.findIndex((other) => other.name === name) < at
      ? [{ field: `variants[${at}].name`, message: `'${name}' is used twice; give each variant its own name` }]
      : [],
  );
}

function oneReference({ baseline }: Bundle): Problem[] {
  if (baseline === undefined || (baseline.images === undefined) !== (baseline.inputs === undefined)) return [];
  return [{ field: "baseline.inputs", message: "give one folder of reference inputs: inputs, or images for pictures" }];
}
