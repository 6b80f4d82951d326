// What backups and restores ask of the control Worker: objects as lines, keys for their recipient alone, and nothing without the setup token.
import { armor, Decrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { describe, expect, it } from "vitest";
import { AGENT_PROTOCOL } from "../../contracts/agent-protocol.ts";
import { BundleKey, ObjectPage } from "../../contracts/backup.ts";
import type { AppId, ProjectId, RegionName, TeamId } from "../../contracts/ids.ts";
import { agentChannel, readBundle } from "../../workers/control/backup/bundles.ts";
import { backupKeys } from "../../workers/control/backup/keys.ts";
import { dumpObjects } from "../../workers/control/backup/objects.ts";
import { controlEnv, request } from "./control-env.ts";

const appOf = (n: number) => `app_01jzzzzzzze0a00000000008${String(n).padStart(2, "0")}` as AppId;
const create = (app: AppId) =>
  controlEnv.APP.getByName(app).create({
    ...{ actor: "user:tester", idempotencyKey: null, app, name: "shop", replicas: 0, hostnames: [] },
    team: "team_01jzzzzzzze0a0000000000001" as TeamId,
    project: "proj_01jzzzzzzze0a0000000000001" as ProjectId,
    regions: ["nowhere" as RegionName],
  });
const lines = async (stream: ReadableStream<Uint8Array>) =>
  (await new Response(stream).text())
    .trim()
    .split("\n")
    .map((line) => ObjectPage.parse(JSON.parse(line)));

const authorised = (init: RequestInit = {}) => ({
  ...init,
  headers: { authorization: `Bearer ${controlEnv.SETUP_TOKEN}`, "content-type": "application/json" },
});
const load = (pages: object[], init = authorised) =>
  request("/restore/v1/objects", init({ method: "POST", body: JSON.stringify({ backup: "b1", pages }) }));

describe("objects for a backup", () => {
  it("come as lines in the order asked for, those without a row too, and go into empty ones", async () => {
    const refs = Array.from({ length: 20 }, (_, n) => ({ kind: "app" as const, name: appOf(n) }));
    for (const { name } of refs.slice(0, 10)) await create(name);
    const pages = await lines(dumpObjects(controlEnv, refs));
    expect(pages.map(({ name }) => name)).toEqual(refs.map(({ name }) => name));
    expect(pages.map(({ rows }) => rows > 0)).toEqual(refs.map((_, n) => n < 10));
    const other = { ...pages[0]!, name: appOf(50), eventSeq: 7_000 };
    expect((await load([other])).status).toBe(200);
    expect(await controlEnv.APP.getByName(appOf(50)).read({})).toMatchObject({ ok: true, value: { name: "shop" } });
    const [copied] = await lines(dumpObjects(controlEnv, [{ kind: "app", name: appOf(50) }]));
    expect(copied!.text).toContain('"prunedSeq":7000');
  });

  it("are refused by name where one is not empty", async () => {
    const [page] = await lines(dumpObjects(controlEnv, [{ kind: "app", name: appOf(1) }]));
    const answer = await load([{ ...page!, eventSeq: 1 }]);
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ code: "conflict", detail: expect.stringContaining(appOf(1)) });
  });
});

describe("a restore's endpoints", () => {
  it.each(["/restore/v1/objects", "/restore/v1/events", "/restore/v1/missing-bundles", "/restore/v1/documents"])(
    "%s takes nothing without the setup token",
    async (path) => {
      const init = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };
      expect((await request(path, init)).status).toBe(401);
      expect(
        (await request(path, { ...init, headers: { ...init.headers, authorization: "Bearer wrong" } })).status,
      ).toBe(401);
    },
  );

  it("tell keys apart without telling them", async () => {
    expect((await request("/restore/v1/keys")).status).toBe(401);
    const text = await (await request("/restore/v1/keys", authorised())).text();
    expect(Object.keys(JSON.parse(text).fingerprints)).toContain("SECRETS_KEYS");
    expect(text).not.toContain(controlEnv.SETUP_TOKEN);
  });

  it("say what is wrong with a request", async () => {
    const answer = await load([{ kind: "teapot" }]);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: "invalid_request", detail: expect.stringContaining("kind") });
  });
});

