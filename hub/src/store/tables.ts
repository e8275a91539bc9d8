import type { Generated } from "./kysely.js";

/** Columns that hold JSON are text; times are epoch ms; booleans are 0 or 1: the same on SQLite and PostgreSQL. */
export interface Tables {
  meta: { key: string; value: string };
  invites: {
    secret_hash: string;
    device: string | null;
    labels: string;
    uses_left: number;
    /** Who made it, and which part of the fleet that was for. */
    issuer: string;
    scope: string;
    expires_ms: number;
    created_ms: number;
    /** 1 when it is for a device that has joined before. */
    again: number;
  };
  certificates: {
    device: string;
    serial: string;
    issued_ms: number;
    expires_ms: number;
    /** From then on it is refused. */
    revoked_ms: number | null;
    reason: string | null;
  };
  devices: {
    id: string;
    labels: string;
    joined_ms: number;
    last_seen_ms: number | null;
    hello: string | null;
    reported: string | null;
    desired_revision: number;
    /** JSON of the wanted models. */
    desired_models: string;
    /** JSON of the signed document. */
    desired_envelope: string | null;
    desired_expires_ms: number;
    /** The device's key that the keys in the signed document are wrapped for. */
    sealed_for: string | null;
    /** Ids of the shared engines in the signed document, in order; null for none. */
    told_engines: string | null;
  };
  versions: {
    model: string;
    version: string;
    release: number;
    manifest_digest: string;
    manifest_bytes: number;
    manifest: string;
    /** Digest of everything that was pushed, so that pushing it again changes nothing. */
    content_digest: string;
    size_bytes: number;
    pushed_ms: number;
  };
  /** What was put into the artifact store under this database and not removed again. */
  stored_blobs: { digest: string };
  users: { name: string; role: string; scope: string; disabled: number; created_ms: number };
  tokens: {
    id: string;
    user: string;
    label: string;
    /** SHA-256 of the secret. */
    secret_hash: string;
    role: string | null;
    scope: string;
    created_ms: number;
    expires_ms: number | null;
    used_ms: number | null;
  };
  audit: {
    seq: number;
    at_ms: number;
    actor: string;
    token: string | null;
    address: string | null;
    action: string;
    subject: string;
    outcome: string;
    before: string | null;
    after: string | null;
    previous: string;
    hash: string;
  };
  /** Manifests that wait for their signature. */
  drafts: {
    /** SHA-256 of the bytes to sign. */
    payload_digest: string;
    payload: string;
    content_digest: string;
    /** JSON of the uploads it was made of. */
    used: string;
    created_ms: number;
  };
  /** Shorter forms of artifacts: `deflate` of itself, `delta` from a base. */
  encodings: {
    artifact: string;
    kind: string;
    /** The artifact a delta is from; empty for others. */
    base: string;
    data_digest: string;
    /** Bytes on the link. */
    data_bytes: number;
    index_digest: string;
    index_bytes: number;
  };
  /** Versions whose shorter forms were made. */
  prepared: { manifest: string; at_ms: number };
  /** Keys of encrypted artifacts, encrypted under the hub's own key. */
  artifact_keys: { artifact: string; sealed: string };
  /** Engines that a device built, for others of its class; at most one per model file and class. */
  engines: {
    id: string;
    artifact: string;
    engine_class: string;
    /** The bytes to sign, base64, and their SHA-256. */
    payload: string;
    payload_digest: string;
    /** JSON of the signed document; null until it is signed. */
    envelope: string | null;
    /** JSON of what the device that built it said of its hardware. */
    hardware: string;
    created_ms: number;
    signed_ms: number | null;
  };
  rollouts: {
    id: string;
    model: string;
    version: string;
    selector: string;
    state: string;
    reason: string | null;
    settings: string;
    waves: string;
    created_ms: number;
    changed_ms: number;
  };
  rollout_devices: {
    rollout_id: string;
    device: string;
    wave: number;
    state: string;
    tries: number;
    /** JSON of what the device was wanted to run before, null for nothing. */
    previous: string | null;
    offered_ms: number | null;
    started_ms: number | null;
    error: string | null;
  };
  events: {
    id: Generated<number>;
    at_ms: number;
    device: string | null;
    kind: string;
    fields: string;
    /** Outbox and number on the device; null for events of the hub. */
    stream: string | null;
    seq: number | null;
  };
  windows: {
    device: string;
    stream: string;
    seq: number;
    model: string;
    version: string;
    manifest: string;
    provider: string;
    start_ms: number;
    end_ms: number;
    inputs: number;
    errors: number;
    dropped: number;
    /** JSON of classes, stages, features, rssBytes. */
    body: string;
  };
  drifting: {
    device: string;
    model: string;
    version: string;
    feature: string;
    since_ms: number;
    psi: number;
  };
}
