// backup: everything that this installation knows, in one encrypted file.
import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import { BackupRecord } from "../../contracts/backup.ts";
import type { Sealing } from "../backup/envelope.ts";
import { everyOf, repeat } from "../backup/repeat.ts";
import { ADMIN_URL, ADMIN_URL_IS, fromEnvironment, sealingOf } from "../backup/secrets.ts";
import { duration, shownMs } from "../duration.ts";
import { type Keep, keepOf } from "../backup/retention.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { contextOf } from "./run.ts";

const DAY_MS = 86_400_000;

export function backupCommand() {
  return new Command("backup")
    .description("write everything that this installation knows into one encrypted file")
    .requiredOption("--to <place>", "a folder, a new file, or s3://bucket/prefix")
    .option("--recipient <age1…>", "encrypt for this age recipient (or BERTH_BACKUP_RECIPIENT)")
    .option("--passphrase-file <file>", "encrypt by the passphrase in its first line")
    .option("--keep <periods>", "remove what is older: 7d/4w keeps one of each of 7 days and of 4 weeks", keepOf)
    .option(
      "--alarm-after <time>",
      "`berth doctor` alarms where no newer one was made for so long (26h)",
      duration,
      26 * (DAY_MS / 24),
    )
    .option("--every <time>", "go on, and make one each time that so much has passed, such as 24h", everyOf)
    .addHelpText("after", ENVIRONMENT_TEXT)
    .action(async (options, command) => {
      const context = contextOf(command);
      const wish = {
        ...{ to: options.to, keep: options.keep, alarmAfterMs: options.alarmAfter, sealing: sealingOf(options) },
        ...{ adminUrl: fromEnvironment(ADMIN_URL, ADMIN_URL_IS), version: command.parent?.version() ?? "" },
      };
      if (options.every === undefined) return backUp(context, wish);
      await requireMany(options.to);
      const ending = new AbortController();
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ending.abort());
      await repeat({
        everyMs: options.every,
        work: () => backUp(context, wish),
        failed: (error, againInMs) => {
          const said = error instanceof Error ? error.message : String(error);
          context.out.note(pc.red(`No backup: ${said}. Tried again in ${shownMs(againInMs)}.`));
        },
        nowMs: () => performance.now(),
        sleep: (ms) => sleep(ms, undefined, { signal: ending.signal }).catch(() => undefined),
        isOver: () => ending.signal.aborted,
      });
    });
}

interface Wish {
  readonly to: string;
  readonly keep: Keep | undefined;
  readonly alarmAfterMs: number;
  readonly sealing: Sealing;
  readonly adminUrl: string;
  readonly version: string;
}

async function requireMany(to: string): Promise<void> {
  const { openPlace } = await import("../backup/open-place.ts");
  const place = openPlace(to);
  place.close();
  if (!place.holdsMany)
    throw new CommandFailure(`--every needs a folder or a bucket, and ${to} would be one file`, EXIT.usage);
}

async function backUp({ api, out }: Context, wish: Wish): Promise<void> {
  // Loaded here: no other command needs a database driver.
  const { makeBackup } = await import("../backup/make.ts");
  const { openPlace } = await import("../backup/open-place.ts");
  const place = openPlace(wish.to);
  try {
    const { adminUrl, sealing, version: platform } = wish;
    const progress = (done: string) => out.note(pc.dim(done));
    const { wrapped, bundles, ...made } = await makeBackup({ api, adminUrl, place, sealing, platform, progress });
    const bytes = statSync(place.scratch).size;
    const to = await place.finish(made.startedAtMs, made.id);
    const record = { ...made, to, bytes, alarmAfterMs: wish.alarmAfterMs };
    // Before older ones go: a store that keeps them against its operator's will has the new one all the same.
    await api.call(BackupRecord, "POST", "/v1/backups", record);
    const removed = wish.keep ? await place.prune(wish.keep, Date.now()) : [];
    out.result({ ...record, keys: wrapped, bundles, removed }, () => {
      const took = shownMs(made.endedAtMs - made.startedAtMs);
      out.line(`${pc.green("✓")} ${to}: ${made.objects} objects, ${made.rows} rows, ${bytes} bytes, in ${took}`);
      out.line(`  ${bundles.all} bundles beside it, ${bundles.copied} of them new`);
      for (const key of bundles.missing)
        out.line(pc.yellow(`  The platform's store has lost ${key}: deploy what runs it again.`));
      for (const name of removed) out.line(`  removed ${name}`);
      if (!wrapped)
        out.line(pc.yellow("  It is without the installation's keys: set BACKUP_RECIPIENT, or keep them elsewhere."));
    });
  } finally {
    place.close();
  }
}

const ENVIRONMENT_TEXT = `
From the environment:
  ${ADMIN_URL}   ${ADMIN_URL_IS}
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL   for s3://`;
