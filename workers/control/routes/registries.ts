// Pull credentials of the team: the password is sealed before it is stored and never shown.
import { createRoute, z } from "@hono/zod-openapi";
import { page, PageQuery, Registry, RegistryLogin } from "../../../contracts/api.ts";
import { deleteRegistry, listRegistries, putRegistry } from "../../../db/queries/registries.ts";
import { refuseClosedRegistry, registryOf } from "../apps/check-source.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { aboutDeed, byOf } from "../http/deed.ts";
import { fail, failField } from "../http/problem.ts";
import {
  IdempotencyHeader,
  json,
  jsonBody,
  READ_PROBLEMS,
  SIGNED_IN,
  unwrap,
  WRITE_PROBLEMS,
} from "../http/respond.ts";
import { seal } from "../secrets/seal.ts";

const tags = ["Registries"];
const security = SIGNED_IN;
const params = z.object({
  host: z.string().min(1).max(253).meta({
    description: "As in image references: docker.io, ghcr.io, registry.example.com:5000.",
  }),
});

const listRegistriesRoute = createRoute({
  method: "get",
  path: "/v1/registries",
  operationId: "listRegistries",
  tags,
  security,
  summary: "List pull credentials",
  request: { query: PageQuery },
  responses: { 200: json(page(Registry), "A page of the team's, by host, without passwords."), ...READ_PROBLEMS },
});
const putRegistryRoute = createRoute({
  method: "put",
  path: "/v1/registries/{host}",
  operationId: "putRegistry",
  tags,
  security,
  summary: "Set the pull credentials for a registry",
  request: { params, headers: IdempotencyHeader, ...jsonBody(RegistryLogin) },
  responses: { 200: json(Registry, "Stored; used from the next release on."), ...WRITE_PROBLEMS },
});
const deleteRegistryRoute = createRoute({
  method: "delete",
  path: "/v1/registries/{host}",
  operationId: "deleteRegistry",
  tags,
  security,
  summary: "Forget the pull credentials for a registry",
  request: { params },
  responses: { 204: { description: "Forgotten." }, ...READ_PROBLEMS },
});

export const registries = newApi()
  .openapi(listRegistriesRoute, async (c) => {
    return c.json(unwrap(await listRegistries(databaseOf(c.env), c.get("caller").team.id, c.req.valid("query"))), 200);
  })
  .openapi(putRegistryRoute, async (c) => {
    const host = registryHost(c.req.valid("param").host);
    refuseClosedRegistry(c.env, host, "path:host");
    const { username, password } = c.req.valid("json");
    const { team } = c.get("caller");
    const place = { team: team.id, scope: "registry", name: host };
    const sealedPassword = await seal(c.env.SECRETS_KEYS, place, password);
    const by = byOf(c);
    aboutDeed(c, { subject: host });
    // Setting the same again is the same: this write needs no kept answer.
    return c.json(await putRegistry(databaseOf(c.env), { ...by, team: team.id, host, username, sealedPassword }), 200);
  })
  .openapi(deleteRegistryRoute, async (c) => {
    const { host } = c.req.valid("param");
    const { team } = c.get("caller");
    const by = byOf(c);
    aboutDeed(c, { subject: host });
    const deleted = await deleteRegistry(databaseOf(c.env), { ...by, team: team.id, host });
    if (!deleted) fail("not_found", `This team has no credentials for ${host}.`);
    return c.body(null, 204);
  });

/** A host is right if Docker finds that very host in a reference that begins with it. */
function registryHost(host: string): string {
  if (registryOf(`${host}/image`) === host) return host;
  const message =
    "must be a registry's host as image references have it, such as docker.io or registry.example.com:5000";
  return failField("invalid_request", { pointer: "path:host", rule: "registry_host", message });
}
