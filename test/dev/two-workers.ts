// Two small Workers under a supervisor of a test's own: one owns an object, the other uses it; both share a KV namespace.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { choosePort } from "../../dev/ports.ts";
import { Ledger } from "../../dev/process/ledger.ts";
import { SupervisedChild } from "../../dev/stack/child.ts";
import { makeFolders } from "../../dev/stack/state.ts";
import { workerSpec } from "../../dev/stack/workers.ts";

const OWNER = `
import { DurableObject } from "cloudflare:workers";
export class App extends DurableObject {
  count() {
    this.ctx.storage.sql.exec("create table if not exists seen (n int)");
    this.ctx.storage.sql.exec("insert into seen values (1)");
    return this.ctx.storage.sql.exec("select count(*) as n from seen").one().n;
  }
}
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/put") await env.ROUTES.put(searchParams.get("key"), searchParams.get("value"));
    if (pathname === "/count") return new Response(String(await env.APP.getByName("a").count()));
    return Response.json({ host: request.headers.get("host"), secret: env.SECRET, fromToml: env.FROM_TOML });
  },
};`;

const USER = `
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/get") return new Response(await env.ROUTES.get(searchParams.get("key")));
    try {
      return new Response(String(await env.APP.getByName("a").count()));
    } catch (error) {
      return new Response(error.message, { status: 503 });
    }
  },
};`;

const toml = (name: string, scriptName: string) => `
name = "${name}"
main = "${name}.js"
compatibility_date = "2026-10-01"
[[durable_objects.bindings]]
name = "APP"
class_name = "App"
${scriptName}
[[kv_namespaces]]
binding = "ROUTES"
id = "routes"
[vars]
FROM_TOML = "yes"
SECRET = "replaced by what the stack passes"
`;

export interface TwoWorkers {
  readonly dir: string;
  readonly owner: SupervisedChild;
  readonly user: SupervisedChild;
  readonly workerd: { owner: number | null; user: number | null };
  ask(worker: "owner" | "user", path: string): Promise<string>;
  remove(): Promise<void>;
}

export async function twoWorkers(): Promise<TwoWorkers> {
  const dir = mkdtempSync(join(tmpdir(), "berth-workers-"));
  makeFolders(dir);
  writeFileSync(join(dir, "owner.js"), OWNER);
  writeFileSync(join(dir, "user.js"), USER);
  writeFileSync(
    join(dir, "owner.toml"),
    `${toml("owner", "")}[[migrations]]\ntag = "v1"\nnew_sqlite_classes = ["App"]\n`,
  );
  writeFileSync(join(dir, "user.toml"), toml("user", 'script_name = "owner"'));
  const deps = { ledger: new Ledger(dir), stackId: `test-${process.pid}-${Date.now()}`, log: () => {} };
  const workerd: TwoWorkers["workerd"] = { owner: null, user: null };
  const ports = { owner: await choosePort([]), user: await choosePort([]) };
  const child = async (name: "owner" | "user", role: "control" | "edge") =>
    new SupervisedChild(
      await workerSpec({
        role,
        tomlPath: join(dir, `${name}.toml`),
        stateDir: dir,
        port: ports[name],
        bindings: { SECRET: "s3cret" },
        onWorkerd: (pid) => (workerd[name] = pid),
      }),
      deps,
    );
  const [owner, user] = await Promise.all([child("owner", "control"), child("user", "edge")]);
  await Promise.all([owner.start(), user.start()]);
  return {
    dir,
    owner,
    user,
    workerd,
    async ask(worker, path) {
      const response = await fetch(`http://127.0.0.1:${ports[worker]}${path}`, { signal: AbortSignal.timeout(30_000) });
      return response.text();
    },
    async remove() {
      await Promise.all([owner.stop(), user.stop()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
