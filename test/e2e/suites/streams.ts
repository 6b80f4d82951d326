// What flows through edge and gateway without being held: WebSockets, long downloads, uploads, server-sent events.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { sharedWorld } from "../shared-world.ts";
import { SMALL, writeApp, type World } from "../support.ts";

const MIB = 1024 * 1024;
let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("../apps/echo-server.mjs", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "esm",
    write: false,
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  const files = { "server.mjs": outputFiles[0]?.text ?? "" };
  const ran = await world.berth(["deploy", writeApp(world.home, "echo", files, SMALL)]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
});

/** The resident memory of everything between visitor and app. */
function memoryBytes(): number {
  const pids = world.stack.processes();
  return ["edge.workerd", "gateway:node-1"].reduce((sum, role) => {
    const status = readFileSync(`/proc/${pids[role]}/status`, "utf8");
    return sum + Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  }, 0);
}

function open(path: string, method = "GET") {
  const { edgePort, baseDomain } = world.stack;
  return request({ host: "127.0.0.1", port: edgePort, path, method, headers: { host: `echo.${baseDomain}` } });
}

test("a WebSocket echoes text and bytes", async () => {
  const { edgePort, baseDomain } = world.stack;
  const socket = new WebSocket(`ws://127.0.0.1:${edgePort}/socket`, { headers: { host: `echo.${baseDomain}` } });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const answered = () => new Promise<Buffer>((resolve) => socket.once("message", (data) => resolve(data as Buffer)));
  const text = answered();
  socket.send("ahoy");
  expect((await text).toString()).toBe("ahoy");
  const bytes = randomBytes(200_000);
  const back = answered();
  socket.send(bytes);
  expect((await back).equals(bytes)).toBe(true);
  socket.close();
});

/** Downloads so many MiB as a slow reader: what is not read must not pile up on the way. */
async function download(mib: number): Promise<{ received: number; peakBytes: number }> {
  let received = 0;
  let peakBytes = 0;
  await new Promise<void>((resolve, reject) => {
    const outgoing = open(`/download?mb=${mib}`);
    outgoing.on("response", (answer) => {
      answer.on("data", (chunk: Buffer) => {
        received += chunk.length;
        if (received % (10 * MIB) >= chunk.length) return;
        peakBytes = Math.max(peakBytes, memoryBytes());
        answer.pause();
        setTimeout(() => answer.resume(), 20);
      });
      answer.on("end", resolve).on("error", reject);
    });
    outgoing.on("error", reject).end();
  });
  return { received, peakBytes };
}

test("a 400 MB download arrives whole, and nobody on the way holds it", async () => {
  // The first bytes grow heaps and buffers to their working size; after that, more bytes must not mean more memory.
  const warm = await download(60);
  const { received, peakBytes } = await download(400);
  expect(received).toBe(400 * MIB);
  expect((peakBytes - warm.peakBytes) / MIB).toBeLessThan(100);
});

test("a 200 MB upload arrives whole, and nobody on the way holds it", async () => {
  const before = memoryBytes();
  const chunk = randomBytes(MIB);
  const hash = createHash("sha256");
  const outgoing = open("/upload", "POST");
  const answered = new Promise<string>((resolve, reject) => {
    outgoing.on("error", reject).on("response", (answer) => {
      let text = "";
      answer.on("data", (part: Buffer) => (text += part.toString())).on("end", () => resolve(text));
    });
  });
  let peak = before;
  for (let sent = 0; sent < 200; sent += 1) {
    hash.update(chunk);
    if (!outgoing.write(chunk)) await new Promise((resolve) => outgoing.once("drain", resolve));
    if (sent % 10 === 0) peak = Math.max(peak, memoryBytes());
  }
  outgoing.end();
  expect(JSON.parse(await answered)).toEqual({ bytes: 200 * MIB, sha256: hash.digest("hex") });
  expect((Math.max(peak, memoryBytes()) - before) / MIB).toBeLessThan(100);
});

test("server-sent events arrive one by one, as they are sent", async () => {
  const arrived: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const outgoing = open("/events");
    outgoing.on("error", reject).on("response", (answer) => {
      answer.on("data", (chunk: Buffer) => {
        arrived.push(chunk.toString());
        if (arrived.length < 5) world.visit("echo", "/next").catch(reject);
      });
      answer.on("end", resolve);
    });
    outgoing.end();
  });
  expect(arrived).toEqual([1, 2, 3, 4, 5].map((count) => `data: ${count}\n\n`));
});

test("the app sees who asked, and nothing that a visitor forged", async () => {
  const headers = {
    "berth-ticket": "forged",
    "berth-instance": "forged",
    "x-forwarded-for": "198.51.100.7",
    // As Cloudflare sets it.
    "cf-connecting-ip": "203.0.113.9",
    "x-custom": "kept",
  };
  const { body } = await world.visit("echo", "/seen?a=%20b", { headers });
  const seen = JSON.parse(body);
  expect(seen).toMatchObject({
    method: "GET",
    url: "/seen?a=%20b",
    headers: { "x-custom": "kept", host: `echo.${world.stack.baseDomain}` },
  });
  expect(Object.keys(seen.headers).filter((name) => name.startsWith("berth-"))).toEqual([]);
  expect(seen.headers["x-request-id"]).toMatch(/.{8,}/);
  expect(seen.headers["x-forwarded-for"]).toBe("203.0.113.9");
});

test("an unknown host gets an honest 404: a page for browsers, a problem for programs", async () => {
  const page = await world.visit("nobody", "/", { headers: { accept: "text/html" } });
  expect(page.status).toBe(404);
  expect(page.headers["content-type"]).toContain("text/html");
  const problem = await world.visit("nobody", "/", { headers: { accept: "application/json" } });
  expect(problem.headers["content-type"]).toContain("application/problem+json");
  expect(JSON.parse(problem.body).status).toBe(404);
});
