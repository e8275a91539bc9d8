/** A count and what is counted, in the right number: `1 device`, `3 devices`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
