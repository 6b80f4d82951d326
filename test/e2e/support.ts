// What the end-to-end tests share: a real stack in a folder of its own, `berth` run against it, and requests through its edge.
import { chmodSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { request, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startStack, type Stack, type StackOptions } from "../../dev/stack.ts";
import { runBerth, type Ran } from "../cli/run-berth.ts";

export interface World {
  readonly stack: Stack;
  /** A folder whose .berth/config.json is signed in as the operator. */
  readonly home: string;
  berth(args: readonly string[], stdin?: string): Promise<Ran>;
  /** Calls the API as the operator; the body as JSON. */
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>;
  /** One request to an app through the edge. */
  visit(app: string, path?: string, options?: { headers?: Record<string, string>; method?: string }): Promise<Visit>;
  end(): Promise<void>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  // Tests read whatever an answer holds; expectations are their types.
  // oxlint-disable-next-line no-explicit-any
  readonly body: any;
}

export interface Visit {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Brings a stack up in a fresh folder. Drains are short, so that a test sees their end. */
export async function createWorld(
  options: Partial<StackOptions> & {
    tuning?: Record<string, number>;
    agentTuning?: Record<string, number>;
    controlVars?: Record<string, string>;
  } = {},
): Promise<World> {
  const home = mkdtempSync(join(tmpdir(), "berth-e2e-"));
  // Else Postgres, which does not run as root, would keep its data outside of this folder.
  chmodSync(home, 0o755);
  const { tuning, agentTuning, controlVars, ...rest } = options;
  const control = { TUNING: JSON.stringify({ drainMs: 4_000, drainMinMs: 1_000, ...tuning }), ...controlVars };
  const agent: Record<string, string> = agentTuning === undefined ? {} : { BERTH_TUNING: JSON.stringify(agentTuning) };
  const ofTests = { fsync: false, keptBundlesDir: process.env.BERTH_KEPT_BUNDLES_DIR };
  const stack = await startStack({ stateDir: join(home, "state"), vars: { control, agent }, ...ofTests, ...rest });
  mkdirSync(join(home, ".berth"));
  const { controlUrl: apiUrl, edgeUrl, operator } = stack;
  writeFileSync(join(home, ".berth/config.json"), JSON.stringify({ apiUrl, edgeUrl, token: operator.token }));
  return {
    stack,
    home,
    berth: (args, stdin) => runBerth(args, { cwd: home, ...(stdin === undefined ? {} : { stdin }) }),
    async api(method, path, body, headers = {}) {
      const answer = await fetch(new URL(path, apiUrl), {
        method,
        headers: { authorization: `Bearer ${operator.token}`, "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, headers: answer.headers, body: text === "" ? null : parsed(text) };
    },
    visit: (app, path = "/", { headers = {}, method = "GET" } = {}) =>
      visit(stack.edgePort, { host: `${app}.${stack.baseDomain}`, path, method, headers }),
    async end() {
      await stack.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function visit(
  port: number,
  to: { host: string; path: string; method: string; headers: Record<string, string> },
): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: "127.0.0.1",
        port,
        path: to.path,
        method: to.method,
        headers: { host: to.host, ...to.headers },
        // On a connection of its own: workerd closes what was idle for 5 s, and a request that crosses that is lost.
        agent: false,
        timeout: 20_000,
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() }),
        );
      },
    );
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer from ${to.host}${to.path} within 20 s`)));
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** Asks until the answer pleases, or fails with the last one. */
export async function eventually<Value>(
  ask: () => Promise<Value>,
  pleases: (value: Value) => boolean,
  { withinMs = 60_000, everyMs = 100 } = {},
): Promise<Value> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    const value = await ask().catch((error: unknown) => error as Value);
    if (!(value instanceof Error) && pleases(value)) return value;
    if (performance.now() > untilMs) throw new Error(`not within ${withinMs} ms; the last was: ${shown(value)}`);
    await sleep(everyMs);
  }
}

const shown = (value: unknown): string =>
  value instanceof Error ? value.message : JSON.stringify(value)?.slice(0, 2_000);

/**
 * An isolate may use its copy of a route for 5 s before it asks again; most hear of a new one with their next answer.
 * Returns the first answer that is by the text's release.
 */
export function serving(world: World, app: string, text: string): Promise<Visit> {
  const byRelease = ({ status, headers }: Visit): boolean => status === 200 && headers["x-app-text"] === text;
  return eventually(() => world.visit(app), byRelease);
}

/** A folder with an app in it: berth.toml and the files given. */
export function writeApp(home: string, name: string, files: Record<string, string>, toml: string): string {
  const folder = join(home, "apps", name);
  mkdirSync(folder, { recursive: true });
  const head = `app = "${name}"\nfolder = "."\ncommand = ["node", "server.mjs"]\n`;
  for (const [path, text] of Object.entries({ ...files, "berth.toml": `${head}${toml}` })) {
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** Small, so that many fit on one machine. */
export const SMALL =
  '[resources]\ncpu = 0.05\nmemory = "96MB"\ndisk = "32MB"\npids = 64\n[probes.readiness]\npath = "/"\n';

/** An app that answers with its version, and a text. */
export const versionServer = (text: string): string => `
import { createServer } from "node:http";
const server = createServer((request, response) => {
  response.writeHead(200, { "x-app-version": "v" + process.env.BERTH_VERSION, "x-app-text": ${JSON.stringify(text)} });
  response.end(JSON.stringify({ version: process.env.BERTH_VERSION, instance: process.env.BERTH_INSTANCE, secret: process.env.SECRET ?? null }));
});
server.keepAliveTimeout = 120_000;
server.listen(Number(process.env.PORT), () => console.log("up", ${JSON.stringify(text)}));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
`;
