// The SQL of one `POST …/releases`, as the drivers send it, played by pgbench to the same Postgres: what Postgres alone could take.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import { connect } from "../../db/connect.ts";
import { spendReleases } from "../../db/queries/app-holdings.ts";
import { findCallerByApiToken } from "../../db/queries/callers.ts";
import { sha256Hex } from "../../workers/control/sha256.ts";
import { quotaPolicy } from "../../workers/control/quota/policy.ts";

interface Query {
  readonly query: string;
  readonly params: readonly unknown[];
}
/** One request of the driver: one query, or a transaction of several. */
type Sent = readonly Query[];

export interface Subject {
  readonly adapter: string;
  readonly appUrl: string;
  readonly authUrl: string;
  readonly adminUrl: string;
  readonly token: string;
  readonly team: TeamId;
  readonly app: AppId;
}

/** Transactions a second, of all the SQL that one release sends. */
export async function pgbenchRate(subject: Subject, dir: string, { clients = 16, seconds = 5 } = {}): Promise<number> {
  const [asked, spent] = await recorded(subject);
  const url = new URL(subject.adminUrl);
  const lines = [
    "set role berth_auth;",
    ...asked.map(literal),
    "begin;",
    "set local role berth_app;",
    ...spent.map(literal),
    "commit;",
  ];
  const script = join(dir, "release.sql");
  writeFileSync(script, `${lines.join("\n")}\n`);
  const arguments_ = ["-n", "-M", "extended", "-f", script, "-c", String(clients), "-j", "2", "-T", String(seconds)];
  const output = execFileSync(
    "pgbench",
    [...arguments_, "-h", url.hostname, "-p", url.port, "-U", url.username, url.pathname.slice(1)],
    {
      env: { ...process.env, PGPASSWORD: decodeURIComponent(url.password) },
      encoding: "utf8",
    },
  );
  const rate = /tps = ([\d.]+)/.exec(output)?.[1];
  if (rate === undefined) throw new Error(`pgbench said nothing of its rate:\n${output}`);
  return Number(rate);
}

async function recorded({ adapter, appUrl, authUrl, token, team, app }: Subject): Promise<[Sent, Sent]> {
  const seen: Sent[] = [];
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    const parsed = JSON.parse(body) as Query | { queries: Query[] };
    seen.push("queries" in parsed ? parsed.queries : [parsed]);
    const headers = Object.entries(request.headers).filter(([name]) => name.startsWith("neon-"));
    const answer = await fetch(`http://${adapter}/sql`, {
      method: "POST",
      body,
      headers: Object.fromEntries(headers) as Record<string, string>,
    });
    response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  await findCallerByApiToken(connect({ url: authUrl, adapter: proxy }), await sha256Hex(token));
  const resources = { cpuMilli: 250, memoryBytes: 1, diskBytes: 1 };
  const of = { team, policy: quotaPolicy({ DEFAULT_PLAN: "starter" }) };
  const ask = { app: { id: app }, registry: "registry.test", replicas: undefined, resources };
  await spendReleases(connect({ url: appUrl, adapter: proxy }), of, [ask]);
  server.closeAllConnections();
  server.close();
  const [asked, spent] = seen;
  if (asked === undefined || spent === undefined) throw new Error("the drivers sent nothing");
  return [asked, spent];
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** pgbench has no text parameters: they stand in the statement, on one line. */
function literal({ query, params }: Query): string {
  const text = query.replaceAll(/\$(\d+)/g, (_all, n: string) => {
    const value = params[Number(n) - 1];
    return value === null || value === undefined ? "null" : `'${String(value).replaceAll("'", "''")}'`;
  });
  return `${text.replaceAll(/\s+/g, " ").replaceAll(/(?<!:):(?=[A-Za-z_])/g, ": ")};`;
}
