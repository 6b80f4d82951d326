// What the objects need of a plain workerd on a local disk: rows and alarms that outlive a SIGKILL.
import { createServer } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { renderValue, type Value } from "../../self-hosted/build/capnp.ts";
import { freePort, PlainWorkerd } from "./plain-workerd.ts";

const OBJECT = `
import { DurableObject } from "cloudflare:workers";
export class Kept extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("create table if not exists rows (value text)");
  }
  async fetch(request) {
    const url = new URL(request.url);
    if (url.pathname === "/write") {
      this.ctx.storage.sql.exec("insert into rows values (?)", url.searchParams.get("value"));
      if (url.searchParams.has("alarm")) await this.ctx.storage.setAlarm(Date.now() + Number(url.searchParams.get("alarm")));
    }
    return Response.json(this.ctx.storage.sql.exec("select value from rows").toArray().map((row) => row.value));
  }
  async alarm() {
    await fetch(this.env.WAKE_URL + this.ctx.id.name);
  }
}
export default { fetch: (request, env) => env.KEPT.getByName(new URL(request.url).searchParams.get("name")).fetch(request) };
`;

let folder: string;
let workerd: PlainWorkerd;
let port: number;
const woken: string[] = [];
const listener = createServer((request, response) => {
  woken.push(request.url ?? "");
  response.end();
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "berth-workerd-"));
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  port = await freePort();
  const wakeUrl = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/`;
  workerd = PlainWorkerd.write(folder, configuration(wakeUrl));
  await workerd.start([port]);
});
afterAll(async () => {
  await workerd?.kill();
  listener.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

function configuration(wakeUrl: string): string {
  const config: Value = {
    services: [
      {
        name: "main",
        worker: {
          modules: [{ name: "object.mjs", esModule: OBJECT.replaceAll("\n", " ") }],
          compatibilityDate: "2026-10-01",
          bindings: [
            { name: "KEPT", durableObjectNamespace: "Kept" },
            { name: "WAKE_URL", text: wakeUrl },
          ],
          durableObjectNamespaces: [{ className: "Kept", uniqueKey: "kept", enableSql: true }],
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

const ask = async (path: string): Promise<unknown> => (await fetch(`http://127.0.0.1:${port}${path}`)).json();

test("what was answered for is there after a SIGKILL", async () => {
  const written: string[] = [];
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 20; i++) {
      await ask(`/write?name=a&value=${round}.${i}`);
      written.push(`${round}.${i}`);
    }
    await workerd.kill();
    await workerd.start([port]);
    expect(await ask("/read?name=a")).toEqual(written);
  }
});

test("an alarm is kept over a SIGKILL, and wakes its object although nobody asks for it", async () => {
  // Far enough away that it is not due before the kill, however busy the machine is.
  await ask("/write?name=b&value=x&alarm=10000");
  await workerd.kill();
  expect(woken).toEqual([]);
  await workerd.start([port]);
  await expect.poll(() => woken, { timeout: 60_000 }).toContain("/b");
});

test("an alarm that came due while workerd was down wakes its object at the start", async () => {
  await ask("/write?name=c&value=x&alarm=300");
  await workerd.kill();
  await new Promise((resolve) => setTimeout(resolve, 500));
  await workerd.start([port]);
  await expect.poll(() => woken, { timeout: 60_000 }).toContain("/c");
});
