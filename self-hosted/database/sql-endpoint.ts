// Neon's `POST /sql`: one query or one transaction per request, over pooled connections to the one Postgres.
import pg from "pg";
import { parseSqlRequest, type SqlQuery, type SqlRequest } from "./sql-request.ts";
import { toJsonValue } from "./json-values.ts";
import { StatementNames } from "./statement-names.ts";
import { CONNECT_TIMEOUT_MS, type PostgresTarget } from "./target.ts";

export interface SqlAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Neon's own proxy refuses larger answers too. */
const RESULT_BYTES_MAX = 64 * 1024 * 1024;
const POOLS_MAX = 16;
const CONNECTIONS_PER_POOL_MAX = 12;
/** A connection knows its plans; to open another one in the next burst costs more than to keep it through a lull. */
const IDLE_MS = 60_000;

/** The fields of a Postgres error that the driver copies into its NeonDbError. */
const ERROR_FIELDS = [
  "severity", "code", "detail", "hint", "position", "internalPosition", "internalQuery", "where",
  "schema", "table", "column", "dataType", "constraint", "file", "line", "routine",
] as const; // prettier-ignore

/** All values as Postgres' own text: the driver parses them, as it does what the real proxy sends. */
const RAW_TEXT_TYPES = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

/** Of one role. */
interface RolePool {
  readonly connections: pg.Pool;
  readonly names: StatementNames;
}
interface Asked {
  readonly body: unknown;
  /** The connection serves nobody else. */
  readonly spoils: boolean;
}
type NameOf = (text: string) => string | undefined;
const unnamed: NameOf = () => undefined;

export class SqlEndpoint {
  readonly #target: PostgresTarget;
  readonly #pools = new Map<string, RolePool>();

  constructor(target: PostgresTarget) {
    this.#target = target;
  }

  async answer(headers: Readonly<Record<string, string | string[] | undefined>>, body: string): Promise<SqlAnswer> {
    const request = parseSqlRequest(headers, body);
    if ("refusal" in request) return { status: 400, body: { message: request.refusal } };
    const { connections, names } = this.#pool(request);
    let client: pg.PoolClient;
    try {
      client = await connections.connect();
    } catch (error) {
      return failed(error);
    }
    let spoilt: Error | undefined;
    const onError = (error: Error) => (spoilt = error);
    client.on("error", onError);
    try {
      const nameOf: NameOf = (text) => names.nameOf(text);
      const answer = await ask(client, request, nameOf).catch((error: unknown) => {
        if (!isPlanFault(error)) throw error;
        // Nothing of it came about. Its connection serves this once more without a kept plan, and goes.
        spoilt = error;
        if (error.code !== OUTDATED) names.stop();
        return ask(client, request, unnamed);
      });
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
    await Promise.all(pools.map(({ connections }) => connections.end()));
  }

  #pool({ user, password, database }: SqlRequest): RolePool {
    const key = JSON.stringify([user, password, database]);
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    if (this.#pools.size >= POOLS_MAX) {
      const [oldest] = this.#pools;
      if (oldest !== undefined) {
        this.#pools.delete(oldest[0]);
        void oldest[1].connections.end();
      }
    }
    const connections = new pg.Pool({
      host: this.#target.host,
      port: this.#target.port,
      ssl: this.#target.tls ?? false,
      user,
      password,
      database,
      max: CONNECTIONS_PER_POOL_MAX,
      idleTimeoutMillis: IDLE_MS,
      connectionTimeoutMillis: this.#target.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      keepAlive: true,
      pipeline: true,
    });
    // An idle connection that Postgres dropped: the pool discards it, the next request opens another.
    connections.on("error", () => {});
    const pool = { connections, names: new StatementNames() };
    this.#pools.set(key, pool);
    return pool;
  }
}

const ask = async (client: pg.PoolClient, request: SqlRequest, nameOf: NameOf): Promise<Asked> =>
  request.batch === null ? runSingle(client, request, nameOf) : runBatch(client, request, nameOf);

async function runSingle(client: pg.PoolClient, request: SqlRequest, nameOf: NameOf) {
  const [query] = request.queries;
  if (query === undefined) throw new Error("a request without a query");
  const result = await run(client, query, nameOf);
  return { body: render(result, request), spoils: changesSession(result) };
}

/** A column that a kept plan answers with has another type since: Postgres refuses the plan rather than to answer differently. */
const OUTDATED = "0A000";
/** No such name, or one that is taken: a pooler in between gave us another server than the one that we prepared it on. */
const ELSEWHERE: readonly (string | undefined)[] = ["26000", "42P05"];

const isPlanFault = (error: unknown): error is pg.DatabaseError =>
  error instanceof pg.DatabaseError &&
  ((error.code === OUTDATED && error.routine === "RevalidateCachedQuery") || ELSEWHERE.includes(error.code));

async function runBatch(client: pg.PoolClient, request: SqlRequest, nameOf: NameOf) {
  const { isolation, readOnly, deferrable } = request.batch ?? { isolation: null, readOnly: null, deferrable: null };
  const modes = [
    isolation === null ? null : `isolation level ${isolation}`,
    readOnly === null ? null : readOnly ? "read only" : "read write",
    deferrable === null ? null : deferrable ? "deferrable" : "not deferrable",
  ].filter((mode) => mode !== null);
  // All on the wire at once. After one that fails Postgres refuses the others, and the commit rolls back.
  const ends = await Promise.allSettled([
    client.query(`begin ${modes.join(", ")}`),
    ...request.queries.map((query) => run(client, query, nameOf)),
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

function run(client: pg.PoolClient, { query, params }: SqlQuery, nameOf: NameOf): Promise<pg.QueryArrayResult> {
  const name = nameOf(query);
  // `queryMode: extended` refuses several statements in one text, as the real proxy does.
  const config = {
    text: query,
    ...(name === undefined ? {} : { name }),
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
