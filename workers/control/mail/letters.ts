// The letters that people get from Berth, as plain text: who gets which words and which link.
import type { Letter } from "./mailer.ts";

/** Control characters end lines of a header, and make a name look like something else. */
const plain = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f\u0085\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, " ");

const letter = (to: string, subject: string, ...paragraphs: readonly string[]): Letter => ({
  to,
  subject,
  text: `${paragraphs.map(plain).join("\n\n")}\n\nBerth\n`,
});

/** What anybody can have written to an address that may be somebody else's. */
const unasked = (...written: Parameters<typeof letter>): Letter => ({ ...letter(...written), unasked: true });

const link = (origin: string, path: string, token: string): string =>
  `${origin}${path}?token=${encodeURIComponent(token)}`;

const IGNORE = "If this was not you, do nothing: without the password nobody gets further.";

export function verifyAddress(to: string, origin: string, token: string): Letter {
  return unasked(
    to,
    "Confirm your address",
    "Somebody, probably you, signed up at Berth with this address. To confirm it, open this page and give the password that you chose. The link works for one hour.",
    link(origin, "/account/verify", token),
    IGNORE,
  );
}

export function verifyNewAddress(to: string, origin: string, token: string): Letter {
  return unasked(
    to,
    "Confirm your new address",
    "Somebody, probably you, wants to use this address for an account at Berth. To confirm it, open this page and give the account's password. The link works for one hour.",
    link(origin, "/account/verify", token),
    IGNORE,
  );
}

export function alreadySignedUp(to: string, origin: string): Letter {
  return unasked(
    to,
    "You have an account already",
    "Somebody, probably you, tried to sign up at Berth with this address. It has an account: sign in with it, or choose a new password if you forgot it.",
    `${origin}/account/forgotten`,
    "If this was not you, do nothing: nothing was changed.",
  );
}

export function resetPassword(to: string, origin: string, token: string): Letter {
  return unasked(
    to,
    "Choose a new password",
    "Somebody, probably you, asked for a new password for this account at Berth. To choose one, open this page. The link works once, for one hour.",
    link(origin, "/account/reset", token),
    "If this was not you, do nothing: the password stays what it is.",
  );
}

export function invited(to: string, origin: string): Letter {
  return unasked(
    to,
    "You are invited to Berth",
    "An operator invites you to make an account at Berth with this address. The invitation stands for seven days.",
    `On a command line: berth login --api ${origin} --email ${to} --sign-up`,
  );
}

/** The team's name is whatever its owner calls it: it stands in the text alone. */
export function invitedToTeam(to: string, team: string, origin: string, token: string): Letter {
  return unasked(
    to,
    "You are invited to a team at Berth",
    `You are invited to the team "${team}" at Berth. To join it, sign in with this address (make an account first if you have none), and run this within seven days:`,
    `berth --api ${origin} members accept ${token}`,
    "If you do not know this team, do nothing: the invitation expires by itself.",
  );
}

/** reason: the operator's words. Said to each owner of the team. */
export function operatorEntered(
  to: string,
  entry: { team: string; email: string; role: string; reason: string; endsAtMs: number },
  origin: string,
): Letter {
  return letter(
    to,
    "An operator entered your team",
    `An operator of this installation (${entry.email}) entered the team "${entry.team}" as ${entry.role}, until ${new Date(entry.endsAtMs).toISOString()} at the latest. The reason that was given: ${entry.reason}`,
    `What is done meanwhile is in the team's audit: berth --api ${origin} audit. To end it at once: berth --api ${origin} teams operator-entries`,
  );
}

/** What changed, said to whoever the account belongs to. */
export type Notice =
  | "password_changed"
  | "address_changed"
  | "second_factor_on"
  | "second_factor_off"
  | "second_factor_removed"
  | "recovery_code_used"
  | "recovery_codes_made"
  | "sign_in_linked"
  | "device_signed_in"
  | "operator_added"
  | "operator_removed";

const NOTICES: Readonly<Record<Notice, readonly [subject: string, text: string]>> = {
  password_changed: [
    "Your password was changed",
    "The password of your account at Berth was changed, and all other sessions were ended.",
  ],
  address_changed: [
    "Your address was changed",
    "Your account at Berth has another address now. This one is no longer used.",
  ],
  second_factor_on: [
    "Your second factor is on",
    "Your account at Berth asks for a code at each sign-in from now on. All other sessions were ended.",
  ],
  second_factor_off: ["Your second factor is off", "Your account at Berth asks for the password alone from now on."],
  second_factor_removed: [
    "An operator removed your second factor",
    "An operator removed the second factor of your account at Berth, and ended all its sessions. Sign in with your password and set up a new one.",
  ],
  recovery_code_used: [
    "A recovery code was used",
    "Somebody signed in to your account at Berth with one of its recovery codes. Each works once.",
  ],
  recovery_codes_made: [
    "New recovery codes",
    "New recovery codes were made for your account at Berth. The ones before no longer work.",
  ],
  sign_in_linked: [
    "Another way to sign in",
    "Your account at Berth can be signed in to in another way from now on: `berth account` names them.",
  ],
  device_signed_in: [
    "A device was signed in",
    "A command line was signed in to your account at Berth: `berth sessions` lists them all.",
  ],
  operator_added: [
    "You are an operator now",
    "Your account at Berth may see and change the whole installation from now on. All its sessions and API tokens ended: sign in again.",
  ],
  operator_removed: [
    "You are no operator any more",
    "Your account at Berth may no longer see or change the installation. Your teams stay as they are.",
  ],
};

export function notice(to: string, kind: Notice, origin: string): Letter {
  const [subject, text] = NOTICES[kind];
  return letter(
    to,
    subject,
    text,
    `If this was not you, choose a new password at once, which ends all sessions: ${origin}/account/forgotten`,
  );
}
