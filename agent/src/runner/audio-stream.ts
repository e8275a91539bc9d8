import { MusterError } from "@muster/shared";
import {
  type EventsAnswer,
  EventTracker,
  framesIn,
  type NamedTensor,
  type StreamForm,
  spanOf,
  streamForm,
} from "@muster/shared/inference";
import type { Inference } from "./inference.js";
import type { LoadedSlot } from "./loaded-slot.js";
import type { Slots } from "./slots.js";
import type { Answerer, Answers } from "./source.js";

/** What runs the pieces of streams. */
export interface StreamDeps {
  readonly slots: Pick<Slots, "serving">;
  readonly inference: Pick<Inference, "state" | "frames">;
}

/** What was heard in a piece of a stream; times are counted from the start of the stream. */
export interface StreamAnswer {
  readonly fromMs: number;
  readonly toMs: number;
  /** The highest score of each label. */
  readonly scores: Readonly<Record<string, number>>;
  /** Labels whose events go on at the end of the piece. */
  readonly active: readonly string[];
  /** Events that are over; they may have begun in pieces before. */
  readonly events: HeardEvent[];
}

/** An event, with the version that heard it where that is not the one of the answer. */
type HeardEvent = EventsAnswer["events"][number] & { readonly version?: string };

/** What a stream remembers between its pieces; it changes only when a piece was answered. */
interface Memory {
  readonly version: LoadedSlot;
  readonly form: StreamForm;
  readonly states: readonly NamedTensor[];
  /** Samples that are not done: the context of the next frame, and what of it has come. */
  readonly rest: Float32Array<ArrayBuffer>;
  readonly trackers: readonly EventTracker[];
}

/** One recording that goes on: pieces of float32 samples at the model's rate, each heard with what the ones before left. */
export class AudioStream implements Answerer {
  readonly #deps: StreamDeps;
  readonly #model: string;
  readonly #everyPiece: boolean;
  #memory: Memory | undefined;
  /** Samples since the start of the stream that no later frame begins before. */
  #position = 0;
  /** Events that ended where something was missing, or with the version, and were not told yet. */
  #over: { readonly event: HeardEvent; readonly version: string }[] = [];

  /** With `everyPiece` there is an answer also to a piece in which nothing is heard. */
  constructor(deps: StreamDeps, model: string, everyPiece: boolean) {
    this.#deps = deps;
    this.#model = model;
    this.#everyPiece = everyPiece;
  }

  state(model: string): ReturnType<Answerer["state"]> {
    return this.#deps.inference.state(model);
  }

  /** How the version that serves takes a stream. Throws `input/invalid` when it takes none, `runner/not-serving`, `model/unknown`. */
  form(): StreamForm {
    const { model, version, manifest } = this.#deps.slots.serving(this.#model).slot;
    const form = streamForm(manifest);
    if (form !== undefined) return form;
    const message = `${model} ${version} takes no stream: that needs the task audio-events and preprocess.frame`;
    throw new MusterError("input/invalid", message);
  }

  /** So many samples of the stream are missing: what comes is heard as after silence, at its own time. */
  skip(samples: number): void {
    this.#forget();
    this.#position += samples;
  }

  /** Begins a new recording at time 0. */
  restart(): void {
    this.#memory = undefined;
    this.#position = 0;
  }

