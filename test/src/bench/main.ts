// `npm run bench -- [name …]`: measurements, each beside what a user would have without Muster, in one run.
import { availableParallelism, cpus } from "node:os";
import { benchBytesSent } from "./bytes-sent.js";
import { benchConnects } from "./connects.js";
import { benchInference } from "./inference.js";
import { benchLatency, benchSaturation } from "./inference-speed.js";
import { benchLarge } from "./large.js";
import { benchLinks } from "./links.js";
import { benchMemory } from "./memory.js";
import { benchPreprocess } from "./preprocess.js";
import { benchSwaps } from "./swaps.js";
import { benchMosquitto } from "./transfer-mosquitto.js";
import { benchFanOut, benchTransfers } from "./transfers.js";
import { benchEncryption, benchIndex } from "./trust.js";

const benches: Readonly<Record<string, readonly (() => Promise<string>)[]>> = {
  mosquitto: [benchMosquitto],
  transfer: [benchTransfers, benchFanOut, benchLinks, benchBytesSent],
  "transfer-4gb": [benchLarge],
  inference: [benchLatency, benchSaturation, benchPreprocess, benchInference],
  security: [benchConnects, benchIndex, benchEncryption],
  memory: [benchMemory],
  swaps: [benchSwaps],
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => benches[name] === undefined);
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(", ")}; there are: ${Object.keys(benches).join(", ")}`);
  process.exit(2);
}
console.log(
  `${cpus()[0]?.model ?? "unknown processor"}, ${availableParallelism()} cores, Node ${process.version}; medians`,
);
for (const [name, parts] of Object.entries(benches)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  for (const bench of parts) console.log(`\n${await bench()}`);
}
process.exit(0);
