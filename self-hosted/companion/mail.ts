// Takes the control Worker's letters: into a folder, as files, on a machine that only tries Berth out; else to an SMTP server.
import { createHash, timingSafeEqual } from "node:crypto";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTransport } from "nodemailer";
import { z } from "zod";

const Line = z
  .string()
  .min(1)
  .max(1_000)
  .regex(/^[^\r\n\0]*$/);
const Letter = z.strictObject({
  id: z.string().regex(/^[0-9a-f-]{36}$/),
  from: Line,
  to: Line,
  subject: Line,
  text: z.string().min(1).max(100_000),
});
type Letter = z.infer<typeof Letter>;

export type MailTarget =
  | { readonly kind: "folder"; readonly path: string; readonly token: string }
  | { readonly kind: "smtp"; readonly url: string; readonly token: string };

export interface MailRoom {
  /** The HTTP status for one letter. */
  take(authorization: string | undefined, body: string): Promise<number>;
  close(): void;
}

export function openMailRoom(target: MailTarget, log: (line: string) => void): MailRoom {
  const way = target.kind === "folder" ? intoFolder(target.path) : overSmtp(target.url);
  return {
    async take(authorization, body) {
      if (!isEqual(authorization ?? "", `Bearer ${target.token}`)) return 401;
      const letter = Letter.safeParse(parsed(body));
      if (!letter.success) return 400;
      try {
        await way.deliver(letter.data);
        return 202;
      } catch (error) {
        // Without the letter: its links open accounts.
        log(`a letter was not sent: ${(error as Error).message}`);
        return 502;
      }
    },
    close: () => way.close(),
  };
}

/** One JSON file for each letter, in the order of their names; the same letter again replaces itself. */
function intoFolder(folder: string) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return {
    async deliver(letter: Letter) {
      const path = join(folder, `${Date.now()}-${letter.id}.json`);
      writeFileSync(`${path}.new`, JSON.stringify({ ...letter, atMs: Date.now() }, null, 2), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    },
    close: () => {},
  };
}

function overSmtp(url: string) {
  const transport = createTransport({ url, disableFileAccess: true, disableUrlAccess: true });
  return {
    async deliver({ id, ...letter }: Letter) {
      await transport.sendMail({ ...letter, headers: { "x-berth-letter": id } });
    },
    close: () => transport.close(),
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

const isEqual = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other));
const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
