// audit: who did what in the team, and who was refused it; for operators, the installation's own.
import { setTimeout as sleep } from "node:timers/promises";
import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import pc from "picocolors";
import { page } from "../../contracts/api.ts";
import { AuditRecord } from "../../contracts/teams.ts";
import { withNames } from "../actors.ts";
import type { Context } from "../context.ts";
import { duration } from "../duration.ts";
import { EXIT } from "../failure.ts";
import { jsonText } from "../plain-text.ts";
import { wholeNumber } from "../whole-number.ts";
import { contextOf } from "./run.ts";

const FOLLOW_EVERY_MS = 2_000;
const PAGE_MAX = 100;

interface Filter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly subject?: string | undefined;
  readonly outcome?: string | undefined;
  readonly since?: number | undefined;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly operator?: true | undefined;
}

export function auditCommand() {
  const audit = filtered(new Command("audit").description("every write and every denial in the team, newest last"))
    .option("-n, --last <count>", "how many of the last entries", wholeNumber, 50)
    .option("-f, --follow", "go on as entries come; Ctrl-C ends it")
    .action(async (options, command) => {
      const context = contextOf(command);
      const entries = await lastEntries(context, options, options.last);
      if (context.out.json && options.follow !== true) return context.out.result(entries, () => {});
      for (const entry of entries) await tell(context, entry);
      if (options.follow === true) await follow(context, options, entries.at(-1));
    });
  audit.addCommand(
    filtered(new Command("export").description("all of it as NDJSON on standard output, oldest first")).action(
      async (_options, command) => {
        const options = command.optsWithGlobals() as Filter;
        const context = contextOf(command);
        const body = await context.api.stream(`${pathOf(options)}/export?${queryOf(options).toString()}`);
        for await (const chunk of body) {
          if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once("drain", resolve));
        }
      },
    ),
  );
  return audit;
}

function filtered<Of extends Command>(command: Of) {
  return command
    .option("--actor <who>", "user:<id>, token:<id>, node:<id>, system or anonymous")
    .option("--action <action>", "such as app.create")
    .option("--subject <thing>", "its id or name")
    .option("--outcome <outcome>", "ok, or what it was refused with, such as forbidden")
    .option("--since <time>", "in the last 90s, 15min or 24h", duration)
    .option("--from <moment>", "from this moment on, such as 2026-11-21 or 2026-11-21T20:00:00Z", moment)
    .option("--to <moment>", "before this moment", moment)
    .option("--operator", "the installation's own (operators only)");
}

function moment(text: string): number {
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs)) throw new InvalidArgumentError("It must be a date, such as 2026-11-21T20:00:00Z.");
  return atMs;
}

const pathOf = ({ operator }: Filter): string => (operator === true ? "/v1/operator/audit" : "/v1/audit");

function queryOf({ actor, action, subject, outcome, since, from, to }: Filter): URLSearchParams {
  const fromMs = from ?? (since === undefined ? undefined : Date.now() - since);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ actor, action, subject, outcome, fromMs, toMs: to })) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query;
}

/** Oldest first. */
async function lastEntries(context: Context, filter: Filter, count: number): Promise<AuditRecord[]> {
  const entries: AuditRecord[] = [];
  let cursor: string | null = null;
  do {
    const query = queryOf(filter);
    query.set("limit", String(Math.min(PAGE_MAX, count - entries.length)));
    if (cursor !== null) query.set("cursor", cursor);
    if (entries.length >= count) break;
    const path: string = `${pathOf(filter)}?${query.toString()}`;
    const answer: { items: AuditRecord[]; nextCursor: string | null } = await context.api.call(page(AuditRecord), "GET", path); // prettier-ignore
    entries.push(...answer.items);
    cursor = answer.nextCursor;
  } while (cursor !== null);
  return entries.toReversed();
}

/** Looks again every 2 s at what came since the newest that was shown. */
async function follow(context: Context, filter: Filter, last: AuditRecord | undefined): Promise<never> {
  process.once("SIGINT", () => process.exit(EXIT.ok));
  let newest = last;
  const beganAtMs = Date.now();
  for (;;) {
    await sleep(FOLLOW_EVERY_MS);
    const since = { ...filter, from: newest?.atMs ?? filter.from ?? beganAtMs };
    const shown = newest;
    const entries = await lastEntries(context, since, 1_000);
    for (const entry of entries) {
      if (shown !== undefined && entry.id <= shown.id) continue;
      await tell(context, entry);
      newest = entry;
    }
  }
}

async function tell(context: Context, entry: AuditRecord): Promise<void> {
  if (context.out.json) return void process.stdout.write(`${jsonText(entry)}\n`);
  const { atMs, actor, action, subject, outcome, address, before, after } = entry;
  const ended = outcome === "ok" ? pc.green(outcome) : pc.red(outcome);
  const change =
    after === null ? "" : pc.dim(` ${before === null ? "" : `${JSON.stringify(before)} → `}${JSON.stringify(after)}`);
  const from = address === null ? "" : pc.dim(` from ${address}`);
  const who = await withNames(context, actor);
  context.out.line(`${pc.dim(new Date(atMs).toISOString())} ${who}${from} ${action} ${subject} ${ended}${change}`);
}
