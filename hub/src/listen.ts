import type { Server } from "node:net";
import { MusterError } from "@muster/shared";

/** Starts a server and returns its port. Throws `port/in-use` with what to do. */
export async function listen(server: Server, host: string, port: number, what: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, port, what)));
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

/** What a failed `listen` means to an operator. */
export function listenError(error: unknown, port: number, what: string): unknown {
  if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") return error;
  const message = `port ${port} for ${what} is in use by another program; stop it or choose another port`;
  return new MusterError("port/in-use", message, { cause: error });
}
