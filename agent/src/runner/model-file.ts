import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { MusterError } from "@muster/shared";
import { isMissing } from "@muster/shared/node";

/** Makes sure that a file is what it should be. Throws `artifact/digest-mismatch`, `artifact/missing`. */
export async function verifyModelFile(path: string, digest: string): Promise<void> {
  const hash = createHash("sha256");
  try {
    for await (const part of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(part as Buffer);
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    throw new MusterError("artifact/missing", `there is no model file ${path}; fetch it again`, { cause });
  }
  const actual = hash.digest("hex");
  if (actual === digest) return;
  throw new MusterError(
    "artifact/digest-mismatch",
    `model file ${path} has digest ${actual}, the manifest says ${digest}; fetch it again`,
  );
}
