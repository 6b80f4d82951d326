// The audit as commands ask for it: filtered, over its pages.
import { page } from "../../contracts/api.ts";
import { AuditRecord } from "../../contracts/teams.ts";
import type { Context } from "../context.ts";

/** since: so many milliseconds back. from and to: moments; they and operator as the flags of `berth audit` say. */
export interface Filter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly subject?: string | undefined;
  readonly outcome?: string | undefined;
  readonly since?: number | undefined;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly operator?: true | undefined;
}

const PAGE_MAX = 100;

export const pathOf = ({ operator }: Filter): string => (operator === true ? "/v1/operator/audit" : "/v1/audit");

export function queryOf({ actor, action, subject, outcome, since, from, to }: Filter): URLSearchParams {
  const fromMs = from ?? (since === undefined ? undefined : Date.now() - since);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ actor, action, subject, outcome, fromMs, toMs: to })) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query;
}

/** The last `count` of them, oldest first. */
export async function lastEntries({ api }: Context, filter: Filter, count: number): Promise<AuditRecord[]> {
  const entries: AuditRecord[] = [];
  let cursor: string | null = null;
  do {
    if (entries.length >= count) break;
    const query = queryOf(filter);
    query.set("limit", String(Math.min(PAGE_MAX, count - entries.length)));
    if (cursor !== null) query.set("cursor", cursor);
    const path: string = `${pathOf(filter)}?${query.toString()}`;
    const answer: { items: AuditRecord[]; nextCursor: string | null } = await api.call(page(AuditRecord), "GET", path);
    entries.push(...answer.items);
    cursor = answer.nextCursor;
  } while (cursor !== null);
  return entries.toReversed();
}
