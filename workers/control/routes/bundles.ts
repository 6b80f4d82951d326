// Bundles: a folder as a gzipped tar, streamed to R2 under its own hash; what does not match its hash is not kept.
import { createRoute, z } from "@hono/zod-openapi";
import { BundleHash } from "../../../contracts/release.ts";
import { bundleKey } from "../apps/check-source.ts";
import { appOf } from "../apps/find-app.ts";
import { aboutDeed } from "../http/deed.ts";
import { BUNDLE_BYTES_MAX } from "../http/body.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { fail, failField } from "../http/problem.ts";
import { AppParam, IdempotencyHeader, READ_PROBLEMS, SIGNED_IN, WRITE_PROBLEMS } from "../http/respond.ts";

const MEDIA_TYPES = ["application/gzip", "application/x-gzip", "application/octet-stream"] as const;
const gzip = { schema: z.string().meta({ format: "binary" }) };

const putBundleRoute = createRoute({
  method: "put",
  path: "/v1/apps/{app}/bundles/{hash}",
  operationId: "putBundle",
  tags: ["Releases"],
  security: SIGNED_IN,
  summary: "Upload a bundle",
  description:
    "A gzipped tar of at most 100 MB. A release then names it by its hash. The same upload again changes nothing.",
  request: {
    params: AppParam.extend({ hash: BundleHash }),
    headers: IdempotencyHeader,
    body: { required: true, content: { "application/gzip": gzip } },
  },
  responses: { 204: { description: "Stored." }, ...WRITE_PROBLEMS },
});

const getBundleRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/bundles/{hash}",
  operationId: "getBundle",
  tags: ["Releases"],
  security: SIGNED_IN,
  summary: "Download a bundle",
  description: "The gzipped tar that a release of the team was made of: what was deployed can be had back.",
  request: { params: AppParam.extend({ hash: BundleHash }) },
  responses: { 200: { description: "Its bytes.", content: { "application/gzip": gzip } }, ...READ_PROBLEMS },
});

export const bundles = newApi().openapi(putBundleRoute, async (c) => {
  const { app: name, hash } = c.req.valid("param");
  const app = await appOf(c, name);
  const body = bundleBody(c);
  aboutDeed(c, { after: { bundle: hash } });
  const sha256 = hash.slice("sha256:".length);
  try {
    await c.env.BUNDLES.put(bundleKey(app.team, hash), body, {
      sha256,
      bytes: Number(c.req.header("content-length")),
      httpMetadata: { contentType: "application/gzip" },
      customMetadata: { app: app.id },
    });
  } catch (error) {
    // R2 checks the hash while it writes, and keeps nothing that does not match: error 10037.
    if (!/10037|checksum|digest/i.test(String(error))) throw error;
    failField("unprocessable", { pointer: "path:hash", rule: "sha256", message: "is not the hash of the body" });
  }
  return c.body(null, 204);
});

bundles.openapi(getBundleRoute, async (c) => {
  const { app: name, hash } = c.req.valid("param");
  const app = await appOf(c, name);
  const stored = await c.env.BUNDLES.get(bundleKey(app.team, hash));
  if (stored === null)
    return fail("not_found", `This team has uploaded no bundle ${hash}, or it is not stored any more.`);
  const length = { "content-length": String(stored.size) };
  return c.body(stored.body, 200, { "content-type": "application/gzip", ...length }) as never;
});

/** R2 takes a stream only with a known length, which is also what the limit is judged by. */
function bundleBody(c: ControlRequest): ReadableStream {
  const mediaType = (c.req.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (!(MEDIA_TYPES as readonly string[]).includes(mediaType)) {
    const message = `must be one of ${MEDIA_TYPES.join(", ")}`;
    failField("unsupported_media_type", { pointer: "header:content-type", rule: "media_type", message });
  }
  const length = c.req.header("content-length");
  if (length === undefined || !/^\d{1,15}$/.test(length)) {
    failField("invalid_request", { pointer: "header:content-length", rule: "required", message: "must be given" });
  }
  if (Number(length) > BUNDLE_BYTES_MAX) {
    fail("payload_too_large", `A bundle may have at most ${BUNDLE_BYTES_MAX} bytes.`);
  }
  const { body } = c.req.raw;
  if (body === null || Number(length) === 0) {
    return failField("invalid_request", { pointer: "", rule: "required", message: "a bundle must not be empty" });
  }
  return body;
}
