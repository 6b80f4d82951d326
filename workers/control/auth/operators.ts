// Who runs the installation: more operators, and fewer. Asked for by one of them, in a session of their own.
import type { Operators } from "../../../contracts/account.ts";
import type { z } from "zod";
import type { Result } from "../../../contracts/failures.ts";
import type { UserId } from "../../../contracts/ids.ts";
import { insertAudit } from "../../../db/queries/audit.ts";
import * as queries from "../../../db/queries/operators.ts";
import * as letters from "../mail/letters.ts";
import { originOf } from "./accounts.ts";
import type { Asked } from "./asked.ts";
import { atDesk, refuse } from "./at-desk.ts";
import type { AuthEnv, Caller } from "./caller.ts";
import { authDatabase } from "./databases.ts";

export async function listOperators(env: AuthEnv): Promise<Result<z.infer<typeof Operators>>> {
  return { ok: true, value: { items: await queries.listOperators(authDatabase(env)) } };
}

/** not_found: no account has the address; conflict: it is not proven, has no second factor, or is an operator's already. */
export function addOperator(email: string, by: Caller, asked: Asked): Promise<Result<null>> {
  return atDesk(asked, async ({ tx, letters: outgoing }) => {
    const person = await queries.findPerson(tx, email);
    if (person === null) return refuse("not_found", "no account has this address");
    if (person.operator) refuse("conflict", `${person.email} is an operator already`);
    if (!person.verified) refuse("conflict", `${person.email} has not proven this address yet`);
    if (!person.secondFactor)
      refuse("conflict", `${person.email} has no second factor: an operator is to have one, so switch it on first`);
    await queries.addOperator(tx, person.user);
    await noteOf(tx, asked, by, "operator.add", person.user, person.email);
    outgoing.push(letters.notice(person.email, "operator_added", originOf(asked.env)));
    return null;
  });
}

/** not_found: no operator; conflict: the last one. */
export function removeOperator(user: UserId, by: Caller, asked: Asked): Promise<Result<null>> {
  return atDesk(asked, async ({ tx, letters: outgoing }) => {
    const removed = await queries.dropOperator(tx, user);
    if (removed === null) return refuse("not_found", `${user} is no operator`);
    if (removed === "last") return refuse("conflict", "this is the last operator: add another one first");
    await noteOf(tx, asked, by, "operator.remove", user, removed.email);
    outgoing.push(letters.notice(removed.email, "operator_removed", originOf(asked.env)));
    return null;
  });
}

const noteOf = (
  tx: Parameters<typeof insertAudit>[0],
  asked: Asked,
  by: Caller,
  action: string,
  subject: UserId,
  email: string,
) => insertAudit(tx, { team: null, actor: by.actor, action, subject, data: { email }, ...asked.by });
