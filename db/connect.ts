// The one way to Postgres: Neon's driver, over HTTP for what one request can say, over a WebSocket for real transactions.
import { neon, neonConfig, Pool } from "@neondatabase/serverless";
import type { BatchItem, BatchResponse } from "drizzle-orm/batch";
import { drizzle as overHttp, type NeonHttpDatabase } from "drizzle-orm/neon-http";
import { drizzle as overSocket, type NeonDatabase } from "drizzle-orm/neon-serverless";
import { DatabaseUnavailable, rethrow } from "./errors.ts";
import { setScope, type Scope } from "./scope.ts";

export interface ConnectOptions {
  readonly url: string;
  /** host:port of the local Neon adapter; absent in production. */
  readonly adapter?: string;
}

/** What builds statements; nothing of it runs until the batch is sent. */
export type Statements = NeonHttpDatabase;
export type Transaction = Parameters<Parameters<NeonDatabase["transaction"]>[0]>[0];
type Item = BatchItem<"pg">;
export interface Prepared<Value> {
  execute(values: Record<string, unknown>): Promise<Value>;
}

/** Every method throws DatabaseUnavailable where Postgres cannot be reached in time. */
export interface Database {
  /** One statement under a scope, in one HTTP request. */
  run<Query extends Item>(scope: Scope, build: (statements: Statements) => Query): Promise<Query["_"]["result"]>;
  /**
   * As berth_auth, a statement that is built once: to build its SQL costs a Worker as much processor time as to send it, which matters
   * for what every request asks. values: of its placeholders, as the driver takes them.
   */
  ask<Value>(prepare: (statements: Statements) => Prepared<Value>, values: Record<string, unknown>): Promise<Value>;
  /** Several statements in one transaction and one HTTP request. */
  runAll<First extends Item, Queries extends readonly [First, ...Item[]]>(
    scope: Scope,
    build: (statements: Statements) => Queries,
  ): Promise<BatchResponse<Queries>>;
  /** A transaction whose statements depend on each other's answers. Costs a handshake; made, used and ended here. */
  transaction<Value>(scope: Scope, work: (tx: Transaction) => Promise<Value>): Promise<Value>;
}

/**
 * How long Postgres is waited for: for a connection, and for an answer. Its own statement_timeout of 5 s (db/migrate.ts) speaks first,
 * where it can still speak. Tests that are not about it wait longer: a busy machine's Postgres is not away.
 */
export const PATIENCE = { connectMs: 3_000, statementMs: 6_000 };

/** Nothing of a database is a connection or a request's: one per address serves a Worker for as long as it lives. */
const databases = new Map<string, Database>();

/** The URL alone decides where; `adapter` only says that a local stand-in for Neon's proxy speaks its two wires. */
export function connect(options: ConnectOptions): Database {
  configure(options.adapter);
  const key = `${options.adapter ?? ""} ${options.url}`;
  const known = databases.get(key) ?? newDatabase(options);
  databases.set(key, known);
  return known;
}

function newDatabase({ url }: ConnectOptions): Database {
  const statements = overHttp(neon(url));
  const prepared = new Map<unknown, Prepared<unknown>>();
  return {
    async run(scope, build) {
      const query = build(statements);
      // berth_auth's policies read no setting, and authentication is on the path of every request.
      if (scope.kind === "auth") return (query as unknown as Promise<never>).then((answer) => answer, rethrow);
      const results = await statements
        .batch([statements.execute(setScope(scope)), query] as [Item, Item])
        .catch(rethrow);
      return results[1];
    },
    ask(prepare, values) {
      const known = (prepared.get(prepare) as ReturnType<typeof prepare> | undefined) ?? prepare(statements);
      prepared.set(prepare, known);
      return known.execute(values).catch(rethrow);
    },
    async runAll(scope, build) {
      const queries = build(statements);
      const batch = [statements.execute(setScope(scope)), ...queries] as [Item, ...Item[]];
      const results = await statements.batch(batch).catch(rethrow);
      return results.slice(1) as never;
    },
    transaction: (scope, work) => inTransaction(url, scope, work),
  };
}

function configure(adapter: string | undefined): void {
  neonConfig.fetchFunction = fetchInTime;
  if (adapter === undefined) return;
  neonConfig.fetchEndpoint = `http://${adapter}/sql`;
  neonConfig.wsProxy = () => `${adapter}/v1`;
  neonConfig.useSecureWebSocket = false;
  neonConfig.pipelineTLS = false;
  neonConfig.pipelineConnect = false;
}

/** What the driver reads of an answer. */
type Answer = Pick<Response, "ok" | "status" | "json" | "text">;

/**
 * The whole answer, within PATIENCE.statementMs. What comes later is left to itself rather than aborted: a signal, and all the more one of
 * AbortSignal.timeout, keeps each request and its answer in memory beyond their end, and under load a Worker then stands still for a tenth of
 * a second, every few seconds, to sort that out.
 */
async function fetchInTime(input: string, init: RequestInit): Promise<Answer> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const end = () => reject(new DOMException("Postgres did not answer in time", "TimeoutError"));
    timer = setTimeout(end, PATIENCE.statementMs);
  });
  try {
    return await Promise.race([fetchWhole(input, init), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function fetchWhole(input: string, init: RequestInit): Promise<Answer> {
  const answer = await fetch(input, init);
  const { ok, status } = answer;
  const text = await answer.text();
  return { ok, status, text: async () => text, json: async () => JSON.parse(text) };
}

async function inTransaction<Value>(
  url: string,
  scope: Scope,
  work: (tx: Transaction) => Promise<Value>,
): Promise<Value> {
  const pool = new Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: PATIENCE.connectMs,
    query_timeout: PATIENCE.statementMs,
  });
  // A connection that breaks while nothing is asked of it: the next statement says so, which is soon enough.
  pool.on("error", () => {});
  try {
    const client = await pool.connect().catch((error: unknown) => {
      throw new DatabaseUnavailable(error);
    });
    client.on("error", () => {});
    let broken = true;
    try {
      const value = await overSocket(client).transaction(async (tx) => {
        await tx.execute(setScope(scope));
        return work(tx);
      });
      broken = false;
      return value;
    } finally {
      // Destroyed after a failure: a connection that hangs would be waited for otherwise.
      client.release(broken);
    }
  } catch (error) {
    rethrow(error);
  } finally {
    await pool.end().catch(() => {});
  }
}
