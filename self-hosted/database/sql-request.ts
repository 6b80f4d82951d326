// What the Neon driver sends to `POST /sql`: a connection string and options in headers, queries in the body.
import { z } from "zod";

export interface SqlQuery {
  readonly query: string;
  readonly params: readonly unknown[];
}

export interface SqlRequest {
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly rawText: boolean;
  readonly arrayMode: boolean;
  readonly queries: readonly SqlQuery[];
  /** null: one query outside of a transaction. */
  readonly batch: {
    readonly isolation: string | null;
    readonly readOnly: boolean | null;
    readonly deferrable: boolean | null;
  } | null;
}

const Query = z.object({ query: z.string().min(1), params: z.array(z.unknown()).default([]) });
const Body = z.union([z.object({ queries: z.array(Query) }), Query]);

/** As the driver names them, and as SQL does. */
const ISOLATION_LEVELS: Readonly<Record<string, string>> = {
  ReadUncommitted: "read uncommitted",
  ReadCommitted: "read committed",
  RepeatableRead: "repeatable read",
  Serializable: "serializable",
};

type Headers = Readonly<Record<string, string | string[] | undefined>>;

export function parseSqlRequest(headers: Headers, body: string): SqlRequest | { readonly refusal: string } {
  const header = (name: string): string | null => {
    const value = headers[name];
    return typeof value === "string" ? value : null;
  };
  const connection = header("neon-connection-string");
  if (connection === null || !URL.canParse(connection))
    return { refusal: "neon-connection-string is missing or no URL" };
  const url = new URL(connection);
  const isolationName = header("neon-batch-isolation-level");
  const isolation = isolationName === null ? null : ISOLATION_LEVELS[isolationName];
  if (isolation === undefined) return { refusal: `unknown isolation level ${isolationName}` };
  let parsed;
  try {
    parsed = Body.safeParse(JSON.parse(body));
  } catch {
    return { refusal: "the body is not JSON" };
  }
  if (!parsed.success) return { refusal: `the body is neither a query nor queries: ${z.prettifyError(parsed.error)}` };
  const batch = {
    isolation,
    readOnly: flag(header("neon-batch-read-only")),
    deferrable: flag(header("neon-batch-deferrable")),
  };
  return {
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || decodeURIComponent(url.username),
    rawText: header("neon-raw-text-output") === "true",
    arrayMode: header("neon-array-mode") === "true",
    queries: "queries" in parsed.data ? parsed.data.queries : [parsed.data],
    batch: "queries" in parsed.data ? batch : null,
  };
}

function flag(value: string | null): boolean | null {
  return value === null ? null : value === "true";
}
