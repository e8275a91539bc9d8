import { classesFromRuns, type MaskAnswer } from "@muster/shared/inference";
import { acceptedType } from "../../core/accepted-type.js";
import type { InputAnswers } from "../inference.js";
import { indexedPng } from "./indexed-png.js";
import type { Reply } from "./reply.js";

/** The mask of an answer, where there is one and the client would rather have it as a picture than in JSON. */
export function wantedMask(
  accept: string | undefined,
  { answers, list }: InputAnswers,
): MaskAnswer["mask"] | undefined {
  const [answer] = answers;
  if (list || answer === undefined || !("mask" in answer)) return undefined;
  return acceptedType(accept, ["application/json", "image/png"]) === "image/png" ? answer.mask : undefined;
}

/** A mask as a PNG, in whose pixels stands the number of the class; what JSON says besides is in headers. */
export async function maskReply(mask: MaskAnswer["mask"], { model, version, latencyMs }: InputAnswers): Promise<Reply> {
  const headers = {
    ...{ "content-type": "image/png", vary: "accept" },
    ...{ "muster-model": model, "muster-version": version, "muster-latency-ms": latencyMs.toFixed(3) },
  };
  return { status: 200, headers, body: [await indexedPng(mask.width, mask.height, classesFromRuns(mask))] };
}
