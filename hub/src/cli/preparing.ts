import { formatBytes, type PushedVersion, VersionView } from "@muster/shared";
import type { ApiClient } from "./api-client.js";
import { ProgressBar } from "./progress.js";
import { route } from "./route.js";
import type { Session } from "./session.js";

const pollMs = 300;

/** Waits until the hub has made the shorter forms of a version for the link, and says what they save. */
export async function untilPrepared(api: ApiClient, pushed: PushedVersion, session: Session): Promise<void> {
  const { model, version } = pushed;
  let prepared = pushed.prepared;
  if (prepared === undefined) return;
  const bar = new ProgressBar(session.io.err, session.io.clock);
  let shown: VersionView | undefined;
  try {
    while (prepared < 1) {
      bar.draw(prepared, "making it small for the link");
      await session.io.clock.sleep(pollMs);
      shown = (await api.get(route`/v1/models/${model}/versions/${version}`, VersionView)).value;
      prepared = shown.prepared ?? 1;
    }
  } finally {
    bar.clear();
  }
  for (const line of shown === undefined ? [] : savings(shown)) session.note(line);
}

/** What each variant is on the link, where that is less than its size. */
export function savings({ manifest, encodings = [] }: VersionView): string[] {
  return manifest.variants.flatMap(({ name, artifact }) => {
    const hint = encodings.find((entry) => entry.artifact === artifact.sha256);
    if (hint === undefined) return [];
    const { deflatedBytes, deltas = [] } = hint;
    const smallest = Math.min(...deltas.map(({ delta }) => delta.sizeBytes));
    const parts = [
      ...(deflatedBytes === undefined ? [] : [`${formatBytes(deflatedBytes)} compressed`]),
      ...(deltas.length === 0 ? [] : [`${formatBytes(smallest)} for devices that have the version before`]),
    ];
    return [`${name}: ${formatBytes(artifact.sizeBytes)}, on the link ${parts.join(", ")}`];
  });
}
