import { MusterError } from "@muster/shared";

/** A kind of machine, in npm's words. */
export interface Platform {
  readonly os: string;
  readonly cpu: string;
  /** Only Linux has more than one. */
  readonly libc?: "glibc";
}

/** Where ONNX Runtime's npm package has a library for. */
const supported: Readonly<Record<string, Platform>> = {
  "linux-arm64": { os: "linux", cpu: "arm64", libc: "glibc" },
  "linux-x64": { os: "linux", cpu: "x64", libc: "glibc" },
  "darwin-arm64": { os: "darwin", cpu: "arm64" },
  "win32-arm64": { os: "win32", cpu: "arm64" },
  "win32-x64": { os: "win32", cpu: "x64" },
};

export const platformNames = Object.keys(supported);

/** The platform of a name such as `linux-arm64`. Throws `usage/invalid`. */
export function platformOf(name: string): Platform {
  const platform = Object.hasOwn(supported, name) ? supported[name] : undefined;
  if (platform !== undefined) return platform;
  throw new MusterError(
    "usage/invalid",
    `no agent can be packed for '${name}'; choose one of ${platformNames.join(", ")}`,
  );
}
