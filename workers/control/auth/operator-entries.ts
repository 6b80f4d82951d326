// Break-glass: an operator enters a team for a stated reason and a while. Both audits have it, and the team's owners get a letter.
import type { Result } from "../../../contracts/failures.ts";
import type { OperatorEntryId } from "../../../contracts/ids.ts";
import type { EnterTeam, OperatorEntry } from "../../../contracts/teams.ts";
import type { Transaction } from "../../../db/connect.ts";
import { mintId } from "../../../db/ids.ts";
import { insertAudit } from "../../../db/queries/audit.ts";
import * as queries from "../../../db/queries/operator-entries.ts";
import * as letters from "../mail/letters.ts";
import { originOf } from "./accounts.ts";
import type { Asked } from "./asked.ts";
import { atDesk, refuse } from "./at-desk.ts";
import type { Caller } from "./caller.ts";

/** team: id or slug. not_found: there is none; conflict: a member needs none, there is one, or the operator has no second factor. */
export function enterTeam(team: string, input: EnterTeam, by: Caller, asked: Asked): Promise<Result<OperatorEntry>> {
  return atDesk(asked, async ({ tx, letters: outgoing }) => {
    const entering = await queries.findEntering(tx, by.user.id, team);
    if (entering === null) return refuse("not_found", `there is no team ${team}`);
    if (entering.isMember)
      refuse("conflict", `you are a member of ${entering.slug}: --team ${entering.slug} is enough`);
    if (!entering.secondFactor)
      refuse(
        "conflict",
        "whoever enters a team that is not theirs has a second factor: `berth account second-factor on`",
      );
    const opening = { ...input, id: mintId<OperatorEntryId>("entry"), team: entering.team, user: by.user.id };
    const entry = await queries.openEntry(tx, { ...opening, email: entering.email });
    if (entry === null) return refuse("conflict", `you are in ${entering.slug} already; leave it to enter it anew`);
    await tell(tx, asked, { entry, action: "operator_entry.open", teamsActor: operatorOf(by), actor: by.actor });
    for (const owner of await queries.ownersOf(tx, entry.team))
      outgoing.push(letters.operatorEntered(owner, { ...entry, team: entering.name }, originOf(asked.env)));
    return entry;
  });
}

/** One's own. not_found: there is no such team, or no open one there. */
export function leaveTeam(team: string, by: Caller, asked: Asked): Promise<Result<null>> {
  return atDesk(asked, async ({ tx }) => {
    const entering = await queries.findEntering(tx, by.user.id, team);
    if (entering === null) return refuse("not_found", `there is no team ${team}`);
    const entry = await queries.endEntry(tx, { team: entering.team, user: by.user.id }, operatorOf(by));
    if (entry === null) return refuse("not_found", `you have not entered ${entering.slug}`);
    await tell(tx, asked, { entry, action: "operator_entry.end", teamsActor: operatorOf(by), actor: by.actor });
    return null;
  });
}

/** By the team. not_found: no open one of this team. */
export function endOperatorEntry(id: OperatorEntryId, by: Caller, asked: Asked): Promise<Result<null>> {
  const action = "operator_entry.end";
  const { team, actor } = by;
  return atDesk(asked, async ({ tx }) => {
    const entry = await queries.endEntry(tx, { team: team.id, id }, actor);
    if (entry === null) return refuse("not_found", `no entry ${id} of this team is open`);
    await tell(tx, asked, { entry, action, teamsActor: actor, actor });
    return null;
  });
}

/** In the team's audit, of whatever an operator does there. */
const operatorOf = (by: Caller): string => `operator:${by.user.id}`;

interface Told {
  readonly entry: OperatorEntry;
  readonly action: string;
  readonly actor: string;
  readonly teamsActor: string;
}

async function tell(tx: Transaction, asked: Asked, { entry, action, actor, teamsActor }: Told): Promise<void> {
  const { id, team, email, role, reason, endsAtMs } = entry;
  const data = { entry: id, team, operator: email, role, reason, endsAtMs };
  await insertAudit(tx, { team: null, actor, action, subject: team, data, ...asked.by });
  await insertAudit(tx, { team, actor: teamsActor, action, subject: id, data, ...asked.by });
}
