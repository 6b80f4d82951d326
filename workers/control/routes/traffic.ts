// An app's traffic by hand: a split between releases, and a signed way to one of them.
import { createRoute } from "@hono/zod-openapi";
import { SignJWT } from "jose";
import { Accepted } from "../../../contracts/api.ts";
import type { AppId } from "../../../contracts/ids.ts";
import {
  linkOf,
  Override,
  OVERRIDE_HEADER,
  OVERRIDE_ISSUER,
  OVERRIDE_TYP,
  OverrideCreate,
} from "../../../contracts/override.ts";
import { TrafficPut } from "../../../contracts/rollout-plan.ts";
import { signingRing } from "../../keys/signing-ring.ts";
import { accepted, askApp, shownApp } from "../apps/app-object.ts";
import { appOf } from "../apps/find-app.ts";
import { newApi } from "../http/context.ts";
import { aboutDeed } from "../http/deed.ts";
import { failField } from "../http/problem.ts";
import { changeWithin } from "../quota/change-within.ts";
import { AppParam, IdempotencyHeader, json, jsonBody, SIGNED_IN, WRITE_PROBLEMS } from "../http/respond.ts";

const security = SIGNED_IN;
const tags = ["Rollouts"];

const putTrafficRoute = createRoute({
  method: "put",
  path: "/v1/apps/{app}/traffic",
  operationId: "putTraffic",
  tags,
  security,
  summary: "Split the traffic between releases",
  description:
    "All that shall serve, in percent. The weights change at once, when every release that is named has its instances ready and they have answered. " +
    "Naming the two releases of a canary under way sets its weight and pauses it; any other split during a rollout is refused (409). " +
    "A release whose command before did not end well is refused (422); one that its smoke check or judge refused, too, without `force`.",
  request: { params: AppParam, headers: IdempotencyHeader, ...jsonBody(TrafficPut) },
  responses: { 202: json(Accepted, "The rollout to watch is in location."), ...WRITE_PROBLEMS },
});
const createOverrideRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/traffic/override",
  operationId: "createOverride",
  tags,
  security,
  summary: "Sign a way to one release",
  description:
    "Requests with this header reach that release whatever its weight, as long as it has ready instances; a browser does by the link. The app does not see either, nor its release's judge those requests.",
  request: { params: AppParam, ...jsonBody(OverrideCreate) },
  responses: { 200: json(Override, "The header to send, and the link."), ...WRITE_PROBLEMS },
});

export const traffic = newApi()
  .openapi(putTrafficRoute, async (c) => {
    const wanted = c.req.valid("json");
    const app = await appOf(c, c.req.valid("param").app);
    const { weights } = await askApp(c, app, (object) => object.read({}), { repeatable: true });
    aboutDeed(c, { before: { weights: weights.map(({ version, weight }) => ({ version, weight })) }, after: wanted });
    const result = await changeWithin(c, app, (object, asked) => object.setTraffic({ ...asked, ...wanted }));
    return c.json(accepted(c, result), 202);
  })
  .openapi(createOverrideRoute, async (c) => {
    const { version, ttlMs } = c.req.valid("json");
    const app = await appOf(c, c.req.valid("param").app);
    const { weights, url } = shownApp(c.env, await askApp(c, app, (object) => object.read({}), { repeatable: true }));
    if (!weights.some((known) => known.version === version)) {
      const reachable = weights.map((known) => `v${known.version}`).join(", ") || "none";
      const message = `No instance of v${version} is ready: only releases that run can be reached (now: ${reachable}).`;
      failField("unprocessable", { pointer: "/version", rule: "running", message });
    }
    const expiresAtMs = Date.now() + ttlMs;
    aboutDeed(c, { after: { version, expiresAtMs } });
    const value = await signOverride(c.env.TICKET_SIGNING_KEY, app.id, version, expiresAtMs);
    return c.json({ header: OVERRIDE_HEADER, value, link: linkOf(url, version, value), expiresAtMs } as const, 200);
  });

async function signOverride(key: string, app: AppId, version: number, expiresAtMs: number): Promise<string> {
  const { kid, signing } = await signingRing(key, "TICKET_SIGNING_KEY");
  return new SignJWT({ ver: version })
    .setProtectedHeader({ alg: "EdDSA", typ: OVERRIDE_TYP, kid })
    .setIssuer(OVERRIDE_ISSUER)
    .setAudience(app)
    .setIssuedAt()
    .setExpirationTime(Math.ceil(expiresAtMs / 1_000))
    .sign(signing);
}
