// The bare libraries in a process of their own: a {@link BareModel} is answered by `"ready"`, each {@link BareWork} after it by a
// {@link LoadResult}.
import { Bare, type BareModel, type BareWork } from "./bare.js";
import type { LoadResult } from "./load-process.js";

process.once("message", (model: BareModel) => {
  Bare.load(model).then((bare) => {
    process.on("message", (work: BareWork) => tell(bare.run(work)));
    process.send?.("ready");
  }, failed);
});

function tell(answer: Promise<LoadResult>): void {
  answer.then((result) => process.send?.(result), failed);
}

function failed(error: unknown): void {
  console.error(error);
  process.exit(1);
}
