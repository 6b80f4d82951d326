// Guessing passwords: five wrong ones from an address within 15 minutes, and strangers at one account made to wait. Answers tell nobody
// whether an account is there.
import { sha256Hex } from "../sha256.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { ControlEnv } from "../env.ts";
import { fail } from "./problem.ts";
import { tuned } from "./rate-limit.ts";
import { SIGN_IN_LIMITS } from "../../../core/sign-in/throttle.ts";

/**
 * Runs an attempt that shows a password. It counts as wrong from the start, and no more once it turns out right or could not be judged.
 * An address that signed in to the account before is limited with the account alone: neither strangers nor its neighbours lock it out.
 * device: what a browser holds in its cookie, which goes before its address; one that was made up is a stranger's.
 */
export async function guardSignIn<Value>(
  env: ControlEnv,
  request: Request,
  account: string,
  attempt: () => Promise<Result<Value>>,
  device?: string,
): Promise<Result<Value>> {
  const id = crypto.randomUUID();
  const address = networkOf(request.headers.get("cf-connecting-ip"));
  const network = address === null ? null : await sha256Hex(address);
  const from = device === undefined ? network : await sha256Hex(`device ${device}`);
  const failuresMax = tuned(env, "signInFailuresMax", SIGN_IN_LIMITS.failuresMax);
  const ofAccount = env.RATE_LIMIT.getByName(`sign-in:account:${await sha256Hex(account.toLowerCase())}`);
  const atAccount = await ofAccount.beginSignIn({ of: "account", id, from, failuresMax });
  if (atAccount.kind === "refused") return tooMany(atAccount.retryAfterMs);
  const isFree = network === null || atAccount.known;
  const ofAddress = isFree ? null : env.RATE_LIMIT.getByName(`sign-in:address:${network}`);
  const atAddress = await ofAddress?.beginSignIn({ of: "address", id, from: network, failuresMax });
  if (atAddress?.kind === "refused") {
    // Nobody looked at the password: it is no failure of the account's.
    await ofAccount.endSignIn({ id, known: null });
    return tooMany(atAddress.retryAfterMs);
  }
  const end = (known: string | null) =>
    Promise.all([ofAccount.endSignIn({ id, known }), ofAddress?.endSignIn({ id, known: null })]);
  if (atAccount.waitMs > 0) await new Promise((resolve) => setTimeout(resolve, atAccount.waitMs));
  let result: Result<Value>;
  try {
    result = await attempt();
  } catch (error) {
    await end(null);
    throw error;
  }
  if (result.ok) await end(from);
  else if (result.failure.code !== "unauthenticated") await end(null);
  return result;
}

const tooMany = (retryAfterMs: number): never =>
  fail("rate_limited", "Too many attempts to sign in; try again later.", { retryAfterMs });

/** A subscriber of IPv6 has at least a /64. Null: nobody says, or it is this machine's own front that says so of everybody. */
export function networkOf(address: string | null): string | null {
  if (address === null || address === "::1" || address.startsWith("127.")) return null;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const first = head.split(":").filter(Boolean);
  const last = tail === undefined ? [] : tail.split(":").filter(Boolean);
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - first.length - last.length)).fill("0");
  const groups = [...first, ...zeros, ...last]
    .slice(0, 4)
    .map((group) => (Number.parseInt(group, 16) || 0).toString(16));
  return groups.join(":");
}
