// Releases that are asked for by name: a header signed by the control plane, checked by the keys that tickets are checked by.
import { decodeProtectedHeader, importJWK, jwtVerify } from "jose";
import type { TicketKey } from "../../contracts/agent-protocol.ts";
import type { AppId } from "../../contracts/ids.ts";
import { OVERRIDE_HEADER, OVERRIDE_ISSUER, OVERRIDE_TYP, OverrideClaims } from "../../contracts/override.ts";
import { headerIn } from "./visitor.ts";

/** internal: a head's `berth-` lines. */
export const overrideIn = (internal: string): string | null =>
  internal === "" ? null : headerIn(internal, OVERRIDE_HEADER);

/** The version that it opens at this app; null for one that is forged, expired or another app's. */
export async function overrideOf(
  token: string,
  app: AppId,
  keys: readonly TicketKey[],
  nowMs: number,
): Promise<number | null> {
  try {
    const { kid } = decodeProtectedHeader(token);
    const key = keys.find((each) => each.kid === kid);
    if (key === undefined) return null;
    const { payload } = await jwtVerify(token, await importJWK({ ...key }, "EdDSA"), {
      ...{ algorithms: ["EdDSA"], typ: OVERRIDE_TYP, issuer: OVERRIDE_ISSUER, audience: app },
      ...{ requiredClaims: ["exp", "iat", "ver"], currentDate: new Date(nowMs) },
    });
    return OverrideClaims.parse(payload).ver;
  } catch {
    return null;
  }
}
