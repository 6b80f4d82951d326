// The second factor: set up, shown at sign-in, switched off, and removed by an operator when device and recovery codes are lost.
import type { z } from "zod";
import type {
  PasswordShown,
  RecoveryCodes,
  SecondFactorBegun,
  SecondFactorConfirm,
  SessionToken,
} from "../../../contracts/account.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { UserId } from "../../../contracts/ids.ts";
import { insertAudit } from "../../../db/queries/audit.ts";
import { takeCode } from "../../../db/queries/second-factors.ts";
import { deleteSessionsOf } from "../../../db/queries/sessions.ts";
import { findUser } from "../../../db/queries/users.ts";
import * as letters from "../mail/letters.ts";
import type { Asked } from "./asked.ts";
import { originOf } from "./accounts.ts";
import { atDesk, note, refuse, type Desk } from "./at-desk.ts";
import { sha256Hex } from "../sha256.ts";
import { sessionBearer } from "./bearer.ts";
import type { Caller } from "./caller.ts";
import { sessionIn } from "./new-session.ts";
import { atOwnDesk, requirePassword, type OwnDesk } from "./own-desk.ts";

const isRecoveryCode = (code: string): boolean => code.includes("-");

/**
 * headers: with the cookie of the sign-in that waits for the code, or with a session. A code counts once: whoever looks over a
 * shoulder comes too late. Throws better-auth's refusal where it is wrong.
 */
export async function showCode(
  desk: Desk,
  code: string,
  headers: Headers,
): Promise<{ token: string; user: UserId; headers: Headers }> {
  const { auth, tx, asked } = desk;
  const isRecovery = isRecoveryCode(code);
  const shown = { body: { code }, headers, returnHeaders: true } as const;
  const answer = await (isRecovery ? auth.api.verifyBackupCode(shown) : auth.api.verifyTOTP(shown));
  const { token, user } = answer.response;
  const id = user.id as UserId;
  if (isRecovery) {
    await note({ tx, asked }, id, "recovery_code.use");
    desk.letters.push(letters.notice(user.email, "recovery_code_used", originOf(desk.asked.env)));
  } else await requireFreshCode(desk, id, code);
  return { token: token ?? refuse("unauthenticated", "the sign-in ended already"), user: id, headers: answer.headers };
}

/** Undoes whatever the code has opened. */
async function requireFreshCode({ tx }: Desk, user: UserId, code: string): Promise<void> {
  if (await takeCode(tx, user, await sha256Hex(`${user} ${code}`))) return;
  refuse("unauthenticated", "this code was used already: wait for the next one");
}

/** The secret, for an authenticator app, and the recovery codes: shown once. Nothing changes until a first code is shown. */
export function beginSecondFactor(
  input: z.infer<typeof PasswordShown>,
  asked: Asked,
): Promise<Result<z.infer<typeof SecondFactorBegun>>> {
  return atOwnDesk(asked, async (desk) => {
    await requirePassword(desk, input.password);
    const { auth, headers, me, tx } = desk;
    const made = await auth.api.enableTwoFactor({ body: { ...bodyOf(input), method: "totp" }, headers });
    if (made.method !== "totp") throw new Error("another second factor was set up");
    await note({ tx, asked }, me.id, "second_factor.begin");
    return { uri: made.totpURI, recoveryCodes: made.backupCodes };
  });
}

/** Switches it on. All sessions end; the one that comes back goes on in this one's place. */
export function confirmSecondFactor(
  { code }: z.infer<typeof SecondFactorConfirm>,
  asked: Asked,
): Promise<Result<z.infer<typeof SessionToken>>> {
  return atOwnDesk(asked, async (desk) => {
    const { auth, headers, me, tx } = desk;
    if (me.secondFactorOn) refuse("conflict", "the second factor is on already");
    const answer = await auth.api.verifyTOTP({ body: { code }, headers, returnHeaders: true });
    await requireFreshCode(desk, me.id, code);
    await note({ tx, asked }, me.id, "second_factor.on");
    return goOn(desk, sessionIn(answer.headers), "second_factor_on");
  });
}

export function endSecondFactor(
  input: z.infer<typeof PasswordShown>,
  asked: Asked,
): Promise<Result<z.infer<typeof SessionToken>>> {
  return atOwnDesk(asked, async (desk) => {
    await requirePassword(desk, input.password);
    const { auth, headers, me, tx } = desk;
    if (!me.secondFactorOn) refuse("conflict", "the second factor is not on");
    const answer = await auth.api.disableTwoFactor({ body: bodyOf(input), headers, returnHeaders: true });
    await note({ tx, asked }, me.id, "second_factor.off");
    return goOn(desk, sessionIn(answer.headers), "second_factor_off");
  });
}

export function makeRecoveryCodes(
  input: z.infer<typeof PasswordShown>,
  asked: Asked,
): Promise<Result<z.infer<typeof RecoveryCodes>>> {
  return atOwnDesk(asked, async (desk) => {
    await requirePassword(desk, input.password);
    const { auth, headers, me, tx, letters: outgoing } = desk;
    const { backupCodes } = await auth.api.generateBackupCodes({ body: bodyOf(input), headers });
    await note({ tx, asked }, me.id, "recovery_codes.make");
    outgoing.push(letters.notice(me.email, "recovery_codes_made", originOf(asked.env)));
    return { recoveryCodes: backupCodes };
  });
}

/**
 * The last way back for whoever lost device and recovery codes: an operator, who has made sure who it is. The password is
 * still asked for; all sessions end, and the owner is told. not_found: no such account.
 */
export function removeSecondFactor(email: string, operator: Caller, asked: Asked): Promise<Result<null>> {
  return atDesk(asked, async ({ tx, auth, letters: outgoing }) => {
    const user = await findUser(tx, email);
    if (user === null) return refuse("not_found", "no account has this address");
    const { adapter, internalAdapter } = await auth.$context;
    await adapter.deleteMany({ model: "twoFactor", where: [{ field: "userId", value: user.id }] });
    await internalAdapter.updateUser(user.id, { twoFactorEnabled: false });
    await deleteSessionsOf(tx, user.id, null);
    await insertAudit(tx, {
      team: null,
      actor: operator.actor,
      action: "second_factor.remove",
      subject: user.id,
      ...asked.by,
    });
    outgoing.push(letters.notice(user.email, "second_factor_removed", originOf(asked.env)));
    return null;
  });
}

const bodyOf = ({ password }: z.infer<typeof PasswordShown>) => (password === undefined ? {} : { password });

/** One session goes on; all others end. */
async function goOn(desk: OwnDesk, token: string | null, kind: letters.Notice): Promise<z.infer<typeof SessionToken>> {
  if (token === null) throw new Error("the session was not replaced");
  await deleteSessionsOf(desk.tx, desk.me.id, token);
  desk.letters.push(letters.notice(desk.me.email, kind, originOf(desk.asked.env)));
  return { token: await sessionBearer(token, desk.asked.env.BETTER_AUTH_SECRET) };
}
