import { MusterError } from "@muster/shared";
import type { Exchange } from "./exchange.js";
import { noRoute, type Reply } from "./reply.js";

/** A way to ask: a method, and a path whose parts in braces are open, as OpenAPI writes it. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Whether it answers without a token. */
  readonly open?: true;
  readonly answer: (exchange: Exchange) => Reply | Promise<Reply>;
}

/** A route and what the path fills it with. */
export interface Found {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/** Finds routes by method and path. */
export class RouteTable {
  readonly #routes: readonly { readonly route: Route; readonly parts: readonly string[] }[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({ route, parts: route.path.split("/") }));
  }

  /** Throws `request/not-found`, `request/method-not-allowed`. */
  find(method: string, url: string): Found {
    const path = url.split("?", 1)[0] ?? "";
    const parts = (path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path).split("/").map(decoded);
    const fitting = this.#routes.filter((one) => fits(one.parts, parts));
    const found = fitting.find(({ route }) => route.method === method || (method === "HEAD" && route.method === "GET"));
    if (found === undefined)
      throw noRoute(
        method,
        path,
        fitting.map(({ route }) => route.method),
      );
    const params: Record<string, string> = {};
    for (const [at, part] of found.parts.entries()) if (isOpen(part)) params[part.slice(1, -1)] = parts[at] ?? "";
    return { route: found.route, params };
  }
}

function fits(pattern: readonly string[], parts: readonly string[]): boolean {
  return pattern.length === parts.length && pattern.every((part, at) => isOpen(part) || part === parts[at]);
}

function isOpen(part: string): boolean {
  return part.startsWith("{");
}

function decoded(part: string): string {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new MusterError("request/invalid", `the path has '${part.slice(0, 50)}', which is no valid text`, { cause });
  }
}
