// Who gets through a gateway: only the bearer of a ticket for this very team, app, instance, generation, node and use.
import { SignJWT, importJWK, generateKeyPair } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TICKET_ISSUER, TICKET_TYP } from "../../../contracts/ticket.ts";
import {
  appId,
  endpointInstance,
  instanceId,
  nodeId,
  signingKey,
  startGateway,
  teamId,
  type GatewayProcess,
  type SigningKey,
} from "../../../bench/shared/gateway-world.ts";
import { httpApp, send, ticket, type Answer, type App } from "./upstreams.ts";

let key: SigningKey;
let gateway: GatewayProcess;
let [mine, theirs]: App[] = [];

beforeAll(async () => {
  key = await signingKey();
  gateway = await startGateway({ node: nodeId(1), key });
  mine = await httpApp((_request, response) => void response.end("mine"));
  theirs = await httpApp((_request, response) => void response.end("theirs"));
  await gateway.write({ instances: both(), routes: { [appId(1)]: 7 } });
});
afterAll(async () => {
  await gateway.stop();
  await mine?.close();
  await theirs?.close();
});

const both = () => [
  endpointInstance(mine?.port ?? 0, { instance: instanceId(1) }),
  endpointInstance(theirs?.port ?? 0, { instance: instanceId(2), app: appId(2), team: teamId(2) }),
];
const ask = (value: string, path = "/"): Promise<Answer> =>
  send(gateway.port, { path, headers: { "berth-ticket": value } });

interface Forgery {
  header?: object;
  claims?: object;
  iat?: number;
  ttl?: number;
  secret?: Parameters<SignJWT["sign"]>[0];
}

/** A ticket right in all but what is wished. */
async function forged({ header = {}, claims = {}, iat = 0, ttl = 60, secret }: Forgery): Promise<string> {
  const own = await importJWK(JSON.parse(key.secret) as object, "EdDSA");
  const nowSeconds = Math.floor(Date.now() / 1_000) + iat;
  const usual = {
    team: teamId(1),
    app: appId(1),
    gen: 1,
    use: "app",
    iss: TICKET_ISSUER,
    aud: nodeId(1),
    sub: instanceId(1),
  };
  return new SignJWT({ ...usual, iat: nowSeconds, exp: nowSeconds + ttl, ...claims })
    .setProtectedHeader({ alg: "EdDSA", typ: TICKET_TYP, kid: "t1", ...header })
    .sign(secret ?? own);
}

