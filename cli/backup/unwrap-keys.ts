// The installation's keys out of a backup: wrapped once more in it, for the recipient that the control plane was set up with.
import { armor, Decrypter } from "age-encryption";
import { z } from "zod";
import type { BackupHeader } from "../../contracts/backup.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { type Opening, readSealed } from "./envelope.ts";
import { readSections } from "./sections.ts";

export async function unwrapKeys(path: string, opening: Opening, identity: string): Promise<Record<string, string>> {
  const found: BackupHeader[] = [];
  await readSections(readSealed(path, opening), { header: (header) => void found.push(header) });
  const wrapped = found[0]?.keys.wrapped ?? null;
  if (wrapped === null) {
    throw new CommandFailure("This backup is without keys: the control plane had no BACKUP_RECIPIENT", EXIT.failed);
  }
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const text = await decrypter.decrypt(armor.decode(wrapped), "text").catch(() => {
    throw new CommandFailure(
      "This identity does not open the backup's keys",
      EXIT.failed,
      "They are wrapped for BACKUP_RECIPIENT.",
    );
  });
  return z.record(z.string(), z.string()).parse(JSON.parse(text));
}
