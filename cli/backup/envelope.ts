// A backup's bytes: lines, gzipped, then encrypted with age, for a recipient's key or by a passphrase.
import { createReadStream, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { Decrypter, Encrypter } from "age-encryption";
import { CommandFailure, EXIT } from "../failure.ts";

/** recipient: `age1…`. */
export type Sealing =
  | { readonly kind: "recipient"; readonly recipient: string }
  /** workFactor: scrypt's, as a power of two; age's own where absent. */
  | { readonly kind: "passphrase"; readonly passphrase: string; readonly workFactor?: number };
/** identity: `AGE-SECRET-KEY-1…`. */
export type Opening =
  | { readonly kind: "identity"; readonly identity: string }
  | { readonly kind: "passphrase"; readonly passphrase: string };

/** Owner-only, because even what is encrypted is nobody else's. */
const MODE = 0o600;

export async function writeSealed(path: string, sealing: Sealing, lines: AsyncIterable<string>): Promise<void> {
  const encrypter = new Encrypter();
  try {
    if (sealing.kind === "recipient") encrypter.addRecipient(sealing.recipient);
    else {
      if (sealing.workFactor !== undefined) encrypter.setScryptWorkFactor(sealing.workFactor);
      encrypter.setPassphrase(sealing.passphrase);
    }
  } catch {
    throw new CommandFailure(
      "The recipient is not one of age's",
      EXIT.usage,
      "It begins with age1; `age-keygen` makes one.",
    );
  }
  const gzip = createGzip({ level: 6 });
  const filled = pipeline(Readable.from(lines), gzip);
  filled.catch(() => undefined);
  const sealed = await encrypter.encrypt(Readable.toWeb(gzip) as ReadableStream<Uint8Array>);
  await Promise.all([
    filled,
    pipeline(Readable.fromWeb(sealed as never), createWriteStream(path, { mode: MODE, flush: true })),
  ]);
}

/** One file for one recipient, as it comes. */
export async function sealStream(path: string, recipient: string, bytes: ReadableStream<Uint8Array>): Promise<void> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  const sealed = await encrypter.encrypt(bytes);
  await pipeline(Readable.fromWeb(sealed as never), createWriteStream(path, { mode: MODE, flush: true }));
}

/** Throws, at once or on the way, where the identity is another one or bytes were changed. */
export async function openStream(identity: string, bytes: Readable): Promise<Readable> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return Readable.fromWeb((await decrypter.decrypt(Readable.toWeb(bytes) as ReadableStream<Uint8Array>)) as never);
}

/** Throws where the key is wrong, or where bytes were changed or are missing. */
export async function* readSealed(path: string, opening: Opening): AsyncGenerator<string> {
  const decrypter = new Decrypter();
  try {
    if (opening.kind === "identity") decrypter.addIdentity(opening.identity);
    else decrypter.addPassphrase(opening.passphrase);
  } catch {
    throw new CommandFailure("The identity is not one of age's", EXIT.usage, "It begins with AGE-SECRET-KEY-1.");
  }
  const bytes = Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>;
  const opened = await decrypter.decrypt(bytes).catch((error: unknown) => {
    throw notOpened(error);
  });
  const gunzip = createGunzip();
  const filled = pipeline(Readable.fromWeb(opened as never), gunzip);
  filled.catch(() => undefined);
  try {
    yield* createInterface({ input: gunzip, crlfDelay: Infinity });
    await filled;
  } catch (error) {
    throw new CommandFailure(
      `The backup is damaged or cut off (${textOf(error)})`,
      EXIT.failed,
      "Take an older one; nothing was written.",
    );
  }
}

function notOpened(error: unknown): CommandFailure {
  const text = textOf(error);
  if (/no identity|no identities|passphrase|identity matched/i.test(text)) {
    return new CommandFailure("This key or passphrase does not open the backup", EXIT.failed, "Nothing was written.");
  }
  return new CommandFailure(
    `This is no backup, or its beginning is damaged (${text})`,
    EXIT.failed,
    "Nothing was written.",
  );
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