describe("a ticket", () => {
  test("opens its instance, again and again, and the answer names route version and instance", async () => {
    const value = await ticket(key);
    for (let round = 0; round < 3; round++) {
      const answer = await ask(value);
      expect(answer).toMatchObject({ status: 200, body: "mine" });
      expect(answer.headers).toMatchObject({ "berth-route-version": "7", "berth-instance": instanceId(1) });
    }
    expect((await ask(await forged({}))).status).toBe(200);
  });

  test("an edge that knows the newest version is not told; one that knows an older one is", async () => {
    const value = await ticket(key);
    expect((await ask(`${value} 7 http abcdefgh - x.test`)).headers).not.toHaveProperty("berth-route-version");
    expect((await ask(`${value} 6 http abcdefgh - x.test`)).headers).toMatchObject({ "berth-route-version": "7" });
  });

  test("without one there is an answer, but no app's", async () => {
    const answer = await send(gateway.port);
    expect(answer).toMatchObject({ status: 401, headers: { "berth-gateway-error": "ticket_missing" } });
  });

  const refused: [string, () => Promise<string>][] = [
    ["of another key under a known name", async () => forged({ secret: (await generateKeyPair("EdDSA")).privateKey })],
    ["of an unknown key", () => forged({ header: { kid: "t2" } })],
    ["of another type", () => forged({ header: { typ: "berth-node+jwt" } })],
    ["of another issuer", () => forged({ claims: { iss: "berth-control" } })],
    ["for another node", () => forged({ claims: { aud: nodeId(2) } })],
    ["for another team", () => forged({ claims: { team: teamId(2) } })],
    ["for another app", () => forged({ claims: { app: appId(2) } })],
    ["for an instance of another team", () => forged({ claims: { sub: instanceId(2) } })],
    ["valid for longer than a minute", () => forged({ ttl: 61 })],
    ["from the future", () => forged({ iat: 30 })],
    ["without an app", () => forged({ claims: { app: undefined } })],
    ["without an expiry", () => forged({ claims: { exp: undefined } })],
    ["for logs, on the app's path", () => forged({ claims: { use: "logs" } })],
    ["for exec", () => forged({ claims: { use: "exec" } })],
    [
      "signed by nobody",
      async () => `${Buffer.from('{"alg":"none"}').toString("base64url")}.${(await forged({})).split(".")[1]}.`,
    ],
    ["cut short", async () => (await forged({})).slice(0, -4)],
    ["that is no ticket", () => Promise.resolve("letmein")],
    ["as long as a novel", () => Promise.resolve("x".repeat(10_000))],
  ];
  test.each(refused)("%s is refused, and refused again", async (_name, make) => {
    const value = await make();
    for (let round = 0; round < 2; round++) {
      expect(await ask(value)).toMatchObject({ status: 401, headers: { "berth-gateway-error": "ticket_invalid" } });
    }
  });

  test("HMAC with the public key as the secret is refused", async () => {
    const secret = new TextEncoder().encode(JSON.stringify(key.publicKey));
    expect((await ask(await forged({ header: { alg: "HS256" }, secret }))).headers["berth-gateway-error"]).toBe(
      "ticket_invalid",
    );
  });

  test("that was good a moment ago ends with its time, although it is remembered", async () => {
    const value = await forged({ ttl: 8 });
    expect((await ask(value)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 8_100));
    expect(await ask(value)).toMatchObject({ status: 401, headers: { "berth-gateway-error": "ticket_expired" } });
    expect((await ask(await forged({ iat: -120 }))).headers["berth-gateway-error"]).toBe("ticket_expired");
  });

  test("of an older or newer generation meets an instance that is gone, with the newest route version", async () => {
    const answer = await ask(await ticket(key, { generation: 2 }));
    expect(answer).toMatchObject({
      status: 421,
      headers: { "berth-gateway-error": "instance_gone", "berth-route-version": "7" },
    });
  });

  test("the gateway's own paths are not the app's to answer", async () => {
    expect(await ask(await ticket(key), "/.berth/logs")).toMatchObject({ status: 401 });
    expect(await send(gateway.port, { path: "/.berth/health" })).toMatchObject({ status: 200 });
  });
});

describe("an address that changes hands", () => {
  test("serves its new owner only, and the old ticket meets a gone instance", async () => {
    const old = await ticket(key);
    await gateway.write({
      instances: [endpointInstance(mine?.port ?? 0, { instance: instanceId(3), app: appId(2), team: teamId(2) })],
    });
    expect(await ask(old)).toMatchObject({ status: 421 });
    const owner = await ticket(key, { instance: instanceId(3), app: appId(2), team: teamId(2) });
    expect(await ask(owner)).toMatchObject({ status: 200 });
    await gateway.write({ instances: both() });
  });

  test("while two live instances claim it, neither is served", async () => {
    const twin = endpointInstance(mine?.port ?? 0, { instance: instanceId(4), app: appId(2), team: teamId(2) });
    await gateway.write({ instances: [...both(), twin] });
    expect(await ask(await ticket(key))).toMatchObject({ status: 421 });
    expect(await ask(await ticket(key, { instance: instanceId(4), app: appId(2), team: teamId(2) }))).toMatchObject({
      status: 421,
    });
    await gateway.write({ instances: both() });
    expect(await ask(await ticket(key))).toMatchObject({ status: 200 });
  });

  test.each([
    ["serving", 200],
    ["draining", 200],
    ["gone", 421],
    ["starting", 421],
  ] as const)("an instance that is %s answers %d", async (state, status) => {
    await gateway.write({ instances: [endpointInstance(mine?.port ?? 0, { instance: instanceId(1), state })] });
    expect((await ask(await ticket(key))).status).toBe(status);
    await gateway.write({ instances: both() });
  });
});
