// How many letters an address gets that anybody can ask for (invitations, resets, confirmations): nobody's mailbox is to be buried in ours.
import { sha256Hex } from "../sha256.ts";
import type { RateLimitRpc } from "../../../durable-objects/rpc.ts";

export interface LettersEnv {
  readonly RATE_LIMIT: { getByName(name: string): Pick<RateLimitRpc, "beginSignIn"> };
}

/**
 * Of one subject within 15 minutes (the window of sign-ins), over all who ask: whoever is invited, loses the letter and asks again needs
 * two or three. By subject, so that a flood of invitations keeps back no reset.
 */
export const UNASKED_LETTERS_MAX = 5;

/** Counts this one. While the object is away, nobody has. */
export async function hasHadEnough({ RATE_LIMIT }: LettersEnv, to: string, subject: string): Promise<boolean> {
  const name = await sha256Hex(`${subject}\n${to.toLowerCase()}`);
  // Counted as attempts to sign in are, of which none ever turns out right.
  const counted = { of: "address", id: crypto.randomUUID(), from: null, failuresMax: UNASKED_LETTERS_MAX } as const;
  const verdict = await RATE_LIMIT.getByName(`letters:${name}`)
    .beginSignIn(counted)
    .catch(() => null);
  return verdict?.kind === "refused";
}
