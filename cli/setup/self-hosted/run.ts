// `berth setup --self-hosted`: from a Postgres, an S3-compatible store and a folder to a control plane that systemd runs.
import { confirm } from "@clack/prompts";
import pc from "picocolors";
import { migrate } from "../../../db/migrate.ts";
import { FILES, type Settings } from "../../../self-hosted/install/layout.ts";
import type { Context } from "../../context.ts";
import { CommandFailure, EXIT } from "../../failure.ts";
import { checkDatabase, postgresUrl } from "../database.ts";
import { newPassword } from "../keys.ts";
import { makeOperator, readOperator } from "../operator.ts";
import { SETUP_TOKEN } from "../plan.ts";
import { secretOf } from "../run.ts";
import { checkFolder, checkPorts, nodeNotes } from "./checks.ts";
import { wantedFiles } from "./contents.ts";
import { filesToWrite, platformFolder, unitsToRestart, writeFile, type FileStep } from "./folder.ts";
import { completeSecrets, databasePasswords, readSecrets, type Secrets } from "./secrets.ts";
import { readSettings, settingsOf, type SettingsOptions } from "./settings.ts";
import { BundleBucket } from "./store.ts";

export interface SelfHostedOptions extends SettingsOptions {
  readonly folder: string;
  readonly plan: boolean;
  readonly yes: boolean;
  readonly email: string | undefined;
  readonly passwordStdin: boolean;
  readonly apiUrl: string | undefined;
}

type Step =
  | FileStep
  | { readonly kind: "migrate"; readonly count: number }
  | { readonly kind: "create_bucket"; readonly name: string };

export async function runSelfHosted(context: Context, options: SelfHostedOptions): Promise<void> {
  const folder = platformFolder(options.folder);
  if (!options.plan && !options.yes && !context.interactive)
    throw new CommandFailure("Give --yes, or look first with --plan", EXIT.usage);
  const adminUrl = await secretOf(context, "BERTH_ADMIN_URL", "Postgres URL of the database's owner");
  postgresUrl(adminUrl);
  checkFolder(folder);
  const kept = readSettings(folder);
  const settings = settingsOf(options, adminUrl, kept);
  const secrets = await completeSecrets(readSecrets(folder), adminUrl);
  const bucket = new BundleBucket(settings.s3, secrets);
  const [pending, hasBucket] = await Promise.all([
    checkDatabase(adminUrl),
    bucket.exists(),
    checkPorts(folder, settings, kept),
  ]);
  const writes = filesToWrite(folder, await wantedFiles(folder, settings, secrets));
  const steps: Step[] = [
    ...(hasBucket ? [] : [{ kind: "create_bucket", name: settings.s3.bucket } as const]),
    ...writes,
    ...(pending > 0 ? [{ kind: "migrate", count: pending } as const] : []),
  ];
  show(context, options, settings, steps);
  if (options.plan) return;
  const operator = await readOperator(context, options.email, options.passwordStdin);
  if (steps.length > 0 && !options.yes && (await confirm({ message: "Make this?", initialValue: false })) !== true)
    throw new CommandFailure("Nothing was made", EXIT.detached);
  // First, because it is the step that others may refuse.
  if (!hasBucket) await bucket.create();
  await bucket.tryOut();
  for (const { file } of writes) writeFile(folder, file);
  // Each time: whatever an interrupted run left, Postgres and the file agree about the passwords after this one.
  await migrate({ adminUrl, passwords: { owner: newPassword(), ...databasePasswords(secrets) } });
  const apiUrl = options.apiUrl ?? `https://${settings.apiHost}`;
  if (operator !== null) await makeOperator(context, apiUrl, tokenOf(secrets), operator);
  conclude(context, { folder, settings, steps, writes, signedIn: operator?.email ?? null });
}

const tokenOf = (secrets: Secrets): string => {
  const token = secrets[SETUP_TOKEN];
  if (token === undefined) throw new Error("complete secrets hold the token");
  return token;
};

function stepText(step: Step): string {
  switch (step.kind) {
    case "write":
      return `${step.file.path}: ${step.isNew ? "new" : "changed"}`;
    case "migrate":
      return `Postgres: ${step.count} migration${step.count === 1 ? "" : "s"}, and the roles berth_owner, berth_auth, berth_app`;
    case "create_bucket":
      return `S3 bucket ${step.name}`;
  }
}

function show({ out }: Context, { plan, folder }: SelfHostedOptions, settings: Settings, steps: readonly Step[]): void {
  const texts = steps.map(stepText);
  const { port, host, tls } = settings.postgres;
  const isLocal = /^(127\.|localhost$|::1$|\/)/.test(host);
  const notes = [
    ...nodeNotes(process.execPath),
    ...(tls || isLocal
      ? []
      : [
          `The connection to Postgres at ${host}:${port} is not encrypted; ?sslmode=require in BERTH_ADMIN_URL makes it so.`,
        ]),
  ];
  if (plan && out.json) return out.result({ settings, steps: texts, notes }, () => {});
  out.line(`Berth for *.${settings.domain}, API at https://${settings.apiHost}, in ${folder}\n`);
  if (steps.length === 0) out.line("Everything is there already: nothing to do.");
  else out.line(`To be made, in this order:\n${texts.map((text) => `  • ${text}`).join("\n")}`);
  for (const note of notes) out.line(`\nNote: ${note}`);
}

const UNITS: readonly string[] = [FILES.companionUnit, FILES.platformSocket, FILES.platformUnit];

interface Outcome {
  readonly folder: string;
  readonly settings: Settings;
  readonly steps: readonly Step[];
  readonly writes: readonly FileStep[];
  readonly signedIn: string | null;
}

function conclude({ out }: Context, { folder, settings, steps, writes, signedIn }: Outcome): void {
  const restart = unitsToRestart(writes);
  const isFirst = writes.some(({ file, isNew }) => isNew && UNITS.includes(file.path));
  const changedUnit = writes.some(({ file }) => file.path.startsWith("systemd/"));
  const commands = [
    ...(isFirst ? [`systemctl link ${UNITS.map((unit) => `${folder}/${unit}`).join(" ")}`] : []),
    ...(isFirst ? ["systemctl enable --now berth-companion berth-platform.socket berth-platform"] : []),
    ...(!isFirst && changedUnit ? ["systemctl daemon-reload"] : []),
    ...(!isFirst && restart.length > 0 ? [`systemctl restart ${restart.join(" ")}`] : []),
  ];
  const apiUrl = `https://${settings.apiHost}`;
  out.result({ apiUrl, folder, made: steps.map(stepText), commands, operator: signedIn }, () => {
    if (commands.length > 0) out.line(`\nStart it, as root:\n${commands.map((command) => `  ${command}`).join("\n")}`);
    if (isFirst) out.line(`\nYour reverse proxy's part: ${folder}/${FILES.proxy}`);
    if (signedIn !== null) out.line(`\n${pc.green("✓")} Signed in as ${signedIn}. Next: berth nodes token`);
    else if (isFirst) out.line("\nWhen it answers, the first operator: the same command with --email you@example.com");
  });
}
