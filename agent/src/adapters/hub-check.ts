import { connect } from "node:tls";
import type { CheckHub } from "../ports.js";

const timeoutMs = 5000;

/** Opens a TLS connection as this device, looks at the hub's certificate, and closes it again. */
export const checkHub: CheckHub = ({ mqttUrl, ca, certificate, privateKey }) => {
  const { hostname, port } = new URL(mqttUrl);
  const startMs = performance.now();
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), ca, cert: certificate, key: privateKey }, () => {
      const { valid_from, valid_to } = socket.getPeerCertificate();
      resolve({
        ...{ protocol: socket.getProtocol() ?? "TLS", tookMs: performance.now() - startMs },
        ...{ fromMs: Date.parse(valid_from), untilMs: Date.parse(valid_to) },
      });
      socket.destroy();
    });
    socket.setTimeout(timeoutMs, () => {
      resolve({ error: `no answer for ${timeoutMs / 1000} s` });
      socket.destroy();
    });
    socket.on("error", (error) => resolve({ error: error.message }));
  });
};
