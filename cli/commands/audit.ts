// audit: who did what in the team, and who was refused it; for operators, the installation's own.
import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import pc from "picocolors";
import type { AuditRecord } from "../../contracts/teams.ts";
import { withNames } from "../actors.ts";
import { lastEntries, pathOf, queryOf, type Filter } from "../audit/entries.ts";
import { follow } from "../audit/follow.ts";
import type { Context } from "../context.ts";
import { duration } from "../duration.ts";
import { jsonText } from "../plain-text.ts";
import { wholeNumber } from "../whole-number.ts";
import { contextOf } from "./run.ts";

export function auditCommand() {
  const audit = filtered(new Command("audit").description("every write and every denial in the team, newest last"))
    .option("-n, --last <count>", "how many of the last entries", wholeNumber, 50)
    .option("-f, --follow", "go on as entries come; Ctrl-C ends it")
    .action(async (options, command) => {
      const context = contextOf(command);
      const { last: count } = options;
      // One at least, to know from where on to follow.
      const entries = await lastEntries(context, options, options.follow === true ? Math.max(1, count) : count);
      const shown = entries.slice(entries.length - Math.min(count, entries.length));
      if (context.out.json && options.follow !== true) return context.out.result(shown, () => {});
      for (const entry of shown) await tell(context, entry);
      if (options.follow === true) await follow(context, options, entries.at(-1), (entry) => tell(context, entry));
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
