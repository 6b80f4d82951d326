// The second opinion on a reported instance, asked of real gateways: who counts as reachable, and who does not.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../bench/shared/edge-world.ts";
import { teamId } from "../../bench/shared/gateway-world.ts";
import type { Endpoint } from "../../contracts/route.ts";
import { bundleWorker } from "../../self-hosted/build/bundle.ts";
import { readWranglerConfig } from "../../self-hosted/build/wrangler-config.ts";
import { httpApp, tcpApp } from "../node-agent/gateway/upstreams.ts";
import { edgeTest, Stage, type TestApp } from "./world.ts";

type Options = Parameters<typeof convertV4MiniflareOptions>[0];

/** The control Worker's entrypoint alone: what is posted here is what the App object would ask. */
const MAIN = `
export { InstanceProbe } from ${JSON.stringify(new URL("../../workers/control/entrypoints/instance-probe.ts", import.meta.url).pathname)};
export default { fetch: async (request, env, ctx) => Response.json(await ctx.exports.InstanceProbe.probe(await request.json())) };
`;

let stage: Stage;
let control: Miniflare;
let dir: string;

beforeAll(async () => {
  stage = new Stage(await edgeTest(2));
  dir = await mkdtemp(join(tmpdir(), "berth-second-opinion-"));
  await writeFile(join(dir, "main.js"), MAIN);
  await bundleWorker(join(dir, "main.js"), join(dir, "worker.mjs"));
  const { options } = readWranglerConfig(new URL("../../wrangler.toml", import.meta.url).pathname);
  const { compatibilityDate, compatibilityFlags } = options;
  control = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: await readFile(join(dir, "worker.mjs"), "utf8"),
      compatibilityDate,
      compatibilityFlags,
      bindings: { TICKET_SIGNING_KEY: stage.world.key.secret, BASE_DOMAIN: "localhost", SECRETS_KEYS: "unused" },
      kvNamespaces: ["ROUTES"],
    } as Options),
  );
  await control.ready;
});
afterAll(async () => {
  await control.dispose();
  await rm(dir, { recursive: true, force: true });
  await stage.stop();
});

async function opinionOf(app: TestApp, endpoint: Endpoint): Promise<{ ok: boolean; message: string }> {
  const input = { app: app.app, team: teamId(app.number), name: "hello", targets: [{ endpoint, path: "/ready?x=1" }] };
  const answer = await control.dispatchFetch("http://control/", { method: "POST", body: JSON.stringify(input) });
  const { results } = (await answer.json()) as { results: { instance: string; ok: boolean; message: string }[] };
  expect(results.map(({ instance }) => instance)).toEqual([endpoint.instance]);
  return results[0] as { ok: boolean; message: string };
}

test("an instance that answers is reachable, whatever it answers, and is asked for what its readiness is asked by", async () => {
  const app = stage.fresh();
  const asked: string[] = [];
  const backend = await httpApp((request, response) => {
    asked.push(`${request.method} ${request.headers.host} ${request.url}`);
    response.writeHead(500).end();
  });
  await stage.put(1, app.row(1, stage.add(backend)));
  expect(await opinionOf(app, app.endpoint(1, 1))).toEqual({
    instance: app.endpoint(1, 1).instance,
    generation: 1,
    ok: true,
    message: "it answered 500",
  });
  expect(asked).toEqual(["GET hello.localhost /ready?x=1"]);
});

test("an instance that does not listen, or breaks off, is not", async () => {
  const app = stage.fresh();
  const gone = await httpApp(() => undefined);
  await gone.close();
  await stage.put(1, app.row(1, gone));
  await stage.put(1, app.row(2, stage.add(await tcpApp((socket) => socket.once("data", () => socket.destroy())))));
  expect(await opinionOf(app, app.endpoint(1, 1))).toMatchObject({
    ok: false,
    message: expect.stringContaining("connect_failed") as string,
  });
  expect(await opinionOf(app, app.endpoint(2, 1))).toMatchObject({
    ok: false,
    message: expect.stringContaining("upstream_reset") as string,
  });
});

test("an instance that is slow behind a gateway that answers is reachable; behind one that is frozen it is not", async () => {
  const app = stage.fresh();
  await stage.put(2, app.row(1, stage.add(await httpApp(() => undefined))));
  expect(await opinionOf(app, app.endpoint(1, 2))).toMatchObject({
    ok: true,
    message: "it is slow, and its gateway answers",
  });
  stage.world.gateways[1]?.process.kill("SIGSTOP");
  const frozen = await opinionOf(app, app.endpoint(1, 2));
  stage.world.gateways[1]?.process.kill("SIGCONT");
  expect(frozen).toMatchObject({ ok: false, message: "neither it nor its gateway answers" });
});

test("a gateway that refuses connections is not reachable, one that has not heard of the instance is", async () => {
  const app = stage.fresh();
  const nowhere = { ...app.endpoint(1, 1), gatewayUrl: `http://127.0.0.1:${await freePort()}` };
  expect((await opinionOf(app, nowhere)).ok).toBe(false);
  expect(await opinionOf(app, app.endpoint(9, 1))).toMatchObject({ ok: true, message: "its gateway does not have it" });
});
