import { type Labels, MusterError, type WaveSize } from "@muster/shared";

/** One condition of a selector. */
type Term =
  | { readonly is: "equal" | "different"; readonly key: string; readonly value: string }
  | { readonly is: "present" | "absent"; readonly key: string };

/** A parsed label expression: every term must hold. */
export type Selector = readonly Term[];

const key = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;
const value = /^[A-Za-z0-9._-]{0,63}$/;

/**
 * Reads an expression such as `site=lyon,line!=3,camera,!retired`: equal, different (also true when
 * the label is missing), present, absent. Empty selects every device. The device's name is the label
 * `device`. Throws `selector/invalid` naming the term.
 */
export function parseSelector(text: string): Selector {
  return text
    .split(",")
    .map((term) => term.trim())
    .filter((term) => term !== "")
    .map(parseTerm);
}

/** Whether a device is selected. */
export function selects(selector: Selector, device: string, labels: Labels): boolean {
  return selector.every((term) =>
    holds(term, term.key === "device" ? device : Object.hasOwn(labels, term.key) ? labels[term.key] : undefined),
  );
}

function holds(term: Term, actual: string | undefined): boolean {
  switch (term.is) {
    case "equal":
      return actual === term.value;
    case "different":
      return actual !== term.value;
    case "present":
      return actual !== undefined;
    case "absent":
      return actual === undefined;
  }
}

/**
 * The devices in waves: each size counts with the waves before it, percentages round up, the last
 * wave takes all that are left. Order is by a hash of device and seed, so that no device is always
 * the first victim and a repeated plan gives the same waves. Empty waves are left out.
 */
export function planWaves(devices: readonly string[], sizes: readonly WaveSize[], seed: string): string[][] {
  const ordered = [...devices].sort((a, b) => hash(`${seed}/${a}`) - hash(`${seed}/${b}`) || (a < b ? -1 : 1));
  const waves: string[][] = [];
  let taken = 0;
  sizes.forEach((size, at) => {
    const wanted = "devices" in size ? size.devices : Math.ceil((size.percent / 100) * ordered.length);
    const until = at === sizes.length - 1 ? ordered.length : Math.max(taken, Math.min(ordered.length, wanted));
    if (until > taken) waves.push(ordered.slice(taken, until));
    taken = until;
  });
  return waves;
}

function parseTerm(term: string): Term {
  const [, negated, only] = /^(!?)([^=!]+)$/.exec(term) ?? [];
  if (only !== undefined && key.test(only.trim()))
    return { is: negated === "!" ? "absent" : "present", key: only.trim() };
  const [, name, operator, wanted] = /^([^=!]+)(=|==|!=)([^=!]*)$/.exec(term) ?? [];
  if (name === undefined || wanted === undefined || !key.test(name.trim()) || !value.test(wanted.trim())) {
    throw new MusterError(
      "selector/invalid",
      `selector term '${term}' cannot be read; write key=value, key!=value, key or !key`,
    );
  }
  return { is: operator === "!=" ? "different" : "equal", key: name.trim(), value: wanted.trim() };
}

/** FNV-1a, 32 bits: spreads well enough to order a fleet, and is the same everywhere. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  }
  // A final mix (murmur3), because FNV leaves neighbours of similar names close together.
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
