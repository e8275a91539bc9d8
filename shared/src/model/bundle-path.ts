import { z } from "zod";

/** A file inside the bundle: relative, with forward slashes, never outside of the folder. */
export const BundlePath = z
  .string()
  .min(1)
  .max(500)
  .refine(
    (path) => !path.startsWith("/") && !/^[A-Za-z]:|\\/.test(path),
    "must be relative to muster.yaml, with forward slashes",
  )
  .refine((path) => !path.split("/").includes(".."), "must stay inside the bundle; remove '..'");
