// Makes a checkout ready to run: checks Node, installs what package-lock.json names when it is not
// there yet, and compiles. Plain JavaScript without dependencies, because nothing is installed yet.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** No install and build takes longer; a lock that old was left behind by a process whose id is in use again. */
const staleLockMs = 30 * 60_000;

/** What is wrong with this version of Node, or undefined. */
export function nodeProblem(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return undefined;
  return `Muster needs Node.js 20.19 or newer; this is ${version}. Install a newer one, for example from nodejs.org.`;
}

/** Why `npm ci` has to run, or undefined when node_modules is what package-lock.json says. */
export function installReason(root, host = { os: process.platform, cpu: process.arch, libc: libcOf() }) {
  const wanted = readJson(join(root, "package-lock.json")).packages;
  const installed = readJson(join(root, "node_modules/.package-lock.json")).packages;
  if (wanted === undefined || installed === undefined) return "nothing is installed yet";
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.includes("node_modules/")) continue;
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    const there = fs.existsSync(join(root, path));
    if (entry.link) {
      if (!there || fs.realpathSync(join(root, path)) !== fs.realpathSync(join(root, entry.resolved))) {
        return `the workspace ${name} is not linked`;
      }
    } else if (installed[path] === undefined || !there) {
      if (mustBeThere(entry, host)) return `${name} is missing`;
    } else if (installed[path].version !== entry.version || installed[path].integrity !== entry.integrity) {
      return `${name} is ${installed[path].version}, the lock file wants ${entry.version}`;
    }
  }
  const extra = Object.keys(installed).find((path) => wanted[path] === undefined);
  return extra === undefined ? undefined : `${extra} is no longer wanted`;
}

/** An optional package is expected only where it says that it is for this platform. */
function mustBeThere({ optional, devOptional, os, cpu, libc }, host) {
  if (!optional && !devOptional) return true;
  const fits = (list, value) =>
    list === undefined || (list.some((item) => item[0] === "!") ? !list.includes(`!${value}`) : list.includes(value));
  return (os ?? cpu) !== undefined && fits(os, host.os) && fits(cpu, host.cpu) && fits(libc, host.libc);
}

const libcOf = () => (process.report?.getReport().header.glibcVersionRuntime === undefined ? "musl" : "glibc");

function install(root) {
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith("npm-cli.js") ? [process.execPath, [npm]] : ["npm", []];
  const { status, stdout, stderr, error } = spawnSync(command, [...first, "ci", "--loglevel=error"], {
    cwd: root,
    encoding: "utf8",
    shell: process.platform === "win32" && command === "npm",
    // Its install script would fetch CUDA libraries of several hundred MB; the CPU provider needs none of them.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" },
  });
  if (status !== 0) console.error(`npm ci failed:\n${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`);
  return status ?? 1;
}

/** Removes compiled files whose source is gone, and makes a project whose output is incomplete compile again. */
export function tidyOutput(root, workspaces) {
  for (const folder of workspaces.map((workspace) => join(root, workspace))) {
    const dist = join(folder, "dist");
    const sources = stems(join(folder, "src"), /(?<!\.d)\.tsx?$/);
    for (const stem of stems(dist, /\.d\.ts$/).filter((name) => !sources.includes(name))) {
      for (const end of [".js", ".js.map", ".d.ts", ".d.ts.map"]) fs.rmSync(join(dist, stem + end), { force: true });
    }
    const complete = sources.every((stem) => fs.existsSync(join(dist, `${stem}.js`)));
    if (!complete) fs.rmSync(join(folder, "tsconfig.tsbuildinfo"), { force: true });
  }
}

function stems(folder, end) {
  if (!fs.existsSync(folder)) return [];
  const names = fs.readdirSync(folder, { recursive: true }).filter((name) => end.test(name));
  return names.map((name) => name.replace(end, ""));
}

/** Runs the work while no other process does; a lock whose process has ended is taken over. */
export function alone(lock, work) {
  for (let waiting = false; !tried(() => fs.writeFileSync(lock, String(process.pid), { flag: "wx" }), "EEXIST"); ) {
    const holder = textOf(lock) ?? "";
    if (isStale(lock, holder)) {
      // Renamed, not removed: of two that find it stale, the slower may have taken the new lock of the faster.
      const taken = `${lock}.${process.pid}`;
      if (!tried(() => fs.renameSync(lock, taken), "ENOENT")) continue;
      if (textOf(taken) === holder) fs.rmSync(taken);
      else fs.renameSync(taken, lock);
      continue;
    }
    if (!waiting) console.error(`Waiting for process ${holder}, which installs or compiles here already.`);
    waiting = true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
  try {
    return work();
  } finally {
    fs.rmSync(lock, { force: true });
  }
}

function isStale(lock, holder) {
  const ageMs = Date.now() - (fs.statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  if (holder === "") return ageMs > 5000;
  return ageMs > staleLockMs || !tried(() => process.kill(Number(holder), 0), "ESRCH");
}

/** Whether the act worked; false for the one error that is a normal outcome. */
function tried(act, expected) {
  try {
    act();
    return true;
  } catch (error) {
    if (error.code === expected) return false;
    if (error.code === "EPERM" && expected === "ESRCH") return true; // alive, and another user's
    throw error;
  }
}

function textOf(path) {
  let text;
  tried(() => (text = fs.readFileSync(path, "utf8")), "ENOENT");
  return text;
}

const readJson = (path) => JSON.parse(textOf(path) ?? "{}");

function main(args) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  return alone(join(root, ".ready.lock"), () => {
    const reason = installReason(root);
    if (reason !== undefined) console.error(`Installing packages: ${reason}.`);
    const failed = reason === undefined ? 0 : install(root);
    if (failed !== 0 || args.includes("--no-build")) return failed;
    tidyOutput(root, readJson(join(root, "package.json")).workspaces);
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    return spawnSync(process.execPath, [tsc, "-b"], { cwd: root, stdio: "inherit" }).status ?? 1;
  });
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const problem = nodeProblem(process.versions.node);
  if (problem !== undefined) console.error(problem);
  process.exitCode = problem === undefined ? main(process.argv.slice(2)) : 1;
}
