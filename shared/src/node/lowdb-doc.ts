import { type Adapter, Low } from "lowdb";
import type { z } from "zod";
import { MusterError } from "../errors.js";
import type { DocStore } from "../ports.js";
import { parseWith } from "../schema.js";
import { readIfThere, writeDurably } from "./durable-file.js";

/**
 * A JSON file as a document store: lowdb over an adapter that fsyncs, validated by the schema when
 * read. Reads after the first come from memory, as copies; writes queue behind each other.
 */
export class LowdbDoc<S extends z.ZodType> implements DocStore<z.output<S>> {
  readonly #low: Low<z.output<S>>;
  #loaded: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, schema: S, initial: z.output<S>) {
    this.#low = new Low(new DurableJson(path, schema), initial);
  }

  async read(): Promise<z.output<S>> {
    this.#loaded ??= this.#low.read();
    await this.#loaded;
    return structuredClone(this.#low.data);
  }

  async write(next: z.output<S>): Promise<void> {
    const copy = structuredClone(next);
    const turn = this.#writing.then(async () => {
      await this.read();
      const before = this.#low.data;
      this.#low.data = copy;
      try {
        await this.#low.write();
      } catch (error) {
        this.#low.data = before;
        throw error;
      }
    });
    this.#writing = turn.catch(() => undefined);
    return turn;
  }
}

class DurableJson<S extends z.ZodType> implements Adapter<z.output<S>> {
  readonly #path: string;
  readonly #schema: S;

  constructor(path: string, schema: S) {
    this.#path = path;
    this.#schema = schema;
  }

  async read(): Promise<z.output<S> | null> {
    const text = await readIfThere(this.#path);
    if (text === undefined) return null;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new MusterError("store/damaged", `${this.#path} is not JSON; restore it or move it away`, { cause });
    }
    return parseWith(this.#schema, value, "store/damaged", this.#path);
  }

  async write(data: z.output<S>): Promise<void> {
    await writeDurably(this.#path, JSON.stringify(data, undefined, 1));
  }
}
