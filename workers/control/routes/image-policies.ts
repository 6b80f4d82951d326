// Which images may run: a team's own policy, and the operator's for the whole installation.
import { createRoute } from "@hono/zod-openapi";
import {
  ImagePolicies,
  ImagePolicy,
  InstallationImagePolicy,
  TeamImagePolicy,
} from "../../../contracts/image-policy.ts";
import {
  readImagePolicies,
  readInstallationImagePolicy,
  setInstallationImagePolicy,
  setTeamImagePolicy,
} from "../../../db/queries/image-policies.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { byOf } from "../http/deed.ts";
import { IdempotencyHeader, json, jsonBody, READ_PROBLEMS, SIGNED_IN, WRITE_PROBLEMS } from "../http/respond.ts";

const tags = ["Images"];
const security = SIGNED_IN;

const readRoute = createRoute({
  method: "get",
  path: "/v1/image-policy",
  operationId: "readImagePolicy",
  tags,
  security,
  summary: "Read which images the team may run",
  description: "Its own policy and the installation's: both hold.",
  responses: { 200: json(ImagePolicies, "Both."), ...READ_PROBLEMS },
});
const putRoute = createRoute({
  method: "put",
  path: "/v1/image-policy",
  operationId: "putImagePolicy",
  tags,
  security,
  summary: "Set which images the team may run",
  description: "Replaces what was set before, and holds from the next release on; what runs goes on.",
  request: { headers: IdempotencyHeader, ...jsonBody(TeamImagePolicy) },
  responses: { 200: json(ImagePolicies, "What holds now."), ...WRITE_PROBLEMS },
});
const readInstallationRoute = createRoute({
  method: "get",
  path: "/v1/installation/image-policy",
  operationId: "readInstallationImagePolicy",
  tags,
  security,
  summary: "Read which images anybody may run, as an operator",
  responses: { 200: json(InstallationImagePolicy, "With its scanner."), ...READ_PROBLEMS },
});
const putInstallationRoute = createRoute({
  method: "put",
  path: "/v1/installation/image-policy",
  operationId: "putInstallationImagePolicy",
  tags,
  security,
  summary: "Set which images anybody may run, as an operator",
  description:
    "Replaces what was set before, and holds from the next release on; what runs goes on. " +
    "The scanner is asked before each release of an image: POST {team, app, image, digest}, answered by {allowed: true, digest?} or {allowed: false, reason}.",
  request: { headers: IdempotencyHeader, ...jsonBody(ImagePolicy) },
  responses: { 200: json(InstallationImagePolicy, "What holds now."), ...WRITE_PROBLEMS },
});

export const imagePolicies = newApi()
  .openapi(readRoute, async (c) => c.json(await shown(c), 200))
  .openapi(putRoute, async (c) => {
    const policy = c.req.valid("json");
    await setTeamImagePolicy(databaseOf(c.env), { ...byOf(c), team: c.get("caller").team.id, policy });
    return c.json(await shown(c), 200);
  })
  .openapi(readInstallationRoute, async (c) => c.json(await readInstallationImagePolicy(databaseOf(c.env)), 200))
  .openapi(putInstallationRoute, async (c) => {
    await setInstallationImagePolicy(databaseOf(c.env), { ...byOf(c), policy: c.req.valid("json") });
    return c.json(await readInstallationImagePolicy(databaseOf(c.env)), 200);
  });

/** Where the scanner is, is the operator's affair: its address may hold a secret. */
async function shown(c: ControlRequest): Promise<ImagePolicies> {
  const { team, installation } = await readImagePolicies(databaseOf(c.env), c.get("caller").team.id);
  const { scanner, ...rest } = installation.policy;
  if (scanner === undefined) return { team, installation: rest };
  const { url: _, ...known } = scanner;
  return { team, installation: { ...rest, scanner: known } };
}
