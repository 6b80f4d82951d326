// restore: a backup back into an empty platform; or only a look at it, or its keys.
import { writeFileSync } from "node:fs";
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import type { Opening } from "../backup/envelope.ts";
import type { Store } from "../backup/store.ts";
import { ADMIN_URL, ADMIN_URL_IS, fromEnvironment, identityIn, openingOf } from "../backup/secrets.ts";
import { createApi } from "../client.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { contextOf } from "./run.ts";

interface RestoreOptions {
  readonly identityFile?: string | undefined;
  readonly check?: true | undefined;
  readonly keysTo?: string | undefined;
}

export function restoreCommand() {
  return new Command("restore")
    .description("put a backup into an empty platform; agents go on with what they run")
    .argument("<backup>", "a file, or s3://bucket/prefix/name")
    .option("--identity-file <file>", "age's key file that opens it")
    .option("--passphrase-file <file>", "the passphrase that opens it, in its first line")
    .option("--check", "read all of it and say what it holds; write nothing")
    .option("--keys-to <file>", "only take the installation's keys out of it, into a new file")
    .option("--bundles <place>", "where its bundles are, if not beside it: a folder, or s3://bucket/prefix")
    .option("--without-bundles", "go on without them")
    .addHelpText("after", RESTORE_TEXT)
    .action(async (backup, options, command) => {
      const context = contextOf(command);
      const opening = openingOf(options);
      const { withBackup } = await import("../backup/open-place.ts");
      return withBackup(backup, options.bundles, ({ path, bundles }) =>
        act(context, { path, bundles: options.withoutBundles ? null : bundles, opening, options }),
      );
    });
}

interface Wish {
  readonly path: string;
  readonly bundles: Store | null;
  readonly opening: Opening;
  readonly options: RestoreOptions;
}

function act(context: Context, wish: Wish): Promise<void> {
  if (wish.options.keysTo !== undefined) return takeKeys(context, wish, wish.options.keysTo);
  return wish.options.check ? check(context, wish) : restore(context, wish);
}

async function takeKeys({ out }: Context, { path, opening, options }: Wish, to: string): Promise<void> {
  const { unwrapKeys } = await import("../backup/unwrap-keys.ts");
  if (options.identityFile === undefined)
    throw new CommandFailure("Keys are wrapped for an identity", EXIT.usage, "--identity-file");
  const keys = await unwrapKeys(path, opening, identityIn(options.identityFile));
  writeFileSync(to, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600, flag: "wx" });
  out.result({ keys: Object.keys(keys), file: to }, () =>
    out.line(`${pc.green("✓")} ${Object.keys(keys).length} keys are in ${to}: remove it when the platform has them.`),
  );
}

async function check({ out }: Context, { path, bundles: store, opening }: Wish): Promise<void> {
  const { readContents } = await import("../backup/contents.ts");
  const { checkBundles } = await import("../backup/put-bundles.ts");
  const { header, objects, rows, bundles: lines } = await readContents(path, opening);
  if (store !== null) await checkBundles({ store, opening, lines });
  const bundles = store === null ? 0 : lines.length;
  const { backup, platform, startedAtMs } = header;
  const keys = header.keys.wrapped !== null;
  out.result({ backup, platform, startedAtMs, objects, rows, bundles, keys }, () =>
    out.line(
      `${pc.green("✓")} whole: of ${new Date(startedAtMs).toISOString()}, ${objects} objects, ${rows} rows, ${bundles} bundles`,
    ),
  );
}

async function restore({ out, api: signedIn }: Context, { path, bundles, opening }: Wish): Promise<void> {
  const adminUrl = fromEnvironment(ADMIN_URL, ADMIN_URL_IS);
  const token = fromEnvironment("BERTH_SETUP_TOKEN", "the installation's setup token (SETUP_TOKEN among its keys)");
  // Loaded here: no other command needs a database driver.
  const { restoreBackup } = await import("../backup/restore.ts");
  const api = createApi({ apiUrl: signedIn.apiUrl, token });
  const progress = (done: string) => out.note(pc.dim(done));
  const restored = await restoreBackup({ api, adminUrl, path, bundles, opening, progress });
  out.result(restored, () => {
    const { objects, rows, events, bundles: put } = restored;
    out.line(
      `${pc.green("✓")} restored: ${objects} objects, ${rows} rows, ${events} events handed over, ${put} bundles that were missing.`,
    );
    out.line("  Cells listen to their agents now, and act when they know what runs: `berth doctor` in a minute.");
  });
}

const RESTORE_TEXT = `
From the environment:
  ${ADMIN_URL}     ${ADMIN_URL_IS}, which is empty but migrated
  BERTH_SETUP_TOKEN   the setup token of the new control plane, which has the backup's keys
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL   for s3://`;
