// Neon's `POST /sql`: one query or one transaction per request, over pooled connections to the one Postgres.
import pg from "pg";
import { parseSqlRequest, type SqlQuery, type SqlRequest } from "./sql-request.ts";
import { toJsonValue } from "./json-values.ts";
import { CONNECT_TIMEOUT_MS, type PostgresTarget } from "./target.ts";

export interface SqlAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Neon's own proxy refuses larger answers too. */
const RESULT_BYTES_MAX = 64 * 1024 * 1024;
const POOLS_MAX = 16;
const CONNECTIONS_PER_POOL_MAX = 12;

/** The fields of a Postgres error that the driver copies into its NeonDbError. */
const ERROR_FIELDS = [
  "severity", "code", "detail", "hint", "position", "internalPosition", "internalQuery", "where",
  "schema", "table", "column", "dataType", "constraint", "file", "line", "routine",
] as const; // prettier-ignore

/** All values as Postgres' own text: the driver parses them, as it does what the real proxy sends. */
const RAW_TEXT_TYPES = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

export class SqlEndpoint {
  readonly #target: PostgresTarget;
  readonly #pools = new Map<string, pg.Pool>();

  constructor(target: PostgresTarget) {
    this.#target = target;
  }

  async answer(headers: Readonly<Record<string, string | string[] | undefined>>, body: string): Promise<SqlAnswer> {
    const request = parseSqlRequest(headers, body);
    if ("refusal" in request) return { status: 400, body: { message: request.refusal } };
    let client: pg.PoolClient;
    try {
      client = await this.#pool(request).connect();
    } catch (error) {
      return failed(error);
    }
    let spoilt: Error | undefined;
    const onError = (error: Error) => (spoilt = error);
    client.on("error", onError);
    try {
      const answer = request.batch === null ? await this.#single(client, request) : await runBatch(client, request);
      if (answer.spoils) spoilt = new Error("the session's settings were changed");
      return { status: 200, body: answer.body };
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) spoilt = error as Error;
      return failed(error);
    } finally {
      client.off("error", onError);
      client.release(spoilt);
    }
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.end()));
  }

  async #single(client: pg.PoolClient, request: SqlRequest) {
    const [query] = request.queries;
    if (query === undefined) throw new Error("a request without a query");
    const result = await run(client, query);
    return { body: render(result, request), spoils: changesSession(result) };
  }

  #pool({ user, password, database }: SqlRequest): pg.Pool {
    const key = JSON.stringify([user, password, database]);
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    if (this.#pools.size >= POOLS_MAX) {
      const [oldest] = this.#pools;
      if (oldest !== undefined) {
        this.#pools.delete(oldest[0]);
        void oldest[1].end();
      }
    }
    const pool = new pg.Pool({
      host: this.#target.host,
      port: this.#target.port,
      ssl: this.#target.tls ?? false,
      user,
      password,
      database,
      max: CONNECTIONS_PER_POOL_MAX,
      idleTimeoutMillis: 10_000,
      connectionTimeoutMillis: this.#target.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      keepAlive: true,
      pipeline: true,
    });
    // An idle connection that Postgres dropped: the pool discards it, the next request opens another.
    pool.on("error", () => {});
    this.#pools.set(key, pool);
    return pool;
  }
}

async function runBatch(client: pg.PoolClient, request: SqlRequest) {
  const { isolation, readOnly, deferrable } = request.batch ?? { isolation: null, readOnly: null, deferrable: null };
  const modes = [
    isolation === null ? null : `isolation level ${isolation}`,
    readOnly === null ? null : readOnly ? "read only" : "read write",
    deferrable === null ? null : deferrable ? "deferrable" : "not deferrable",
  ].filter((mode) => mode !== null);
  // All on the wire at once. After one that fails Postgres refuses the others, and the commit rolls back.
  const ends = await Promise.allSettled([
    client.query(`begin ${modes.join(", ")}`),
    ...request.queries.map((query) => run(client, query)),
    client.query("commit"),
  ]);
  const failure = ends.find((end) => end.status === "rejected");
  if (failure !== undefined) throw failure.reason;
  const answers = ends.slice(1, -1).map((end) => (end as PromiseFulfilledResult<pg.QueryArrayResult>).value);
  return {
    body: { results: answers.map((answer) => render(answer, request)) },
    spoils: answers.some(changesSession),
  };
}

function run(client: pg.PoolClient, { query, params }: SqlQuery): Promise<pg.QueryArrayResult> {
  // `queryMode: extended` refuses several statements in one text, as the real proxy does.
  const config = {
    text: query,
    values: [...params],
    rowMode: "array" as const,
    types: RAW_TEXT_TYPES,
    queryMode: "extended",
  };
  return client.query(config as pg.QueryArrayConfig);
}

/** A pooled connection must not carry one request's SET or LISTEN into another's. */
function changesSession({ command }: pg.QueryArrayResult): boolean {
  return (
    command === "SET" || command === "LISTEN" || command === "PREPARE" || command === "BEGIN" || command === "START"
  );
}

function render(result: pg.QueryArrayResult, { arrayMode, rawText }: SqlRequest) {
  const rows = rawText
    ? result.rows
    : result.rows.map((row) =>
        row.map((value, i) => toJsonValue(value as string | null, result.fields[i]?.dataTypeID ?? 0)),
      );
  const bytes = rows.reduce(
    (sum, row) => sum + row.reduce((inner: number, value) => inner + String(value).length, 0),
    0,
  );
  if (bytes > RESULT_BYTES_MAX)
    throw Object.assign(new Error("response is too large (max is 67108864 bytes)"), { isAnswer: true });
  return {
    command: result.command,
    rowCount: result.rowCount ?? 0,
    rowAsArray: arrayMode,
    fields: result.fields,
    rows: arrayMode
      ? rows
      : rows.map((row) => Object.fromEntries(row.map((value, i) => [result.fields[i]?.name ?? "", value]))),
  };
}

/** Postgres' own errors are 400 with its fields; an unreachable server is 503, which the driver reports as such. */
function failed(error: unknown): SqlAnswer {
  if (error instanceof pg.DatabaseError && error.code !== undefined && !error.code.startsWith("57P")) {
    const fields = ERROR_FIELDS.map((field) => [field, error[field as keyof pg.DatabaseError]]);
    return { status: 400, body: { message: error.message, ...Object.fromEntries(fields) } };
  }
  if (error instanceof Error && "isAnswer" in error) return { status: 400, body: { message: error.message } };
  return { status: 503, body: { message: `Postgres cannot be reached: ${(error as Error).message}` } };
}
