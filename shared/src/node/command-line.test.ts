import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { invalid, MusterError } from "../errors.js";
import {
  type Command,
  durationOption,
  ExitWith,
  exitCodes,
  integerOption,
  labelsOption,
  program,
  runProgram,
} from "./command-line.js";

/** Runs a small program; `act` is what its command `rollout start` does. */
async function run(t: TestContext, argv: string[], act: (options: object) => void = () => undefined, json = false) {
  const told = { out: "", err: "" };
  const stderr = t.mock.method(process.stderr, "write", (text: string) => {
    told.err += text;
    return true;
  });
  const root: Command = program("muster", "Brings models to devices", "1.2.3").configureOutput({
    writeOut: (text) => {
      told.out += text;
    },
  });
  const rollout = root.command("rollout").description("Change what devices run");
  rollout
    .command("start")
    .argument("<model>")
    .option("--soak <time>", "how long", durationOption)
    .option("--retries <n>", "how often", integerOption)
    .option("--label <key=value>", "which", labelsOption)
    .action((_model, options) => act(options));
  try {
    return { code: await runProgram(root, argv, () => json), ...told };
  } finally {
    stderr.mock.restore();
  }
}

test("a command that worked exits with 0 and its options are read", async (t) => {
  let seen = {};
  const argv = "rollout start defects --soak 10min --retries 3 --label a=1,b=2 --label c=x=y".split(" ");
  const { code, err } = await run(t, argv, (options) => (seen = options));
  assert.deepEqual([code, err], [exitCodes.done, ""]);
  assert.deepEqual(seen, { soak: 600_000, retries: 3, label: { a: "1", b: "2", c: "x=y" } });
});

test("help and version are no errors", async (t) => {
  assert.deepEqual(await run(t, ["--version"]), { code: 0, out: "1.2.3\n", err: "" });
  for (const argv of [["--help"], ["help", "rollout"], ["rollout", "start", "-h"]]) {
    const { code, out, err } = await run(t, argv);
    assert.deepEqual([code, err], [0, ""]);
    assert.match(out, /Usage: muster/);
  }
});

test("wrong usage exits with 2 and says how to go on", async (t) => {
  const wrong = async (line: string, message: RegExp) => {
    const { code, out, err } = await run(t, line.split(" "));
    assert.deepEqual([code, out], [exitCodes.usage, ""], line);
    assert.match(err, message);
  };
  await wrong("rolout start defects", /unknown command 'rolout'[\s\S]*Did you mean rollout\?/);
  await wrong("rollout stat defects", /Did you mean start\?/);
  await wrong("rollout start", /missing required argument 'model'/);
  await wrong("rollout start defects --sok 5s", /Did you mean --soak\?[\s\S]*--help/);
  await wrong("rollout start defects more", /too many arguments/);
  await wrong("rollout start defects --soak 5", /Give a duration such as 500ms, 30s, 10min, 2h or 7d/);
  await wrong("rollout start defects --retries 2.5", /Give a whole number/);
  await wrong("rollout start defects --label lyon", /'lyon' is no label; write key=value/);
});

test("an error of ours is one clear line with its code", async (t) => {
  const fail = (error: unknown) => () => {
    throw error;
  };
  const start = ["rollout", "start", "defects"];
  const unknown = await run(t, start, fail(new MusterError("model/unknown", "no model defects")));
  assert.deepEqual(unknown, { code: exitCodes.error, out: "", err: "error: no model defects [model/unknown]\n" });
  const bug = await run(t, start, fail(new TypeError("x is undefined")));
  assert.deepEqual([bug.code, bug.err], [exitCodes.error, "error: x is undefined [internal]\n"]);
  const config = invalid("config/invalid", "hub.yaml", [{ field: "port", message: "is no number" }]);
  const usage = await run(t, start, fail(config));
  assert.equal(usage.code, exitCodes.usage);
  assert.match(usage.err, /^error: hub\.yaml does not fit:\n {2}port: is no number \[config\/invalid\]\n$/);
  for (const code of ["usage/invalid", "selector/invalid"] as const) {
    assert.equal((await run(t, start, fail(new MusterError(code, "bad")))).code, exitCodes.usage);
  }
});

test("a command may end with a code of its own, with or without a word", async (t) => {
  const start = ["rollout", "start", "defects"];
  const end = (error: ExitWith) => () => {
    throw error;
  };
  assert.deepEqual(await run(t, start, end(new ExitWith(exitCodes.gateFailed, "gate failed"))), {
    code: 3,
    out: "",
    err: "gate failed\n",
  });
  assert.deepEqual(await run(t, start, end(new ExitWith(exitCodes.timedOut))), { code: 4, out: "", err: "" });
});

test("a program that speaks JSON tells its errors in JSON", async (t) => {
  const error = invalid("bundle/invalid", "muster.yaml", [{ field: "name", message: "is missing" }]);
  const { code, err } = await run(
    t,
    ["rollout", "start", "defects"],
    () => {
      throw error;
    },
    true,
  );
  assert.equal(code, exitCodes.error);
  assert.deepEqual(JSON.parse(err), {
    error: { code: "bundle/invalid", message: error.message, problems: [{ field: "name", message: "is missing" }] },
  });
});
