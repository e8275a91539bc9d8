import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { open, readFile, rm } from "node:fs/promises";
import { get } from "node:https";
import { join } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { connect } from "node:tls";
import { nothing } from "./quiet.js";
import { newDevice } from "./transfer-device.js";
import type { Place } from "./transfers.js";

/** A way of getting the file, and the process that gives it away so. */
export interface Way {
  readonly kind: "mqtt" | "https" | "tls";
  /** Makes ready for one fetch; neither that nor closing is in the figures. `round` names it. */
  begin(port: number, round: number): Promise<Ready>;
}

export interface Ready {
  fetch(): Promise<unknown>;
  close(): Promise<unknown>;
}

/** The artifact over a connection that stands, and lanes where they pay, into an empty shelf. */
export function overMqtt(place: Place, name = "bench", lanes?: number): Way {
  return {
    kind: "mqtt",
    begin: (port, round) => newDevice(place, port, name, `${name}-${round}`, lanes),
  };
}

/** The file by HTTPS, stored as a careful download script does. */
export function overHttps(place: Place, name = "https"): Way {
  return downloading(place, "https", name, async (port, ca) => {
    const [response] = await once(get({ host: "127.0.0.1", port, ca, agent: false }), "response");
    return response as Readable;
  });
}

/** The file over a bare TLS socket, stored likewise. */
export function overTls(place: Place): Way {
  return downloading(place, "tls", "tls", async (port, ca) => connect({ host: "127.0.0.1", port, ca }));
}

function downloading(
  place: Place,
  kind: Way["kind"],
  name: string,
  open: (port: number, ca: Buffer) => Promise<Readable>,
): Way {
  return {
    kind,
    begin: async (port, round) => {
      const ca = await readFile(join(place.folder, "identity", "ca.crt.pem"));
      return {
        fetch: async () => store(place, await open(port, ca), `${name}-${round}`),
        close: async () => nothing(),
      };
    },
  };
}

/** The same way for many devices at once. */
export function many(way: (at: number) => Way, count: number): Way {
  const { kind } = way(0);
  return {
    kind,
    begin: async (port, round) => {
      const all: Ready[] = [];
      for (let at = 0; at < count; at += 1) all.push(await way(at).begin(port, round));
      return {
        fetch: () => Promise.all(all.map((ready) => ready.fetch())),
        close: () => Promise.all(all.map((ready) => ready.close())),
      };
    },
  };
}

/** Writes, hashes and fsyncs, as a careful download script does. */
async function store({ folder, artifact }: Place, source: Readable, name: string): Promise<void> {
  const path = join(folder, "devices", name);
  const hash = createHash("sha256");
  const tap = new Transform({
    transform: (part: Buffer, _encoding, done) => {
      hash.update(part);
      done(null, part);
    },
  });
  await pipeline(source, tap, createWriteStream(path));
  const file = await open(path, "r+");
  await file.sync();
  await file.close();
  if (hash.digest("hex") !== artifact.sha256) throw new Error("the file arrived damaged");
  await rm(path);
}
