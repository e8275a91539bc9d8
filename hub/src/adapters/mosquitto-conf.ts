import { downFilter, downKinds, downTopic, type UpKind, upFilter, upKinds } from "@muster/shared";

/** Bytes of the largest packet: a desired document that carries the keys and roots of years. */
const maxPacketBytes = 1024 * 1024;
/** Messages that wait for one slow device: more than the frames of a whole window, so that only who does not read loses some. */
const maxQueued = 256;

/** The configuration of a Mosquitto 2 that lets in devices of this CA only, each under its certificate's name. */
export function mosquittoConf({ folder, port, crl }: { folder: string; port: number; crl: boolean }): string {
  return `# Written by \`muster broker-config\`, and again by the next one: put what you add into a file that includes this one.

listener ${port}
protocol mqtt
tls_version tlsv1.2
cafile ${folder}/ca.crt
certfile ${folder}/server.crt
keyfile ${folder}/server.key
${crl ? `crlfile ${folder}/crl.pem` : "# Without a revocation list: what is revoked is refused by the hub only."}

# A client is who its certificate says, whatever it calls itself.
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file ${folder}/acl

# The hub keeps what matters. A device that could retain messages could fill this machine's memory.
retain_available false
persistence false
persistent_client_expiration 1h

# One device that does not read, or sends what it should not, costs no more than this.
max_packet_size ${maxPacketBytes}
max_queued_messages ${maxQueued}
max_queued_bytes ${8 * 1024 * 1024}
max_inflight_messages 32
max_keepalive 600
set_tcp_nodelay true

log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages true
`;
}

/** Who may read and write what: the hub everything of Muster's, a device its own topics only. */
export function mosquittoAcl(hub: string): string {
  const own = (kind: UpKind) => upFilter.replace(/[+].[+]$/, `%u/${kind}`);
  return [
    "# Written by `muster broker-config`.",
    `user ${hub}`,
    `topic read ${upFilter}`,
    `topic write ${downFilter}`,
    "",
    "# %u is the name in the client's certificate. The level before it is a share of the fleet, and the hub checks it.",
    ...upKinds.map((kind) => `pattern write ${own(kind)}`),
    ...downKinds.map((kind) => `pattern read ${downTopic("%u", kind)}`),
    "",
  ].join("\n");
}
