// secrets.env of a self-hosted platform: read by systemd, readable by its owner alone. What is in it is never made anew.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { urlFor } from "../../../db/migrate.ts";
import { FILES } from "../../../self-hosted/install/layout.ts";
import { CommandFailure, EXIT } from "../../failure.ts";
import { newPassword, newSecret } from "../keys.ts";
import { ROTATED_KEYS, SETUP_TOKEN, TICKET_KEY } from "../plan.ts";

export type Secrets = Readonly<Record<string, string>>;

const MADE = [
  "CREDENTIAL_SIGNING_KEY",
  TICKET_KEY,
  "SECRETS_KEYS",
  "BETTER_AUTH_SECRET",
  SETUP_TOKEN,
  "MAIL_TOKEN",
] as const;
const DATABASE_ROLES = { DATABASE_URL_APP: "berth_app", DATABASE_URL_AUTH: "berth_auth" } as const;
/** Where letters go; of the companion alone. */
export const SMTP_URL = "SMTP_URL";
const S3_KEYS = ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"] as const;
const LINE = /^([A-Z][A-Z0-9_]*)='([^']*)'$/;

export function readSecrets(folder: string): Secrets {
  const path = join(folder, FILES.secrets);
  if (!existsSync(path)) return {};
  const lines = readFileSync(path, "utf8").split("\n");
  const found: Record<string, string> = {};
  for (const [index, line] of lines.entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name, value] = LINE.exec(line) ?? [];
    // The line is not shown: it may hold a key.
    if (name === undefined || value === undefined)
      throw new CommandFailure(
        `${path}, line ${index + 1}: must read NAME='value'`,
        EXIT.usage,
        "Nothing was changed.",
      );
    found[name] = value;
  }
  return found;
}

/** Beside what is kept: keys that are missing, and what the environment says of Postgres and the store. */
export async function completeSecrets(kept: Secrets, adminUrl: string): Promise<Secrets> {
  const made: Record<string, string> = { ...kept };
  const isRotated = Object.keys(kept).some((name) => name.startsWith(ROTATED_KEYS));
  for (const name of MADE) if (name !== "SECRETS_KEYS" || !isRotated) made[name] ??= await newSecret(name);
  for (const [name, role] of Object.entries(DATABASE_ROLES)) {
    const password = passwordIn(kept[name]) ?? newPassword();
    made[name] = withoutOptions(urlFor(adminUrl, role, password));
  }
  for (const name of S3_KEYS) made[name] = s3Key(name, kept[name]);
  const smtpUrl = smtpUrlOf(process.env.BERTH_SMTP_URL || kept[SMTP_URL]);
  if (smtpUrl !== null) made[SMTP_URL] = smtpUrl;
  for (const [name, value] of Object.entries(made))
    if (/['\u0000-\u001f]/.test(value))
      throw new CommandFailure(`${name} has a character that secrets.env cannot hold`, EXIT.usage);
  return made;
}

/** Without one, no letter is sent, and nobody but the operator can have an account. */
function smtpUrlOf(given: string | undefined): string | null {
  if (given === undefined) return null;
  if (URL.canParse(given) && /^smtps?:$/.test(new URL(given).protocol)) return given;
  throw new CommandFailure(
    "BERTH_SMTP_URL is not the address of an SMTP server",
    EXIT.usage,
    "Such as smtps://user:password@mail.example.com",
  );
}

/** What the companion is told of it, in a file of its own: it needs none of the other secrets. */
export function companionText(secrets: Secrets): string {
  const told = { BERTH_MAIL_TOKEN: secrets.MAIL_TOKEN, BERTH_SMTP_URL: secrets[SMTP_URL] };
  const lines = Object.entries(told).flatMap(([name, value]) => (value === undefined ? [] : [`${name}='${value}'`]));
  return ["# Written by `berth setup --self-hosted` from secrets.env.", ...lines, ""].join("\n");
}

function s3Key(name: string, kept: string | undefined): string {
  const value = process.env[`BERTH_${name}`] || kept;
  if (value) return value;
  throw new CommandFailure(`Set BERTH_${name}: the S3 store's key`, EXIT.usage, "It is kept in secrets.env then.");
}

/** The two roles' passwords, as Postgres is to know them. */
export function databasePasswords(secrets: Secrets): { auth: string; app: string } {
  const [app, auth] = [passwordIn(secrets.DATABASE_URL_APP), passwordIn(secrets.DATABASE_URL_AUTH)];
  if (app === null || auth === null) throw new Error("complete secrets hold both URLs");
  return { app, auth };
}

const passwordIn = (url: string | undefined): string | null =>
  url !== undefined && URL.canParse(url) ? decodeURIComponent(new URL(url).password) || null : null;

/** The adapter decides on TLS; the driver's URL says who and which database. */
function withoutOptions(text: string): string {
  const url = new URL(text);
  url.search = "";
  return url.href;
}

export function secretsText(secrets: Secrets): string {
  const lines = Object.entries(secrets).map(([name, value]) => `${name}='${value}'`);
  return [
    "# The platform's keys. Keep a copy apart from the database's: without SECRETS_KEYS no stored secret can be opened again.",
    "# Every further NAME='value' here becomes a secret of the control Worker.",
    ...lines,
    "",
  ].join("\n");
}

/** Which Worker is given which: the edge its tickets' key, the stores theirs, the control Worker all others. */
export function sharesOf(secrets: Secrets): { control: string[]; edge: string[]; stores: string[] } {
  const isStores = (name: string) => (S3_KEYS as readonly string[]).includes(name);
  const names = Object.keys(secrets);
  return {
    control: names.filter((name) => !isStores(name) && name !== SMTP_URL),
    edge: [TICKET_KEY],
    stores: names.filter(isStores),
  };
}
