import { outputOf } from "../../model/postprocess/output.js";
import type { Mask, MaskExpectation, SegmentationPostprocess } from "../../model/postprocess/segmentation.js";
import type { Tensors } from "../../model/tensors.js";
import type { MaskAnswer } from "../answer.js";
import type { DecodedInput } from "../decoded-input.js";
import type { NamedTensor } from "../named-tensor.js";
import type { OutputSide } from "../pipeline.js";
import { soundFloats } from "./check-number.js";
import type { OverlapLimits } from "./detection.js";
import { classesFromRuns, type Grid, maskOverlap, runsOf, within } from "./mask.js";

/** A class for every pixel of the part of the picture that was used. */
export function segmentationOutput(
  spec: SegmentationPostprocess,
  tensors: Tensors,
): OutputSide<MaskExpectation, OverlapLimits> {
  const name = outputOf(tensors, spec.output)?.name ?? "";
  const { labels } = spec;
  const shareName = (label: string) => `share.${label}`;
  // Telemetry would drown in the shares of a hundred classes.
  const watched = labels.slice(0, 32);
  return {
    featureKinds: { ...Object.fromEntries(watched.map((label) => [shareName(label), "number"])), class: labels },
    read([outputs = []], input) {
      const grid = usedPart(classGrid(outputs, name, spec), input);
      const counts = new Array<number>(labels.length).fill(0);
      for (const klass of grid.classes) counts[klass] = (counts[klass] ?? 0) + 1;
      const shares = Object.fromEntries(labels.map((label, at) => [label, (counts[at] ?? 0) / grid.classes.length]));
      const largest = labels[counts.indexOf(Math.max(...counts))] ?? "";
      const mask: Mask = { width: grid.width, height: grid.height, runs: runsOf(grid.classes) };
      return {
        answer: { shares, mask },
        label: largest,
        features: {
          ...Object.fromEntries(watched.map((label) => [shareName(label), shares[label] ?? 0])),
          class: largest,
        },
        fault: (expected, limits) => maskFault(shares, grid, expected, limits),
      };
    },
  };
}

/** The class of every pixel of the model's map. */
function classGrid(outputs: readonly NamedTensor[], name: string, spec: SegmentationPostprocess): Grid {
  const data = soundFloats(outputs, name);
  const shape = outputs.find((one) => one.name === name)?.shape ?? [];
  const channelsLast = spec.layout === "nhwc" && shape.length === 4;
  const [height = 1, width = 1] = channelsLast ? shape.slice(1, 3) : shape.slice(-2);
  const pixels = width * height;
  const classes = new Uint8Array(pixels);
  if (spec.format === "best-class") {
    const count = spec.labels.length;
    const [step, plane] = channelsLast ? [count, 1] : [1, pixels];
    for (let at = 0; at < pixels; at += 1) {
      let best = 0;
      for (let c = 1; c < count; c += 1) {
        if ((data[at * step + c * plane] as number) > (data[at * step + best * plane] as number)) best = c;
      }
      classes[at] = best;
    }
  } else if (spec.format === "threshold") {
    // The logistic function rises everywhere, so the threshold is turned back instead of every pixel.
    const limit = spec.sigmoid ? Math.log(spec.threshold / (1 - spec.threshold)) : spec.threshold;
    for (let at = 0; at < pixels; at += 1) classes[at] = (data[at] as number) >= limit ? 1 : 0;
  } else {
    for (let at = 0; at < pixels; at += 1)
      classes[at] = Math.min(spec.labels.length - 1, Math.max(0, data[at] as number));
  }
  return { width, height, classes };
}

/** The map without what lies over padding. */
function usedPart(grid: Grid, input: DecodedInput): Grid {
  const placement = input.kind === "image" ? input.placement : undefined;
  if (placement === undefined) return grid;
  const { to, tensor } = placement;
  const [sx, sy] = [grid.width / tensor.width, grid.height / tensor.height];
  const edge = (pixels: number, most: number) => Math.max(0, Math.min(most, Math.round(pixels)));
  const left = edge(to.left * sx, grid.width - 1);
  const top = edge(to.top * sy, grid.height - 1);
  const right = Math.max(left + 1, edge((to.left + to.width) * sx, grid.width));
  const bottom = Math.max(top + 1, edge((to.top + to.height) * sy, grid.height));
  return within(grid, { left, top, width: right - left, height: bottom - top });
}

function maskFault(
  shares: MaskAnswer["shares"],
  grid: Grid,
  expected: MaskExpectation,
  { tolerance, minIou }: OverlapLimits,
): string | undefined {
  for (const [label, share] of Object.entries(expected.shares ?? {})) {
    const found = shares[label] ?? 0;
    if (!(Math.abs(found - share) <= tolerance)) {
      return `'${label}' covers ${found.toFixed(3)} of the picture, expected ${share.toFixed(3)} ± ${tolerance}`;
    }
  }
  const { mask } = expected;
  if (mask === undefined) return undefined;
  if (mask.width !== grid.width || mask.height !== grid.height) {
    return `the mask has ${grid.width}×${grid.height} pixels, expected ${mask.width}×${mask.height}`;
  }
  const iou = maskOverlap(grid.classes, classesFromRuns(mask));
  return iou >= minIou
    ? undefined
    : `the mask overlaps the expected one by ${iou.toFixed(3)}, at least ${minIou} is wanted`;
}
