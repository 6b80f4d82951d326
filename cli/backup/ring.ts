// Whom the bundles in a store are sealed for. A ring is a folder of those for one recipient: another's backups could not open them.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { CommandFailure, EXIT } from "../failure.ts";
import type { Opening, Sealing } from "./envelope.ts";
import type { Store } from "./store.ts";

export interface Ring {
  readonly name: string;
  readonly recipient: string;
}

/** In a passphrase's ring: what opens its bundles, sealed by the passphrase, which costs a second each time it is tried. */
const IDENTITY = "/identity.age";

const ringOf = (recipient: string): Ring => ({
  name: createHash("sha256").update(recipient).digest("hex").slice(0, 16),
  recipient,
});

/** Makes it where a passphrase has none there yet. */
export async function ringFor(store: Store, sealing: Sealing, scratchDir: string): Promise<Ring> {
  if (sealing.kind === "recipient") return ringOf(sealing.recipient);
  for (const name of await store.list("")) {
    if (!name.endsWith(IDENTITY)) continue;
    const identity = await opened(store, name, sealing.passphrase).catch(() => null);
    if (identity !== null) return ringOf(await identityToRecipient(identity));
  }
  const identity = await generateX25519Identity();
  const ring = ringOf(await identityToRecipient(identity));
  const encrypter = new Encrypter();
  if (sealing.workFactor !== undefined) encrypter.setScryptWorkFactor(sealing.workFactor);
  encrypter.setPassphrase(sealing.passphrase);
  const file = join(scratchDir, "identity.age");
  writeFileSync(file, await encrypter.encrypt(identity), { mode: 0o600 });
  await store.put(`${ring.name}${IDENTITY}`, file);
  return ring;
}

/** What opens the bundles of a ring. */
export async function identityOf(store: Store, ring: string, opening: Opening): Promise<string> {
  if (opening.kind === "identity") return opening.identity;
  return opened(store, `${ring}${IDENTITY}`, opening.passphrase).catch((error: unknown) => {
    throw new CommandFailure(
      `${store.where(`${ring}${IDENTITY}`)} cannot be opened (${error instanceof Error ? error.message : String(error)})`,
      EXIT.failed,
      "It opens the bundles beside it, by the same passphrase as the backup.",
    );
  });
}

async function opened(store: Store, name: string, passphrase: string): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  return decrypter.decrypt(await buffer(await store.get(name)), "text");
}
