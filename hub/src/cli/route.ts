/** A path of the API with every value in it encoded: `` route`/v1/devices/${id}` ``. */
export function route(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return String.raw({ raw: parts }, ...values.map(encodeURIComponent));
}
