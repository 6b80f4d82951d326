// Cloudflare's API as the set-up uses it: one call at a time, answers checked, refusals with the permission that was missing.
import pRetry, { AbortError } from "p-retry";
import { z } from "zod";
import { permissionFor, type Permission } from "./permissions.ts";

export const CLOUDFLARE_API = "https://api.cloudflare.com/client/v4";
const TIMEOUT_MS = 30_000;
const RETRIES = 3;
/** "Authentication error" and "Unauthorized to access requested resource": the token is known, and may not. */
const DENIED_CODES = [10_000, 9109];
/** "Invalid API Token", and a token that is not written like one. */
const INVALID_CODES = [1000, 1001, 6003, 6111];
const PAGE_SIZE = 50;
const PAGES_MAX = 200;

const Envelope = z.object({
  success: z.boolean().optional(),
  errors: z.array(z.object({ code: z.number(), message: z.string() })).nullish(),
  result: z.unknown().optional(),
  result_info: z.object({ total_pages: z.number().nullish(), cursor: z.string().nullish() }).nullish(),
});

export type Method = "GET" | "POST" | "PUT" | "DELETE";

/** Cloudflare said no: to what, with which codes, and which permission the call needs. */
export class CloudflareRefused extends Error {
  readonly status: number;
  readonly codes: readonly number[];
  readonly permission: Permission | null;
  readonly kind: "denied" | "invalid_token" | "not_found" | "refused";

  constructor(method: Method, path: string, status: number, errors: readonly { code: number; message: string }[]) {
    const said = errors.map(({ code, message }) => `${message} [${code}]`).join("; ") || `HTTP ${status}`;
    super(`Cloudflare refused ${method} ${path}: ${said.slice(0, 500)}`);
    this.status = status;
    this.codes = errors.map(({ code }) => code);
    const has = (codes: readonly number[]) => this.codes.some((code) => codes.includes(code));
    this.permission = permissionFor(method, path);
    this.kind = has(INVALID_CODES)
      ? "invalid_token"
      : has(DENIED_CODES) || (status === 403 && this.codes.length === 0)
        ? "denied"
        : status === 404
          ? "not_found"
          : "refused";
  }
}

/** Nothing answered, or not in Cloudflare's form, however often it was asked. */
export class CloudflareUnreachable extends Error {}

export interface CloudflareApi {
  call<Schema extends z.ZodType>(
    schema: Schema,
    method: Method,
    path: string,
    body?: unknown,
  ): Promise<z.infer<Schema>>;
  /** Null where it is not there. */
  find<Schema extends z.ZodType>(schema: Schema, path: string): Promise<z.infer<Schema> | null>;
  /** All pages of a list. */
  list<Schema extends z.ZodType>(schema: Schema, path: string): Promise<z.infer<Schema>[]>;
}

export function createCloudflareApi(baseUrl: string, token: string): CloudflareApi {
  async function ask(method: Method, path: string, body?: unknown): Promise<z.infer<typeof Envelope>> {
    const attempt = async () => {
      const response = await fetch(baseUrl + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      const parsed = Envelope.safeParse(jsonOf(text));
      const busy = response.status === 429 || response.status >= 500;
      if (busy && method !== "POST") throw new CloudflareUnreachable(`${method} ${path} answered ${response.status}`);
      if (response.ok && parsed.success && parsed.data.success !== false) return parsed.data;
      const errors = parsed.success ? (parsed.data.errors ?? []) : [];
      throw new AbortError(new CloudflareRefused(method, path.split("?")[0] ?? path, response.status, errors));
    };
    try {
      // What makes something is asked for once: after a lost answer the next run looks whether it was made.
      const retries = method === "POST" ? 0 : RETRIES;
      return await pRetry(attempt, { retries, minTimeout: 300, maxTimeout: 5_000, randomize: true });
    } catch (error) {
      if (error instanceof CloudflareRefused || error instanceof CloudflareUnreachable) throw error;
      throw new CloudflareUnreachable(`${method} ${path}: ${causeOf(error)}`, { cause: error });
    }
  }
  const api: CloudflareApi = {
    call: async (schema, method, path, body) => schema.parse((await ask(method, path, body)).result),
    async find(schema, path) {
      try {
        return await api.call(schema, "GET", path);
      } catch (error) {
        if (error instanceof CloudflareRefused && error.kind === "not_found") return null;
        throw error;
      }
    },
    async list(schema, path) {
      const items: z.infer<typeof schema>[] = [];
      for (let page = 1; page <= PAGES_MAX; page += 1) {
        const { result, result_info: info } = await ask(
          "GET",
          `${path}${path.includes("?") ? "&" : "?"}page=${page}&per_page=${PAGE_SIZE}`,
        );
        items.push(...z.array(schema).parse(result ?? []));
        if (page >= (info?.total_pages ?? 1)) break;
      }
      return items;
    },
  };
  return api;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message : String(cause);
}
