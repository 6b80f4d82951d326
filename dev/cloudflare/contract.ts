// The form of the API: the envelope of every answer, how a call is refused, and what an endpoint declares of itself.
import type { z } from "zod";
import type { Account, Cloud, Permission, Token, Zone } from "./account.ts";

/** A refusal with Cloudflare's own code. */
export class Refused extends Error {
  readonly status: number;
  readonly code: number;

  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export interface Call {
  readonly cloud: Cloud;
  readonly token: Token;
  /** Of the path's placeholders. `account` and `zone` were looked up, and the token may touch them. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly form: FormData | null;
  readonly account: Account;
  readonly zone: Zone;
}

export interface Endpoint {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Such as /zones/{zone}/dns_records/{record}; {account} and {zone} are checked against the token. */
  readonly path: string;
  /** Null: any token that is valid. */
  readonly permission: Permission | null;
  /** Unknown parameters and fields are refused, so that a misspelt one cannot pass. */
  readonly query?: readonly string[];
  readonly body?: z.ZodType;
  readonly isForm?: true;
  answer(call: Call): Answer | Promise<Answer>;
}

export interface Answer {
  readonly result: unknown;
  readonly resultInfo?: Record<string, unknown>;
}

export const done = (result: unknown): Answer => ({ result });

/** Pages as most lists have them. */
export function pageOf(items: readonly unknown[], query: URLSearchParams): Answer {
  const page = Number(query.get("page") ?? 1);
  const perPage = Number(query.get("per_page") ?? 20);
  const result = items.slice((page - 1) * perPage, page * perPage);
  const resultInfo = {
    page,
    per_page: perPage,
    count: result.length,
    total_count: items.length,
    total_pages: Math.ceil(items.length / perPage),
  };
  return { result, resultInfo };
}

export const PAGE = ["page", "per_page"];
