// What seals and opens backups, and what reaches the database: from files and the environment, never from arguments.
import { readFileSync } from "node:fs";
import { CommandFailure, EXIT } from "../failure.ts";
import type { Opening, Sealing } from "./envelope.ts";

export const ADMIN_URL = "BERTH_ADMIN_URL";
export const ADMIN_URL_IS = "the direct Postgres URL of the database's owner";

export interface SealingOptions {
  readonly recipient?: string | undefined;
  readonly passphraseFile?: string | undefined;
}
export interface OpeningOptions {
  readonly identityFile?: string | undefined;
  readonly passphraseFile?: string | undefined;
}

export function sealingOf({ recipient, passphraseFile }: SealingOptions): Sealing {
  const named = recipient ?? process.env.BERTH_BACKUP_RECIPIENT;
  if (named !== undefined && passphraseFile === undefined) return { kind: "recipient", recipient: named };
  if (passphraseFile !== undefined) return { kind: "passphrase", passphrase: firstLine(passphraseFile) };
  throw new CommandFailure(
    "A backup is only written encrypted",
    EXIT.usage,
    "--recipient age1… (or BERTH_BACKUP_RECIPIENT), or --passphrase-file.",
  );
}

export function openingOf({ identityFile, passphraseFile }: OpeningOptions): Opening {
  if (identityFile !== undefined) return { kind: "identity", identity: identityIn(identityFile) };
  if (passphraseFile !== undefined) return { kind: "passphrase", passphrase: firstLine(passphraseFile) };
  throw new CommandFailure(
    "What opens the backup?",
    EXIT.usage,
    "--identity-file (age's key file), or --passphrase-file.",
  );
}

/** age-keygen writes comments around the key. */
export function identityIn(path: string): string {
  const line = read(path)
    .split("\n")
    .map((text) => text.trim())
    .find((text) => text.startsWith("AGE-SECRET-KEY-"));
  if (line === undefined)
    throw new CommandFailure(`${path} has no age identity`, EXIT.usage, "`age-keygen -o <file>` makes one.");
  return line;
}

function firstLine(path: string): string {
  const [line = ""] = read(path).split("\n");
  if (line.trim().length < 12)
    throw new CommandFailure(`The passphrase in ${path} has fewer than 12 characters`, EXIT.usage);
  return line.trim();
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandFailure(
      `${path} cannot be read (${error instanceof Error ? error.message : String(error)})`,
      EXIT.usage,
    );
  }
}

export function fromEnvironment(name: string, what: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new CommandFailure(`${name} is not set`, EXIT.usage, `It is to hold ${what}.`);
}
