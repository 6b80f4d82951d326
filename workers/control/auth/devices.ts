// `berth login`: a device shows a code, somebody who is signed in on the web lets it in, and it fetches its session (RFC 8628).
import type { z } from "zod";
import type { DeviceLogin, DeviceLoginAsk, DeviceLoginPending } from "../../../contracts/account.ts";
import type { Session } from "../../../contracts/api.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { UserId } from "../../../contracts/ids.ts";
import * as devices from "../../../db/queries/devices.ts";
import * as letters from "../mail/letters.ts";
import { CLI_CLIENT, originOf, refusalCode } from "./accounts.ts";
import { ADDRESS_HEADER, plainHeaders, sessionHeaders, type Asked } from "./asked.ts";
import { atDesk, note, refuse } from "./at-desk.ts";
import { opened } from "./opened.ts";
import { ensureOwnTeam } from "./own-team.ts";

const GRANT = "urn:ietf:params:oauth:grant-type:device_code";
/** After a poll that came too soon. */
const SLOWER_MS = 5_000;
const POLL_MS = 3_000;

/** conflict: nobody could open the page. */
export function beginDeviceLogin(asked: Asked): Promise<Result<DeviceLogin>> {
  return atDesk(asked, async ({ auth, tx }) => {
    if (asked.env.CONTROL_ORIGIN === undefined)
      refuse(
        "conflict",
        "this installation has no pages (CONTROL_ORIGIN is not set): sign in with `berth login --email`",
      );
    const headers = plainHeaders(asked);
    const made = await auth.api.deviceCode({ body: { client_id: CLI_CLIENT }, headers });
    const from = { ipAddress: headers.get(ADDRESS_HEADER), userAgent: headers.get("user-agent") };
    await devices.noteOrigin(tx, made.device_code, from);
    return {
      deviceCode: made.device_code,
      userCode: made.user_code,
      verificationUrl: made.verification_uri,
      verificationUrlComplete: made.verification_uri_complete,
      expiresAtMs: Date.now() + made.expires_in * 1_000,
      intervalMs: made.interval * 1_000,
    };
  });
}

type Asking =
  { readonly kind: "pending"; readonly retryAfterMs: number } | { readonly kind: "let_in"; readonly token: string };

/** forbidden: it was refused; gone: it took too long, or was fetched already. */
export async function askDeviceLogin(
  { deviceCode }: z.infer<typeof DeviceLoginAsk>,
  asked: Asked,
): Promise<Result<z.infer<typeof DeviceLoginPending> | { kind: "session"; session: Session }>> {
  const asking = await atDesk<Asking>(asked, async ({ auth, tx, letters: outgoing }) => {
    const reach = await devices.reachOf(tx, deviceCode);
    const body = { grant_type: GRANT, device_code: deviceCode, client_id: CLI_CLIENT } as const;
    let token: string;
    try {
      token = (await auth.api.deviceToken({ body, headers: plainHeaders(asked) })).access_token;
    } catch (error) {
      const code = refusalCode(error);
      if (code === "authorization_pending") return { kind: "pending", retryAfterMs: POLL_MS };
      if (code === "slow_down") return { kind: "pending", retryAfterMs: SLOWER_MS };
      throw error;
    }
    if (reach === null) throw new Error("a device was let in that never asked");
    await devices.giveReach(tx, token, reach);
    const found = await (await auth.$context).internalAdapter.findSession(token);
    if (found === null) throw new Error("the device's session ended");
    const user = found.user.id as UserId;
    if (reach.signOnTeam === null) await ensureOwnTeam(tx, user);
    await note({ tx, asked }, user, "device.sign_in");
    outgoing.push(letters.notice(found.user.email, "device_signed_in", originOf(asked.env)));
    return { kind: "let_in", token };
  });
  if (!asking.ok) return asking;
  if (asking.value.kind === "pending") return { ok: true, value: asking.value };
  const session = await opened(asked, { ok: true, value: asking.value.token });
  return session.ok ? { ok: true, value: { kind: "session", session: session.value } } : session;
}

/** As people copy it: in small letters, with a dash or a blank. */
export const userCodeOf = (typed: string): string => typed.replaceAll(/[^a-zA-Z0-9]/g, "").toUpperCase();

export function findDevice(userCode: string, asked: Asked): Promise<Result<devices.DeviceOrigin>> {
  return atDesk(asked, async ({ tx }) => {
    const found = await devices.findWaiting(tx, userCode);
    return found ?? refuse("gone", "No device waits with this code: it was answered already, or took too long.");
  });
}

/** token: of the session of whoever answers. */
export function answerDevice(
  answer: { readonly userCode: string; readonly letIn: boolean; readonly token: string; readonly user: UserId },
  asked: Asked,
): Promise<Result<null>> {
  const { userCode, letIn, token, user } = answer;
  return atDesk(asked, async ({ auth, tx }) => {
    const headers = sessionHeaders(asked, token);
    await auth.api.deviceVerify({ query: { user_code: userCode }, headers });
    if (letIn) {
      await auth.api.deviceApprove({ body: { userCode }, headers });
      await devices.noteApprover(tx, userCode, token);
    } else await auth.api.deviceDeny({ body: { userCode }, headers });
    const action = letIn ? "device.let_in" : "device.refuse";
    await note({ tx, asked }, user, action);
    return null;
  });
}
