// Makes the rest of the world agree with who holds a hostname: the Host object, KV behind it, and the certificates' issuer.
import type { Result } from "../../../contracts/failures.ts";
import type { HostRecord } from "../../../contracts/route.ts";
import { WILDCARD } from "../../../core/domains/hostname.ts";
import { findHold, setCustomHostname, settledHold, type DomainHold } from "../../../db/queries/domain-holds.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import { databaseOf } from "../http/database.ts";
import { certificatesOf } from "./certificates.ts";

/** Level-triggered and repeatable; false: somebody did not answer or refused, the sweep tries again. */
export async function settle(env: ControlEnv, hold: DomainHold): Promise<boolean> {
  try {
    const answer = await ask(() => tellHost(env, hold), { repeatable: true });
    if (!answer.ok) throw new Error(answer.failure.message);
    if (hold.state === "resting" && hold.customHostnameId !== null) await giveUpCertificate(env, hold);
    await settledHold(databaseOf(env), hold);
    return true;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.warn(JSON.stringify({ at: "domains", hostname: hold.hostname, unsettled: message.slice(0, 300) }));
    return false;
  }
}

function tellHost(
  env: ControlEnv,
  { hostname, app, team, state, revision }: DomainHold,
): Promise<Result<HostRecord | null>> {
  const host = env.HOST.getByName(hostname);
  return state === "held" ? host.claim({ hostname, app, team, revision }) : host.release({ hostname, app, revision });
}

/** Of a hostname and the wildcard below it the issuer has one entry: it goes with the last of them. */
async function giveUpCertificate(env: ControlEnv, { hostname, customHostnameId: id }: DomainHold): Promise<void> {
  const certificates = certificatesOf(env);
  if (certificates === null || id === null) return;
  const database = databaseOf(env);
  const sibling = hostname.startsWith(WILDCARD) ? hostname.slice(WILDCARD.length) : WILDCARD + hostname;
  const other = await findHold(database, sibling);
  if (other?.state !== "held" || other.customHostnameId !== id) await certificates.remove(id);
  await setCustomHostname(database, hostname, null);
}