  /**
   * Hears a piece; an empty one ends the recording. There is an answer when something is heard in its
   * whole frames, or was until then.
   * Nothing is forgotten or counted twice when it throws, so that the same piece can come again. Throws like
   * {@link Inference.frames}.
   */
  async answer(_model: string, bytes: Uint8Array): Promise<Answers> {
    const version = this.#deps.slots.serving(this.#model);
    const form = this.form();
    const memory = this.#memory?.version === version ? this.#memory : this.#begin(version, form);
    const ends = bytes.length === 0;
    const samples = ends ? filledUp(memory) : joined(memory.rest, floatsIn(bytes));
    const count = framesIn(form, samples.length);
    const told = { version: version.slot.version };
    if (count === 0) {
      this.#memory = { ...memory, rest: samples };
      return { ...told, answers: ends ? this.#end(memory) : [] };
    }
    const run = samples.slice(0, spanOf(form, count));
    const { scores, states } = await this.#deps.inference.frames(version, run, memory.states.map(copied));
    const rest = samples.slice(count * form.hop);
    this.#memory = { ...memory, states, rest };
    const answer = this.#heard(memory, scores, count);
    const whole = ends ? merged(answer, this.#end(memory)) : answer;
    return { ...told, answers: this.#everyPiece || isHeard(whole) ? [whole] : [] };
  }

  #begin(version: LoadedSlot, form: StreamForm): Memory {
    // Its states are not those of another version, but the time goes on.
    this.#forget();
    const frame = Math.ceil(this.#position / form.hop);
    this.#position = frame * form.hop;
    const { postprocess } = version.slot.manifest as { postprocess: ConstructorParameters<typeof EventTracker>[2] };
    const frameMs = (1000 * form.hop) / form.rate;
    return {
      ...{ version, form, states: [], rest: new Float32Array(form.context) },
      trackers: form.labels.map((label) => new EventTracker(label, frameMs, postprocess, frame)),
    };
  }

  #heard({ form, trackers, version }: Memory, scores: Float32Array, count: number): StreamAnswer {
    const { labels, hop, rate } = form;
    const fromMs = (1000 * this.#position) / rate;
    this.#position += count * hop;
    const of = (label: number) =>
      Array.from({ length: count }, (_, at) => scores[at * labels.length + label] as number);
    const events = [...this.#before(version), ...trackers.flatMap((tracker, label) => tracker.push(of(label)))];
    return {
      ...{ fromMs, toMs: (1000 * this.#position) / rate },
      scores: Object.fromEntries(labels.map((label, at) => [label, Math.max(...of(at))])),
      active: labels.filter((_, at) => trackers[at]?.active),
      events,
    };
  }

  /** What is still open ends with the recording. */
  #end({ trackers, form, version }: Memory): StreamAnswer[] {
    const events = [...this.#before(version), ...trackers.flatMap((tracker) => tracker.finish())];
    const nowMs = (1000 * this.#position) / form.rate;
    this.restart();
    return events.length === 0 ? [] : [{ fromMs: nowMs, toMs: nowMs, scores: {}, active: [], events }];
  }

  /** Events that ended before, to be told in an answer of this version. */
  #before({ slot }: LoadedSlot): HeardEvent[] {
    return this.#over.splice(0).map(({ event, version }) => (version === slot.version ? event : { ...event, version }));
  }

  #forget(): void {
    const memory = this.#memory;
    this.#memory = undefined;
    if (memory === undefined) return;
    // What has come of the frame that is not whole is lost with its context.
    this.#position += Math.max(0, memory.rest.length - memory.form.context);
    const { version } = memory.version.slot;
    this.#over.push(...memory.trackers.flatMap((tracker) => tracker.finish().map((event) => ({ event, version }))));
  }
}

function isHeard({ active, events }: StreamAnswer): boolean {
  return active.length > 0 || events.length > 0;
}

function merged(answer: StreamAnswer, [last]: readonly StreamAnswer[]): StreamAnswer {
  return last === undefined ? answer : { ...answer, active: [], events: [...answer.events, ...last.events] };
}

/** The rest as a whole frame, silence behind it; as it is when nothing of the frame has come. */
function filledUp({ rest, form }: Memory): Float32Array<ArrayBuffer> {
  // With frames that overlap, most of the rest was heard already.
  const heard = form.context + Math.max(0, form.size - form.hop);
  if (rest.length <= heard) return rest;
  const full = new Float32Array(spanOf(form, 1));
  full.set(rest);
  return full;
}

function joined(rest: Float32Array, more: Float32Array): Float32Array<ArrayBuffer> {
  const all = new Float32Array(rest.length + more.length);
  all.set(rest);
  all.set(more, rest.length);
  return all;
}

function floatsIn(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => view.getFloat32(at * 4, true));
}

/** What is handed to an engine thread is gone here, and a piece may have to come again. */
function copied(tensor: NamedTensor): NamedTensor {
  return { ...tensor, data: tensor.data.slice() as NamedTensor["data"] };
}
