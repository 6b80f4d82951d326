// Devices that ask to be signed in: from where, and what their session takes over from whoever approved, as berth_auth.
import { and, eq, gt, sql } from "drizzle-orm";
import type { Transaction } from "../connect.ts";
import { deviceCodes, sessions } from "../schema/auth.ts";

export interface DeviceOrigin {
  readonly ipAddress: string | null;
  readonly userAgent: string | null;
}

export async function noteOrigin(tx: Transaction, deviceCode: string, origin: DeviceOrigin): Promise<void> {
  await tx.update(deviceCodes).set(origin).where(eq(deviceCodes.deviceCode, deviceCode));
}

/** For the page that asks whether to let it in. Null: none waits under that code. */
export async function findWaiting(tx: Transaction, userCode: string): Promise<DeviceOrigin | null> {
  const [row] = await tx
    .select({ ipAddress: deviceCodes.ipAddress, userAgent: deviceCodes.userAgent })
    .from(deviceCodes)
    .where(
      and(eq(deviceCodes.userCode, userCode), eq(deviceCodes.status, "pending"), gt(deviceCodes.expiresAt, sql`now()`)),
    );
  return row ?? null;
}

/** What the approver's session has shown and reaches, the device's will too, and no more. */
export async function noteApprover(tx: Transaction, userCode: string, token: string): Promise<void> {
  const [approver] = await tx
    .select({ secondFactor: sessions.secondFactor, signOnTeam: sessions.signOnTeam })
    .from(sessions)
    .where(eq(sessions.token, token));
  if (approver === undefined) throw new Error("the approver's session ended");
  await tx.update(deviceCodes).set(approver).where(eq(deviceCodes.userCode, userCode));
}

export async function reachOf(tx: Transaction, deviceCode: string) {
  const [row] = await tx
    .select({ secondFactor: deviceCodes.secondFactor, signOnTeam: deviceCodes.signOnTeam })
    .from(deviceCodes)
    .where(eq(deviceCodes.deviceCode, deviceCode));
  return row ?? null;
}

export async function giveReach(
  tx: Transaction,
  token: string,
  reach: NonNullable<Awaited<ReturnType<typeof reachOf>>>,
): Promise<void> {
  await tx.update(sessions).set(reach).where(eq(sessions.token, token));
}