describe("keys in a backup", () => {
  it("are read by the recipient that the control plane was set up with", async () => {
    const identity = await generateX25519Identity();
    const keys = await backupKeys({ ...controlEnv, BACKUP_RECIPIENT: await identityToRecipient(identity) });
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    const opened = JSON.parse(await decrypter.decrypt(armor.decode(keys.wrapped!), "text"));
    expect(opened).toMatchObject({ SETUP_TOKEN: controlEnv.SETUP_TOKEN, SECRETS_KEYS: controlEnv.SECRETS_KEYS });
    const stranger = new Decrypter();
    stranger.addIdentity(await generateX25519Identity());
    await expect(stranger.decrypt(armor.decode(keys.wrapped!), "text")).rejects.toThrow();
  });

  it("are left out where there is no recipient", async () => {
    expect((await backupKeys(controlEnv)).wrapped).toBeNull();
  });
});

describe("bundles for a backup", () => {
  const hashOf = async (text: string): Promise<string> => {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  const pathOf = (key: string): string => `/restore/v1/bundle?key=${encodeURIComponent(key)}`;
  const put = (key: string, body: string) => request(pathOf(key), authorised({ method: "PUT", body }));
  const post = (path: string, body: object) =>
    request(`/restore/v1/${path}`, authorised({ method: "POST", body: JSON.stringify(body) }));
  const team = "team_01jzzzzzzze0a0000000000001";

  it("go in by their hash alone, and are missing no more", async () => {
    const key = BundleKey.parse(`bundles/${team}/sha256:${await hashOf("a folder")}`);
    const missing = async () =>
      (await (await post("missing-bundles", { keys: [key] })).json()) as { missing: string[] };
    expect(await missing()).toEqual({ missing: [key] });
    const other = await put(key, "another folder");
    expect(other.status).toBe(422);
    expect(await other.text()).toContain("is not the hash of the body");
    expect(await missing()).toEqual({ missing: [key] });
    expect((await put(key, "a folder")).status).toBe(204);
    expect(await missing()).toEqual({ missing: [] });
    expect(await new Response((await readBundle(controlEnv, key))!.body).text()).toBe("a folder");
  });

  it("are put nowhere without the setup token, nor under any other name", async () => {
    const key = `agents/${await hashOf("x")}`;
    expect((await request(pathOf(key), { method: "PUT", body: "x" })).status).toBe(401);
    for (const name of ["install/installation.json", `snapshots/eu/1.${"a".repeat(64)}`, `bundles/../${key}`])
      expect((await put(name, "x")).status).toBe(400);
    expect((await request(`/v1/backup/bundle?key=${key}`)).status).toBe(401);
    expect((await request("/v1/backup/agent-channel")).status).toBe(401);
  });

  it("are all that releases and servers' installation name; what was published since stays", async () => {
    const agent = await hashOf("an agent");
    const manifest = { version: "1.4.0", sha256: agent, bytes: 8, protocol: AGENT_PROTOCOL, notBefore: 1 };
    const encoded = (json: object) => btoa(JSON.stringify(json)).replace(/=+$/, "");
    const signed = `${encoded({ alg: "EdDSA", typ: "berth-agent+jwt" })}.${encoded(manifest)}.c2lnbmF0dXJl`;
    const documents = [{ key: "agents/manifests/1.4.0", text: signed }];
    expect((await post("documents", { documents })).status).toBe(200);
    const node = { version: "24.0.0", x64: agent, arm64: agent, url: "https://nodejs.org/dist" };
    const installation = { version: "1.4.0", agent, launcher: await hashOf("l"), script: await hashOf("s"), node };
    const whole = { key: "install/installation.json", text: JSON.stringify(installation) };
    expect((await post("documents", { documents: [whole] })).status).toBe(200);
    const newer = { ...whole, text: JSON.stringify({ ...installation, version: "1.5.0" }) };
    expect((await post("documents", { documents: [newer] })).status).toBe(200);
    expect(await agentChannel(controlEnv)).toEqual({
      documents: [...documents, whole],
      bundles: [agent, installation.launcher, installation.script].map((hash) => `agents/${hash}`),
    });
    expect((await post("documents", { documents: [{ ...whole, key: "bundles/x" }] })).status).toBe(400);
  });
});
