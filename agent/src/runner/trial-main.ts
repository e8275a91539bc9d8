/** The process of a trial: gets one candidate, tells how trying it ended, and ends. */
import { type CandidateRequest, tryCandidate } from "./trial-run.js";

process.once("message", (request: CandidateRequest) => {
  void tryCandidate(request).then((tried) => process.send?.(tried, undefined, undefined, () => process.exit(0)));
});
// Whoever asked is gone, so nobody wants to know.
process.once("disconnect", () => process.exit(1));
