import { rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { MusterError, messageOf, parseWith, sha256 } from "@muster/shared";
import { AgentStatus } from "../status.js";

/** The longest path a Unix socket may have, with room to spare. */
const maxPathLength = 100;

/** Where the agent of a data folder answers: a socket in it, or in the temporary folder when its path is too long. */
export function controlPath(dataDir: string): string {
  const name = `muster-agent-${sha256(resolve(dataDir)).slice(0, 16)}`;
  if (process.platform === "win32") return `\\\\.\\pipe\\${name}`;
  const inside = join(resolve(dataDir), "agent.sock");
  return inside.length <= maxPathLength ? inside : join(tmpdir(), `${name}.sock`);
}

/** Answers the status to whoever may open the data folder; returns how to stop. */
export async function serveStatus(dataDir: string, status: () => Promise<AgentStatus>): Promise<() => Promise<void>> {
  const path = controlPath(dataDir);
  // The folder's lock is ours, so a socket that lies here is left over from a crash.
  if (process.platform !== "win32") await rm(path, { force: true });
  const server = createServer((_request, response) => {
    status().then(
      (body) => response.setHeader("content-type", "application/json").end(JSON.stringify(body)),
      (error) => response.writeHead(500).end(messageOf(error)),
    );
  });
  await new Promise<void>((done, reject) => {
    server.once("error", reject);
    server.listen(path, done);
  });
  return () =>
    new Promise((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
}

/** The status of the agent that runs on the data folder; undefined when none does. */
export function askStatus(dataDir: string): Promise<AgentStatus | undefined> {
  return new Promise((done, reject) => {
    const question = request({ socketPath: controlPath(dataDir), path: "/status", timeout: 5000 }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => {
        try {
          const body: unknown = JSON.parse(Buffer.concat(parts).toString("utf8"));
          done(parseWith(AgentStatus, body, "message/invalid", "the agent's status"));
        } catch (error) {
          reject(error);
        }
      });
    });
    question.on("timeout", () =>
      question.destroy(new MusterError("internal", "the agent does not answer; restart it")),
    );
    question.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") done(undefined);
      else reject(error);
    });
    question.end();
  });
}
