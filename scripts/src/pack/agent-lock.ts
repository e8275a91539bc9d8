/** A package.json, or an entry of a lock file. */
export type Package = Readonly<Record<string, unknown>>;

/** A package-lock.json, version 3. */
export interface Lock extends Package {
  readonly packages: Readonly<Record<string, Package>>;
}

/** The workspaces an agent consists of. */
export const agentWorkspaces = ["shared", "agent"] as const;

/** A package.json without what only its developers need. */
export function withoutDevelopment({ devDependencies: _, ...rest }: Package): Package {
  return rest;
}

/**
 * The root package.json and lock file of a checkout that holds nothing but the agent. Versions and digests stay as
 * they are; npm leaves entries that nobody needs any more alone.
 */
export function agentOnly(root: Package, lock: Lock): { root: Package; lock: Lock } {
  const workspaces = [...agentWorkspaces];
  const slim = (entry: Package | undefined): Package => withoutDevelopment(entry ?? {});
  return {
    root: { ...slim(root), workspaces },
    lock: {
      ...lock,
      packages: {
        ...lock.packages,
        "": { ...slim(lock.packages[""]), workspaces },
        ...Object.fromEntries(workspaces.map((name) => [name, slim(lock.packages[name])])),
      },
    },
  };
}
