// One's own account: what it is, its password and address, its sessions, and whom an operator invites to have one.
import type { z } from "zod";
import type {
  Account,
  EmailChange,
  OpenSessions,
  PasswordChange,
  PasswordReset,
  PasswordResetDone,
  SessionsEnded,
  SessionToken,
} from "../../../contracts/account.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { UserId } from "../../../contracts/ids.ts";
import { invite } from "../../../db/queries/sign-up-invitations.ts";
import { deleteSession, deleteSessionsOf, listSessionsOf, listWaysIn } from "../../../db/queries/sessions.ts";
import { markVerified, showUser } from "../../../db/queries/users.ts";
import * as letters from "../mail/letters.ts";
import { originOf } from "./accounts.ts";
import { plainHeaders, type Asked } from "./asked.ts";
import { atDesk, note, refuse, requireGoodPassword } from "./at-desk.ts";
import { sessionBearer } from "./bearer.ts";
import type { Caller } from "./caller.ts";
import { authDatabase } from "./databases.ts";
import { atOwnDesk, requirePassword } from "./own-desk.ts";

const INVITATION_TTL_MS = 7 * 24 * 60 * 60_000;

export function showAccount(asked: Asked): Promise<Result<Account>> {
  return atOwnDesk(asked, async ({ tx, me }) => {
    const user = await showUser(tx, me.id);
    if (user === null) return refuse("unauthenticated", "the account is gone");
    return { ...user, waysIn: await listWaysIn(tx, me.id) };
  });
}

/** The same answer for every address; only a person with the mailbox finds out more. */
export function askPasswordReset({ email }: z.infer<typeof PasswordReset>, asked: Asked): Promise<Result<null>> {
  return atDesk(asked, async ({ auth }) => {
    await auth.api.requestPasswordReset({ body: { email }, headers: plainHeaders(asked) });
    return null;
  });
}

/** Ends every session. The second factor stays: a mailbox alone opens no account that has one. */
export function finishPasswordReset(input: z.infer<typeof PasswordResetDone>, asked: Asked): Promise<Result<null>> {
  return atDesk(asked, async ({ auth, tx, letters: outgoing }) => {
    const context = await auth.$context;
    const waiting = await context.internalAdapter.findVerificationValue(`reset-password:${input.token}`);
    const user = waiting?.value as UserId;
    const owner = waiting === null ? null : await context.internalAdapter.findUserById(user);
    requireGoodPassword(input.password, owner?.email ?? "");
    const body = { token: input.token, newPassword: input.password };
    await auth.api.resetPassword({ body, headers: plainHeaders(asked) });
    await markVerified(tx, user);
    await note({ tx, asked }, user, "user.reset_password");
    if (owner) outgoing.push(letters.notice(owner.email, "password_changed", originOf(asked.env)));
    return null;
  });
}

/** All sessions end; the one that comes back goes on in this one's place. */
export function changePassword(
  { password, newPassword }: z.infer<typeof PasswordChange>,
  asked: Asked,
): Promise<Result<z.infer<typeof SessionToken>>> {
  return atOwnDesk(asked, async ({ auth, tx, headers, me, letters: outgoing }) => {
    requireGoodPassword(newPassword, me.email, "/newPassword");
    const body = { currentPassword: password, newPassword, revokeOtherSessions: true };
    const { token } = await auth.api.changePassword({ body, headers });
    if (token === null) throw new Error("the session was not replaced");
    await note({ tx, asked }, me.id, "user.change_password");
    outgoing.push(letters.notice(me.email, "password_changed", originOf(asked.env)));
    return { token: await sessionBearer(token, asked.env.BETTER_AUTH_SECRET) };
  });
}

/** Nothing changes until the new address is proven. The same answer where somebody has it already. */
export function changeEmail(input: z.infer<typeof EmailChange>, asked: Asked): Promise<Result<null>> {
  return atOwnDesk(asked, async (desk) => {
    await requirePassword(desk, input.password);
    const { auth, tx, headers, me } = desk;
    await auth.api.changeEmail({ body: { newEmail: input.email }, headers });
    await note({ tx, asked }, me.id, "user.ask_email_change");
    return null;
  });
}

export function listSessions(asked: Asked): Promise<Result<z.infer<typeof OpenSessions>>> {
  return atOwnDesk(asked, async ({ tx, me }) => ({ items: await listSessionsOf(tx, me.id, me.token) }));
}

/** It opens nothing from now on. */
export function endSession(id: string, asked: Asked): Promise<Result<null>> {
  return atOwnDesk(asked, async ({ tx, me }) => {
    if (!(await deleteSession(tx, me.id, id))) refuse("not_found", `you have no session ${id}`);
    await note({ tx, asked }, me.id, "session.end", id);
    return null;
  });
}

/** Sign-out everywhere: but here, if the session that asks is to stay. */
export function endSessions(keepThis: boolean, asked: Asked): Promise<Result<z.infer<typeof SessionsEnded>>> {
  return atOwnDesk(asked, async ({ tx, me }) => {
    const ended = await deleteSessionsOf(tx, me.id, keepThis ? me.token : null);
    await note({ tx, asked }, me.id, "session.end_all");
    return { ended };
  });
}

/** An operator's: whoever has this address may make an account within a week. */
export async function inviteToSignUp(email: string, operator: Caller, asked: Asked): Promise<Result<null>> {
  const { env, by } = asked;
  const db = authDatabase(env);
  const expiresAt = new Date(Date.now() + INVITATION_TTL_MS);
  await invite(db, { email, expiresAt, actor: operator.actor, ...by });
  asked.post([letters.invited(email, originOf(env))]);
  return { ok: true, value: null };
}
