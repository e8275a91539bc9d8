/** How urgent an input is, most urgent first. */
export const priorities = ["high", "normal", "low"] as const;
export type Priority = (typeof priorities)[number];

/** Something that waits for a place. */
export interface Waiting {
  readonly priority: Priority;
  /** When it joined the line, on the clock that `now` is read from. */
  readonly sinceMs: number;
  /** Inputs it holds. */
  readonly rows: number;
  /** Those of one key may share a run; what has none runs alone. */
  readonly batchKey?: string | undefined;
}

/** When inputs share a run. */
export interface BatchRule {
  /** Inputs in one run at most; 1 for none that is shared. */
  readonly maxRows: number;
  /** How long an input may wait for others although a place is free. */
  readonly maxDelayMs: number;
}

/** What to do with a free place: let these run together, or look again later. */
export type Next<T> =
  | { readonly do: "run"; readonly items: readonly T[] }
  | { readonly do: "wait"; readonly ms: number };

/** What waits, the urgent first, and else in the order in which it came. */
export class Line<T extends Waiting> {
  readonly #classes: Readonly<Record<Priority, Set<T>>> = { high: new Set(), normal: new Set(), low: new Set() };

  get length(): number {
    return priorities.reduce((sum, priority) => sum + this.#classes[priority].size, 0);
  }

  add(item: T): void {
    this.#classes[item.priority].add(item);
  }

  /** Takes an item out, wherever it stands; false when it does not wait any more. */
  remove(item: T): boolean {
    return this.#classes[item.priority].delete(item);
  }

  /** Who has to give way to something of this urgency when the line is full: the last of the least urgent below it. */
  weakerThan(priority: Priority): T | undefined {
    const weaker = priorities.slice(priorities.indexOf(priority) + 1).reverse();
    return weaker.flatMap((one) => [...this.#classes[one]].slice(-1))[0];
  }

  /**
   * What runs next when `places` are free, or undefined when nothing waits. What shares a run is spread over the free
   * places, because one long run beside an idle place is slower than two short ones.
   */
  next(rule: BatchRule, places: number, nowMs: number): Next<T> | undefined {
    const [head] = this.#inOrder();
    if (head === undefined) return undefined;
    const items = this.#batchOf(head, rule.maxRows, places);
    const rows = rowsOf(items);
    const waitMs = Math.min(...items.map(({ sinceMs }) => sinceMs)) + rule.maxDelayMs - nowMs;
    if (head.batchKey !== undefined && rows < rule.maxRows && waitMs > 0) return { do: "wait", ms: waitMs };
    for (const item of items) this.remove(item);
    return { do: "run", items };
  }

  #batchOf(head: T, maxRows: number, places: number): T[] {
    const items = [head];
    if (head.batchKey === undefined || maxRows <= head.rows) return items;
    const alike = [...this.#inOrder()].filter(({ batchKey }) => batchKey === head.batchKey);
    const share = Math.min(maxRows, Math.ceil(rowsOf(alike) / places));
    let rows = head.rows;
    for (const item of alike.slice(1)) {
      if (rows + item.rows > share) break;
      rows += item.rows;
      items.push(item);
    }
    return items;
  }

  *#inOrder(): Generator<T> {
    for (const priority of priorities) yield* this.#classes[priority];
  }
}

function rowsOf(items: readonly Waiting[]): number {
  return items.reduce((sum, { rows }) => sum + rows, 0);
}
