import type { Answer, AnswerBox } from "@muster/shared/inference";

/** Boxes that cover each other by this share of what both cover are the same. */
const sameBox = 0.5;
/** Shares of a picture, or scores, that differ by no more than this are the same. */
const closeShare = 0.05;
/** Numbers that differ by no more than this share of the larger are the same. */
const closeNumber = 0.05;

/**
 * Whether two versions say the same of one input: the same class, text, verdict or order of events; boxes of the same kind in
 * the same places; numbers close to each other. How sure they are does not matter.
 */
export function agree(one: Answer, other: Answer): boolean {
  if ("label" in one) return "label" in other && one.label === other.label;
  if ("objects" in one) return "objects" in other && sameBoxes(one.objects, other.objects);
  if ("boxes" in one) return "boxes" in other && sameBoxes(one.boxes, other.boxes);
  if ("text" in one) return "text" in other && one.text === other.text;
  if ("anomaly" in one) return "anomaly" in other && one.anomaly === other.anomaly;
  if ("shares" in one) return "shares" in other && closeRecords(one.shares, other.shares, closeShares);
  if ("values" in one) return "values" in other && closeRecords(one.values, other.values, closeNumbers);
  if ("events" in one) {
    const labels = (events: readonly { readonly label: string }[]) => events.map(({ label }) => label).join("\n");
    return "events" in other && labels(one.events) === labels(other.events);
  }
  return "outputs" in other && one.outputs.every(({ data }, at) => closeArrays(data, other.outputs[at]?.data ?? []));
}

interface Boxed {
  readonly label?: string;
  readonly box: AnswerBox;
}

function sameBoxes(ones: readonly Boxed[], others: readonly Boxed[]): boolean {
  if (ones.length !== others.length) return false;
  const left = [...others];
  return ones.every(({ label, box }) => {
    const at = left.findIndex((other) => other.label === label && overlap(box, other.box) >= sameBox);
    return at !== -1 && left.splice(at, 1).length === 1;
  });
}

/** Intersection over union. */
function overlap(a: AnswerBox, b: AnswerBox): number {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  if (width <= 0 || height <= 0) return 0;
  return (width * height) / (a.width * a.height + b.width * b.height - width * height);
}

type Numbers = Readonly<Record<string, number>>;

function closeRecords(one: Numbers, other: Numbers, close: (a: number, b: number) => boolean): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].every((name) => close(one[name] ?? 0, other[name] ?? 0));
}

function closeArrays(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((value, at) => closeNumbers(value, other[at] ?? Number.NaN));
}

function closeShares(a: number, b: number): boolean {
  return Math.abs(a - b) <= closeShare;
}

function closeNumbers(a: number, b: number): boolean {
  return Math.abs(a - b) <= closeNumber * Math.max(Math.abs(a), Math.abs(b), 1e-3);
}
