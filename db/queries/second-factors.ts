// Codes of second factors that were shown already: each counts once, as berth_auth.
import { and, eq, gt, sql } from "drizzle-orm";
import type { UserId } from "../../contracts/ids.ts";
import type { Transaction } from "../connect.ts";
import { mintId } from "../ids.ts";
import { sessions, twoFactors, verifications } from "../schema/auth.ts";

/** Longer than a code and its neighbours are good for. */
const REMEMBERED_MS = 150_000;

/** Whether this code was not shown before; from now on it was. Two that come at once wait for each other. */
export async function takeCode(tx: Transaction, user: UserId, hash: string): Promise<boolean> {
  await tx.select({ id: twoFactors.id }).from(twoFactors).where(eq(twoFactors.userId, user)).for("update");
  const identifier = `shown-code:${hash}`;
  const shown = await tx
    .select({ id: verifications.id })
    .from(verifications)
    .where(and(eq(verifications.identifier, identifier), gt(verifications.expiresAt, sql`now()`)))
    .limit(1);
  if (shown.length > 0) return false;
  const expiresAt = new Date(Date.now() + REMEMBERED_MS);
  await tx.insert(verifications).values({ id: mintId("veri"), identifier, value: "", expiresAt });
  return true;
}

/** Of a session that was opened without a code, as another provider's are. */
export async function markSecondFactor(tx: Transaction, token: string): Promise<void> {
  await tx.update(sessions).set({ secondFactor: true }).where(eq(sessions.token, token));
}
