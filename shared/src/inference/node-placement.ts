import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

/** Nodes of a model per execution provider, as they were really run. */
export type NodePlacement = Readonly<Record<string, number>>;

const Events = z.array(z.object({ cat: z.string(), args: z.object({ provider: z.string().optional() }).optional() }));

/**
 * Reads where the nodes of a model ran out of ONNX Runtime's profile of it, a JSON array of trace events. Throws when it
 * is none.
 */
export function placementOf(profile: string): NodePlacement {
  const counts: Record<string, number> = {};
  for (const { cat, args } of Events.parse(JSON.parse(profile))) {
    if (cat !== "Node" || args?.provider === undefined) continue;
    const provider = args.provider.replace(/ExecutionProvider$/, "").toLowerCase();
    counts[provider] = (counts[provider] ?? 0) + 1;
  }
  return counts;
}

/**
 * Where a session that was asked to run on a provider really runs: there, if it took any node, else where the most nodes
 * went. A few nodes on the processor beside a GPU are usual (shapes) and no fall.
 */
export function actualProvider(requested: string, placement: NodePlacement): string {
  if ((placement[requested] ?? 0) > 0) return requested;
  const [most] = Object.entries(placement).sort(([, a], [, b]) => b - a);
  return most?.[0] ?? requested;
}

/** A folder for one profile. */
export class ProfileFolder {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<ProfileFolder> {
    return new ProfileFolder(await mkdtemp(join(tmpdir(), "muster-profile-")));
  }

  /** What ONNX Runtime is to begin the file's name with. */
  get prefix(): string {
    return join(this.#folder, "profile");
  }

  /** Reads the profile that was ended, and removes the folder. */
  async take(): Promise<NodePlacement> {
    try {
      const [name = "no profile"] = await readdir(this.#folder);
      return placementOf(await readFile(join(this.#folder, name), "utf8"));
    } finally {
      await this.remove();
    }
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
