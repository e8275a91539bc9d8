import { availableParallelism } from "node:os";
import { benchModels } from "./inference-models.js";
import { type Asked, askedOf, type Party, withParty, workers } from "./inference-party.js";
import type { Load, LoadResult } from "./load-process.js";
import { type Comparisons, comparisonsText, median } from "./measure.js";

const cores = availableParallelism();
const saturating = 4 * cores;

/** One request after the other: what HTTP, queue and threads add to the bare libraries, and what they add in a plain server. */
export async function benchLatency(rounds = 9): Promise<string> {
  const rows: Comparisons[] = [];
  const added: string[] = [];
  for (const model of benchModels()) {
    await withParty(model, 1, async (party) => {
      for (const asked of await askedOf(model)) {
        const seen = await inTurn(rounds, waysOf(party, asked, { clients: 1, count: model.perRound }));
        const [middle, quietest] = [median, least].map((pick) => figuresOf(seen, pick, p50)) as [Figures, Figures];
        rows.push({ what: `${model.name}, ${asked.what}: p50`, ...middle, unit: "ms" });
        rows.push({ what: "  in the quietest round", ...quietest, unit: "ms" });
        if (asked.work.tensor !== undefined) added.push(`${model.name} ${moreOf(middle)} ms (${moreOf(quietest)})`);
      }
    });
  }
  const title = [
    "Inference by HTTP, one request at a time; all three take turns. Bare libraries: sharp and onnxruntime-node called in a loop,",
    "without HTTP. Plain server: the same calls behind node:http in one process, raw bytes where tensors are asked for.",
  ].join("\n");
  const more = `  more than session.run for a binary tensor (in the quietest round): ${added.join(", ")}`;
  return `${comparisonsText(title, ["bare libraries", "plain server"], rows)}\n${more}`;
}

/**
 * Answers per second with more clients than the machine has cores. The clients work on the same cores, and the bare libraries
 * have none; so the same is given for the processor time that the clients left.
 */
export async function benchSaturation(rounds = 9): Promise<string> {
  const rows: Comparisons[] = [];
  for (const model of benchModels()) {
    await withParty(model, cores, async (party) => {
      for (const asked of await askedOf(model)) {
        const seen = await inTurn(rounds, waysOf(party, asked, { clients: saturating, count: model.perRound * cores }));
        rows.push({ what: `${model.name}, ${asked.what}`, ...figuresOf(seen, median, perSecond), unit: "1/s" });
        rows.push({ what: "  in the quietest round", ...figuresOf(seen, most, perSecond), unit: "1/s" });
        const { ours, others } = figuresOf(seen, median, perSecondLeft);
        const bare = median(seen.bare.map(perSecond));
        rows.push({ what: "  in the time that clients left", ours, others: [bare, ...others.slice(1)], unit: "1/s" });
      }
    });
  }
  const title = `Inference at saturation, ${saturating} clients on the same ${cores} cores; all three take turns, Muster with ${workers} sessions`;
  return comparisonsText(title, [`${cores} processes of bare libraries`, `${cores} plain servers`], rows);
}

/** What takes turns. */
interface Ways<T> {
  readonly ours: T;
  readonly bare: T;
  readonly plain: T;
}

/** The same work in three ways; the bare processes share it. */
function waysOf(
  { url, plainUrls, bare, load }: Party,
  { request, plainRequest, work }: Asked,
  { clients, count }: Pick<Load, "clients" | "count">,
): Ways<() => Promise<LoadResult>> {
  const ask = (urls: readonly string[], requests: readonly Buffer[]) =>
    load.ask<LoadResult>({ urls, requests, clients, count } satisfies Load);
  const each = { ...work, count: count / bare.length };
  return {
    ours: () => ask([url], request(url)),
    bare: async () => together(await Promise.all(bare.map((one) => one.ask<LoadResult>(each)))),
    plain: () => ask(plainUrls, plainRequest(plainUrls[0] ?? "")),
  };
}

/** Lets all take turns; the first round does not count. */
async function inTurn(rounds: number, ways: Ways<() => Promise<LoadResult>>): Promise<Ways<LoadResult[]>> {
  const seen: Ways<LoadResult[]> = { ours: [], bare: [], plain: [] };
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of ["ours", "bare", "plain"] as const) {
      const result = await ways[name]();
      if (round > 0) seen[name].push(result);
    }
  }
  return seen;
}

type Figures = Pick<Comparisons, "ours" | "others">;

function figuresOf(
  { ours, bare, plain }: Ways<readonly LoadResult[]>,
  pick: (values: readonly number[]) => number,
  figure: (result: LoadResult) => number,
): Figures {
  const of = (results: readonly LoadResult[]) => pick(results.map(figure));
  return { ours: of(ours), others: [of(bare), of(plain)] };
}

/** What ours takes more than the bare libraries. */
function moreOf({ ours, others: [bare = Number.NaN] }: Figures): string {
  return (ours - bare).toFixed(3);
}

function least(values: readonly number[]): number {
  return Math.min(...values);
}

function most(values: readonly number[]): number {
  return Math.max(...values);
}

function together(results: readonly LoadResult[]): LoadResult {
  return {
    timesMs: results.flatMap(({ timesMs }) => timesMs),
    wallMs: Math.max(...results.map(({ wallMs }) => wallMs)),
    cpuMs: results.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
  };
}

function p50({ timesMs }: LoadResult): number {
  return median(timesMs);
}

function perSecond({ timesMs, wallMs }: LoadResult): number {
  return (timesMs.length * 1000) / wallMs;
}

function perSecondLeft({ timesMs, wallMs, cpuMs }: LoadResult): number {
  return (timesMs.length * 1000) / (wallMs - cpuMs / cores);
}
