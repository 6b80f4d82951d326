// One request at better-auth: a transaction, its instance, and the letters that go out once it is committed.
import type { Failure, Result } from "../../../contracts/failures.ts";
import type { UserId } from "../../../contracts/ids.ts";
import { judgePassword } from "../../../core/sign-in/common-passwords.ts";
import { insertAudit } from "../../../db/queries/audit.ts";
import type { Transaction } from "../../../db/connect.ts";
import type { Letter } from "../mail/mailer.ts";
import { accountsOn, refusalCode, type Accounts, type AccountsInput } from "./accounts.ts";
import type { Asked } from "./asked.ts";
import { authDatabase } from "./databases.ts";
import { failureOfRefusal } from "./refusals.ts";

export interface Desk {
  readonly tx: Transaction;
  readonly auth: Accounts;
  readonly letters: Letter[];
  readonly asked: Asked;
}

export interface DeskOptions {
  readonly provider?: AccountsInput["provider"];
  readonly first?: true;
}

/** Thrown inside `atDesk`: what the transaction did is undone, and the failure is the answer. */
export class Refused extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

export function refuse(code: Failure["code"], message: string, errors?: Failure["errors"]): never {
  throw new Refused({ code, message, ...(errors === undefined ? {} : { errors }) });
}

/** pointer: of the field that holds it. */
export function requireGoodPassword(password: string, email: string, pointer = "/password"): void {
  const verdict = judgePassword(password, email);
  if (verdict.kind === "fine") return;
  const message = `${verdict.why}: choose another one, a few words that only you put together`;
  refuse("invalid_request", `${pointer} ${message}`, [{ pointer, rule: "not_guessable", message }]);
}

/**
 * What better-auth itself refuses is committed all the same, because it counts what fails (wrong codes, polls that come too soon);
 * nothing is sent then but what it wanted sent.
 */
export async function atDesk<Value>(
  asked: Asked,
  work: (desk: Desk) => Promise<Value>,
  options: DeskOptions = {},
): Promise<Result<Value>> {
  const letters: Letter[] = [];
  let result: Result<Value>;
  try {
    result = await authDatabase(asked.env).transaction({ kind: "auth" }, async (tx): Promise<Result<Value>> => {
      const auth = accountsOn({ tx, env: asked.env, letters, ...options } as AccountsInput);
      try {
        return { ok: true, value: await work({ tx, auth, letters, asked }) };
      } catch (error) {
        const code = refusalCode(error);
        const failure = code === null ? null : failureOfRefusal(code);
        if (failure === null) throw error;
        return { ok: false, failure };
      }
    });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { ok: false, failure: error.failure };
  }
  asked.post(letters);
  return result;
}

/** The audit's line of what somebody did with their own account, in the transaction of the deed. */
export async function note(
  { tx, asked }: Pick<Desk, "tx" | "asked">,
  user: UserId,
  action: string,
  subject: string = user,
): Promise<void> {
  await insertAudit(tx, { team: null, actor: `user:${user}`, action, subject, ...asked.by });
}
