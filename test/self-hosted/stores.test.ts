// What stands in place of R2 and KV, in a plain workerd with a real store beside it: asked as the Workers ask it.
import { createHash } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundleWorker } from "../../self-hosted/build/bundle.ts";
import { Embedded, renderValue, type Value } from "../../self-hosted/build/capnp.ts";
import { freePort, PlainWorkerd } from "./plain-workerd.ts";
import { S3_KEYS, startS3Store, type S3Store } from "./s3-store.ts";

/** `what` is the method, `key` its first argument; the body and the other parameters follow. */
const ASKER = `
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const [, store, method] = pathname.split("/");
    const given = searchParams.get("options");
    const options = given === null ? [] : [JSON.parse(given)];
    const key = searchParams.get("key");
    const isText = request.headers.get("content-type") === "text/plain";
    const body = request.method === "PUT" ? [isText ? await request.text() : request.body] : [];
    try {
      const answer = await env[store][method](...(key === null ? [] : [key]), ...body, ...options);
      if (answer?.body) return new Response(answer.body, { headers: { "x-size": String(answer.size) } });
      return Response.json(answer ?? null);
    } catch (error) {
      return new Response(String(error), { status: 500 });
    }
  },
};`;

let folder: string;
let store: S3Store;
let workerd: PlainWorkerd;
let port: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "berth-stores-"));
  chmodSync(folder, 0o755);
  [store, port] = await Promise.all([startS3Store(folder, "bundles"), freePort()]);
  await bundleWorker(join(import.meta.dirname, "../../self-hosted/workers/stores.ts"), join(folder, "stores.mjs"));
  workerd = PlainWorkerd.write(folder, configuration(S3_KEYS.BERTH_S3_SECRET_ACCESS_KEY));
  await workerd.start([port]);
});
afterAll(async () => {
  await workerd?.kill();
  await store?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

function configuration(secretKey: string): string {
  const text = (name: string, value: string): Value => ({ name, text: value });
  const entrypoint = (name: string): Value => ({ name: "stores", entrypoint: name });
  const config: Value = {
    services: [
      {
        name: "main",
        worker: {
          modules: [{ name: "asker.mjs", esModule: ASKER.replaceAll("\n", " ") }],
          compatibilityDate: "2026-10-01",
          bindings: [
            { name: "BUNDLES", service: entrypoint("Bundles") },
            { name: "ROUTES", service: entrypoint("Routes") },
          ],
        },
      },
      {
        name: "stores",
        worker: {
          modules: [{ name: "stores.mjs", esModule: new Embedded("stores.mjs") }],
          compatibilityDate: "2026-10-01",
          bindings: [
            { name: "TABLE", durableObjectNamespace: "RouteTable" },
            text("S3_ENDPOINT", store.endpoint),
            text("S3_BUCKET", "bundles"),
            text("S3_REGION", "us-east-1"),
            text("S3_ACCESS_KEY_ID", S3_KEYS.BERTH_S3_ACCESS_KEY_ID),
            text("S3_SECRET_ACCESS_KEY", secretKey),
          ],
          durableObjectNamespaces: [{ className: "RouteTable", uniqueKey: "table", enableSql: true }],
          durableObjectStorage: { localDisk: "objects" },
        },
      },
      { name: "objects", disk: { writable: true } },
      { name: "internet", network: { allow: ["private"] } },
    ],
    sockets: [{ name: "http", address: `127.0.0.1:${port}`, http: {}, service: "main" }],
  };
  return `using Workerd = import "/workerd/workerd.capnp";\nconst config :Workerd.Config = ${renderValue(config)};\n`;
}

interface Asked {
  readonly key?: string;
  readonly options?: unknown;
  readonly body?: Uint8Array<ArrayBuffer> | string;
}

function ask(what: string, { key, options, body }: Asked): Promise<Response> {
  const query = new URLSearchParams({
    ...(key === undefined ? {} : { key }),
    ...(options === undefined ? {} : { options: JSON.stringify(options) }),
  });
  const sent = body === undefined ? {} : { method: "PUT", body, headers: typeOf(body) };
  return fetch(`http://127.0.0.1:${port}/${what}?${query.toString()}`, sent);
}

const typeOf = (body: Uint8Array | string): Record<string, string> =>
  typeof body === "string" ? { "content-type": "text/plain" } : {};
const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const answerTo = async (what: string, asked: Asked): Promise<unknown> => (await ask(what, asked)).json();

async function keysBelow(prefix: string): Promise<string[]> {
  const answer = await answerTo("BUNDLES/list", { options: { prefix, limit: 10 } });
  return (answer as { objects: { key: string }[] }).objects.map(({ key }) => key).sort();
}

test("a stream is kept under its key, whole, and nothing else is left in the bucket", async () => {
  const bytes = new Uint8Array(3_000_000).map((_, at) => at % 251);
  const options = { sha256: sha256Of(bytes), bytes: bytes.length };
  const kept = await ask("BUNDLES/put", { key: "team/a b.tgz", body: bytes, options });
  expect(await kept.text()).toBe("null");
  const found = await ask("BUNDLES/get", { key: "team/a b.tgz" });
  expect(found.headers.get("x-size")).toBe("3000000");
  expect(sha256Of(await found.bytes())).toBe(options.sha256);
  expect(await answerTo("BUNDLES/head", { key: "team/a b.tgz" })).toEqual({ size: 3_000_000 });
  expect(await keysBelow("")).toEqual(["team/a b.tgz"]);
});

test("a stream with another hash is refused by that name, and is nowhere to be found", async () => {
  const [right, wrong] = [new Uint8Array(300_000).fill(1), new Uint8Array(300_000).fill(2)];
  const options = { sha256: sha256Of(right), bytes: 300_000 };
  const refused = await ask("BUNDLES/put", { key: "refused", body: wrong, options });
  expect(refused.status).toBe(500);
  expect(await refused.text()).toContain("10037");
  expect(await answerTo("BUNDLES/head", { key: "refused" })).toBeNull();
  expect(await answerTo("BUNDLES/get", { key: "refused" })).toBeNull();
});

test("a small document is replaced, unless what is there is to stay", async () => {
  const key = "agents/manifests/1.0.0";
  await ask("BUNDLES/put", { key, body: "first" });
  await ask("BUNDLES/put", { key, body: "second" });
  await ask("BUNDLES/put", { key, body: "third", options: { onlyIf: { etagDoesNotMatch: "*" } } });
  expect(await (await ask("BUNDLES/get", { key })).text()).toBe("second");
  await ask("BUNDLES/put", { key: `${key}-a`, body: "new", options: { onlyIf: { etagDoesNotMatch: "*" } } });
  expect(await keysBelow("agents/manifests/")).toEqual([key, `${key}-a`]);
  expect(await keysBelow("agents/manifests/1.0.0-")).toEqual([`${key}-a`]);
  expect(await keysBelow("none/")).toEqual([]);
  await ask("BUNDLES/delete", { options: [`${key}-a`, "not there"] });
  expect(await keysBelow("agents/manifests/")).toEqual([key]);
});

test("a route is read as it was written last, and is gone once deleted", async () => {
  expect(await answerTo("ROUTES/get", { key: "h:a" })).toBeNull();
  await ask("ROUTES/put", { key: "h:a", body: '{"app":"x"}' });
  await ask("ROUTES/put", { key: "h:a", body: '{"app":"y"}' });
  expect(await answerTo("ROUTES/get", { key: "h:a" })).toEqual({ app: "y" });
  await ask("ROUTES/delete", { key: "h:a" });
  expect(await answerTo("ROUTES/get", { key: "h:a" })).toBeNull();
});

test("routes outlive a SIGKILL; a key that the store does not take is told with the store's own words", async () => {
  await ask("ROUTES/put", { key: "h:b", body: '{"app":"x"}' });
  await workerd.kill();
  workerd = PlainWorkerd.write(folder, configuration("wrong"));
  await workerd.start([port]);
  expect(await answerTo("ROUTES/get", { key: "h:b" })).toEqual({ app: "x" });
  const refused = await ask("BUNDLES/list", { options: { prefix: "", limit: 10 } });
  expect(await refused.text()).toMatch(/the S3 store answered GET with 403: .*SignatureDoesNotMatch/s);
});
