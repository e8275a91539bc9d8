import { z } from "zod";
import { invalid, type Problem } from "../errors.js";
import { ModelName, VersionName } from "../ids.js";
import { problemsOf } from "../schema.js";
import { readYaml } from "../yaml-text.js";
import { Budgets, ClassificationPostprocess, ImagePreprocess, Precision, Requirements, Tensors } from "./pipeline.js";

/** A file inside the bundle: relative, with forward slashes, never outside of the folder. */
const BundlePath = z
  .string()
  .min(1)
  .max(500)
  .refine(
    (path) => !path.startsWith("/") && !/^[A-Za-z]:|\\/.test(path),
    "must be relative to muster.yaml, with forward slashes",
  )
  .refine((path) => !path.split("/").includes(".."), "must stay inside the bundle; remove '..'");

const Variant = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,31}$/, "must be 1 to 32 of a-z 0-9 . _ -"),
  file: BundlePath,
  precision: Precision,
});

const Sample = z.strictObject({
  file: BundlePath,
  expect: z.strictObject({
    /** The class that must come out on top. */
    label: z.string().min(1),
    /** The whole output row, one number per class, each within the tolerance. */
    scores: z.array(z.number()).optional(),
  }),
});

const common = {
  name: ModelName,
  version: VersionName,
  variants: z.array(Variant).min(1, "needs at least one variant"),
  tensors: Tensors,
  selfTest: z.strictObject({
    /** How far each score may lie from the expected one. */
    tolerance: z.number().positive().max(1).default(0.05),
    samples: z.array(Sample).min(1, "needs at least one sample, so that a device can prove the model").max(64),
  }),
  budgets: Budgets.default({}),
  requires: Requirements.default({}),
  baseline: z
    .strictObject({
      /** A folder of reference inputs; drift is measured as the distance from them. */
      images: BundlePath,
      maxImages: z.int().min(20).max(10_000).default(2000),
      /** Bins per continuous feature, cut at equal shares of the reference. */
      bins: z.int().min(4).max(64).default(10),
    })
    .optional(),
  licence: z.string().min(1).max(200).optional(),
  metadata: z.record(z.string().max(100), z.union([z.string().max(2000), z.number(), z.boolean()])).default({}),
};

const ImageClassification = z.strictObject({
  task: z.literal("image-classification"),
  ...common,
  preprocess: ImagePreprocess,
  postprocess: ClassificationPostprocess,
});

/** The contents of `muster.yaml`. Every task is one member of the union. */
export const Bundle = z.discriminatedUnion("task", [ImageClassification], {
  error: ({ code }: { code: string }) =>
    code === "invalid_type"
      ? "must hold keys and values, first of all 'task: image-classification'"
      : "must be one of: image-classification",
});
export type Bundle = z.infer<typeof Bundle>;

/** What every task has, to check the rest of a bundle whose task is not known. */
const AnyTask = z.looseObject(common);

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

/** With an unknown task the union says nothing of the other fields; those that every task has are checked all the same. */
function allProblems(error: z.ZodError, value: unknown): Problem[] {
  const problems = problemsOf(error);
  const rest = problems.some(({ field }) => field === "task") ? AnyTask.safeParse(value).error : undefined;
  return rest === undefined ? problems : [...problems, ...problemsOf(rest)];
}

/** What the shape of single fields cannot say: fields that must agree with each other. */
function crossChecks(bundle: Bundle): Problem[] {
  return [...repeatedVariants(bundle), ...unknownLabels(bundle), ...tensorShapes(bundle)];
}

function repeatedVariants({ variants }: Bundle): Problem[] {
  return variants.flatMap(({ name }, at) =>
    variants.findIndex((other) => other.name === name) < at
      ? [{ field: `variants[${at}].name`, message: `'${name}' is used twice; give each variant its own name` }]
      : [],
  );
}

function unknownLabels({ selfTest, postprocess }: Bundle): Problem[] {
  const { labels } = postprocess;
  return selfTest.samples.flatMap(({ expect }, at) => {
    const found: Problem[] = [];
    if (!labels.includes(expect.label)) {
      const known = labels.slice(0, 10).join(", ");
      found.push({
        field: `selfTest.samples[${at}].expect.label`,
        message: `'${expect.label}' is not in postprocess.labels (${known})`,
      });
    }
    if (expect.scores !== undefined && expect.scores.length !== labels.length) {
      const message = `has ${expect.scores.length} numbers for ${labels.length} labels; give one per label`;
      found.push({ field: `selfTest.samples[${at}].expect.scores`, message });
    }
    return found;
  });
}

function tensorShapes({ tensors, preprocess, postprocess }: Bundle): Problem[] {
  const problems: Problem[] = [];
  const { width, height } = preprocess.resize;
  const wanted = preprocess.layout === "nchw" ? [3, height, width] : [height, width, 3];
  const [input] = tensors.inputs;
  if (tensors.inputs.length !== 1 || input === undefined) {
    problems.push({ field: "tensors.inputs", message: "an image classifier has exactly one input" });
  } else if (!fits(input.shape, ["n", ...wanted])) {
    const message = `is [${input.shape.join(", ")}], but preprocess makes [n, ${wanted.join(", ")}]; change one of them`;
    problems.push({ field: "tensors.inputs[0].shape", message });
  }
  if (input !== undefined && input.dtype !== preprocess.dtype) {
    problems.push({
      field: "tensors.inputs[0].dtype",
      message: `is ${input.dtype}, but preprocess.dtype is ${preprocess.dtype}`,
    });
  }
  const [output] = tensors.outputs;
  if (tensors.outputs.length !== 1 || output === undefined) {
    problems.push({ field: "tensors.outputs", message: "an image classifier has exactly one output" });
  } else if (!fits(output.shape, ["n", postprocess.labels.length])) {
    const message = `is [${output.shape.join(", ")}], but there are ${postprocess.labels.length} labels; expected [n, ${postprocess.labels.length}]`;
    problems.push({ field: "tensors.outputs[0].shape", message });
  }
  return problems;
}

/** Whether two shapes agree, a named dimension standing for any size. */
export function fits(shape: readonly (number | string)[], other: readonly (number | string)[]): boolean {
  return (
    shape.length === other.length &&
    shape.every((size, at) => typeof size === "string" || typeof other[at] === "string" || size === other[at])
  );
}
