import type { Readable } from "node:stream";
import {
  Digest,
  Draft,
  ModelName,
  MusterError,
  PushedVersion,
  PushVersion,
  parseBundle,
  Republish,
  SignDraft,
  SignedManifest,
  sha256,
  UploadState,
  VersionList,
  VersionName,
  VersionView,
} from "@muster/shared";
import { z } from "zod";
import type { Audit } from "../../audit.js";
import type { Catalog } from "../../catalog.js";
import type { Encodings } from "../../encodings.js";
import type { Publishing } from "../../publishing.js";
import type { Removal } from "../../removal.js";
import type { App } from "../server.js";

const ByDigest = z.strictObject({ digest: Digest });
const ByVersion = z.strictObject({ model: ModelName, version: VersionName });

export interface ModelRooms {
  readonly catalog: Catalog;
  readonly publishing: Publishing;
  readonly encodings: Pick<Encodings, "prepared" | "hints">;
  readonly removal: Removal;
  readonly audit: Audit;
}

/** /v1/uploads and /v1/models. */
export function modelRoutes(
  app: App,
  { catalog, publishing, encodings, removal, audit }: ModelRooms,
  maxArtifactBytes: number,
): void {
  const write = { action: "model.write" } as const;
  const read = { action: "read" } as const;
  /** What is recorded of a version is its manifest. */
  const pushed = (version: string) => ({
    ...{ action: "model.push", subject: version },
    after: ({ manifestDigest }: PushedVersion) => manifestDigest,
  });
  app.head(
    "/v1/uploads/:digest",
    { config: write, schema: { params: ByDigest, hide: true } },
    async ({ params }, reply) => {
      const sizeBytes = await publishing.uploaded(params.digest);
      return reply.status(sizeBytes === undefined ? 404 : 200).send();
    },
  );
  app.put(
    "/v1/uploads/:digest",
    {
      bodyLimit: maxArtifactBytes,
      config: write,
      schema: {
        summary: "Send a file of a bundle, named by its SHA-256",
        consumes: ["application/octet-stream"],
        params: ByDigest,
        response: { 200: UploadState },
      },
    },
    async ({ params, body }) => {
      if (!isStream(body))
        throw new MusterError("request/invalid", "content-type: send the file as application/octet-stream");
      return { digest: params.digest, sizeBytes: await publishing.upload(params.digest, body) };
    },
  );
  app.post(
    "/v1/models",
    {
      config: write,
      schema: {
        summary: "Make a version out of uploaded files",
        body: PushVersion,
        response: { 200: PushedVersion, 201: PushedVersion },
      },
    },
    async ({ body, actor }, reply) => {
      const { name, version } = parseBundle(body.bundle);
      const made = await audit.change(actor, pushed(`${name} ${version}`), () => publishing.push(body));
      return reply.status(made.created ? 201 : 200).send({ ...made, prepared: await encodings.prepared(made) });
    },
  );
  app.post(
    "/v1/drafts",
    {
      config: write,
      schema: {
        summary: "Prepare a version that is signed outside of the hub; 200 when it was there already",
        body: PushVersion,
        response: { 200: PushedVersion, 201: Draft },
      },
    },
    async ({ body, actor }, reply) => {
      const { name, version } = parseBundle(body.bundle);
      const change = { action: "model.draft", subject: `${name} ${version}` };
      const prepared = await audit.change(actor, change, () => publishing.draft(body));
      return "payload" in prepared ? reply.status(201).send(prepared) : reply.status(200).send(prepared);
    },
  );
  app.post(
    "/v1/drafts/sign",
    {
      config: write,
      schema: { summary: "Make a version out of a signed draft", body: SignDraft, response: { 201: PushedVersion } },
    },
    async ({ body, actor }, reply) => {
      const digest = sha256(Buffer.from(body.envelope.payload, "base64"));
      const made = await audit.change(actor, pushed(`draft ${digest}`), () => publishing.sign(body.envelope));
      return reply.status(201).send({ ...made, prepared: await encodings.prepared(made) });
    },
  );
  app.post(
    "/v1/models/republish",
    {
      config: write,
      schema: {
        summary: "Publish the bytes of a version again under a higher release",
        body: Republish,
        response: { 201: PushedVersion },
      },
    },
    async ({ body: { model, version, as }, actor }, reply) => {
      const change = { ...pushed(`${model} ${as}`), action: "model.republish" };
      return reply.status(201).send(await audit.change(actor, change, () => publishing.republish(model, version, as)));
    },
  );
  app.post(
    "/v1/drafts/republish",
    {
      config: write,
      schema: { summary: "The same, to be signed outside of the hub", body: Republish, response: { 201: Draft } },
    },
    async ({ body: { model, version, as }, actor }, reply) => {
      const change = { action: "model.draft", subject: `${model} ${as}` };
      return reply.status(201).send(await audit.change(actor, change, () => publishing.redraft(model, version, as)));
    },
  );
  app.get(
    "/v1/models/:model/versions/:version/manifest",
    {
      config: read,
      schema: {
        summary: "The signed manifest of a version",
        params: ByVersion,
        response: { 200: SignedManifest },
      },
    },
    async ({ params }) => catalog.envelope(params.model, params.version),
  );
  app.get(
    "/v1/models",
    {
      config: read,
      schema: {
        summary: "List versions, newest release first",
        querystring: z.strictObject({ model: ModelName.optional() }),
        response: { 200: VersionList },
      },
    },
    async ({ query }) => ({ versions: await catalog.list(query.model) }),
  );
  app.delete(
    "/v1/models/:model/versions/:version",
    {
      config: write,
      schema: {
        summary: "Remove a version that no device and no rollout needs, and its bytes",
        params: ByVersion,
        response: { 204: z.null() },
      },
    },
    async ({ params: { model, version }, actor }, reply) => {
      const before = async () => (await catalog.get(model, version)).manifestDigest;
      const change = { action: "model.remove", subject: `${model} ${version}`, before };
      await audit.change(actor, change, () => removal.remove(model, version, actor.scope));
      return reply.status(204).send(null);
    },
  );
  app.get(
    "/v1/models/:model/versions/:version",
    {
      config: read,
      schema: {
        summary: "Show a version",
        params: ByVersion,
        response: { 200: VersionView },
      },
    },
    async ({ params }) => {
      const version = await catalog.get(params.model, params.version);
      const [prepared, encoded] = [await encodings.prepared(version), await encodings.hints(version.manifest)];
      return { ...version, prepared, encodings: encoded };
    },
  );
}

function isStream(body: unknown): body is Readable {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}
