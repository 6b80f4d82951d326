// The way out for mail: Resend in production, the companion process of a platform on one machine, or none.
import pRetry from "p-retry";
import { Resend } from "resend";
import { hasHadEnough, type LettersEnv } from "./letter-limit.ts";

export interface Letter {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  /** Anybody can have it sent, to whatever address. */
  readonly unasked?: true;
}

type Sent = Pick<Letter, "to" | "subject" | "text">;
/** Throws where the letter was not taken. */
export interface Mailer {
  send(letter: Sent): Promise<void>;
}

export interface MailEnv {
  /** Where people reach the API: links in letters begin with it, never with what a request says of itself. */
  readonly CONTROL_ORIGIN?: string;
  /** The sender: an address, or `Name <address>`. */
  readonly MAIL_FROM?: string;
  readonly RESEND_API_KEY?: string;
  /** Resend's API, where it is not Resend's own. */
  readonly RESEND_URL?: string;
  /** The companion's endpoint, and what it is asked with. */
  readonly MAIL_URL?: string;
  readonly MAIL_TOKEN?: string;
}

const TRIES_MORE = 2;
const ANSWER_WITHIN_MS = 10_000;
const DEFAULT_FROM = "Berth <berth@localhost>";

/** Null: this installation sends no mail. */
export function mailerOf(env: MailEnv): Mailer | null {
  const { RESEND_API_KEY, MAIL_URL, MAIL_FROM } = env;
  if (RESEND_API_KEY && MAIL_FROM) return overResend(RESEND_API_KEY, MAIL_FROM, env.RESEND_URL);
  if (MAIL_URL) return overCompanion(MAIL_URL, MAIL_FROM ?? DEFAULT_FROM, env.MAIL_TOKEN ?? "");
  return null;
}

function overResend(key: string, from: string, baseUrl: string | undefined): Mailer {
  const resend = new Resend(key, baseUrl === undefined ? {} : { baseUrl });
  return {
    async send(letter) {
      const idempotencyKey = crypto.randomUUID();
      await tried(async () => {
        const { error } = await resend.emails.send({ from, ...letter }, { idempotencyKey });
        if (error !== null) throw new Error(`Resend refused a letter: ${error.name}`);
      });
    },
  };
}

function overCompanion(url: string, from: string, token: string): Mailer {
  return {
    async send(letter) {
      const body = JSON.stringify({ from, ...letter, id: crypto.randomUUID() });
      await tried(async () => {
        const answer = await fetch(url, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
          body,
          signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
        });
        await answer.body?.cancel();
        if (!answer.ok) throw new Error(`the companion answered a letter with ${answer.status}`);
      });
    },
  };
}

const tried = (send: () => Promise<void>): Promise<void> =>
  pRetry(send, { retries: TRIES_MORE, minTimeout: 300, randomize: true });

/** After the answer, so that how long it took says nothing of whether anything was sent. A letter that is lost can be asked for again. */
export async function sendAll(env: MailEnv & LettersEnv, letters: readonly Letter[]): Promise<void> {
  if (letters.length === 0) return;
  const mailer = mailerOf(env);
  for (const { unasked, ...letter } of letters) {
    if (mailer === null) continue;
    try {
      if (unasked && (await hasHadEnough(env, letter.to, letter.subject))) {
        console.warn(JSON.stringify({ at: "mail", unsent: letter.subject, why: "too many to this address" }));
        continue;
      }
      await mailer.send(letter);
    } catch (error) {
      // Neither the address nor the text: both are personal, and the text may hold a link that opens something.
      console.error(JSON.stringify({ error: "mail not sent", subject: letter.subject, why: String(error) }));
    }
  }
}
