// One's own account: addresses, passwords, second factors, sessions, devices, and how a team's members sign in.
import { z } from "zod";
import { AtMs, TeamId, UserId } from "./ids.ts";

export const Email = z.email().max(254);
export const Password = z.string().min(10).max(128);
/** Of a letter's link. */
const LetterToken = z.string().min(16).max(2_048);
/** Six digits of an authenticator app, or a recovery code. */
export const Code = z.string().regex(/^([0-9]{6}|[A-Za-z0-9]{5}-[A-Za-z0-9]{5})$/, {
  message: "must be six digits, or a recovery code such as aB3dE-fG7hI",
});
/** Of the account, as a second look at who is there; absent where the account has none. */
const PasswordAgain = z.string().min(1).max(128).optional();

export const VerifyEmail = z.strictObject({ token: LetterToken, password: z.string().min(1).max(128) });
export const PasswordReset = z.strictObject({ email: Email });
export const PasswordResetDone = z.strictObject({ token: LetterToken, password: Password });
export const PasswordChange = z.strictObject({ password: z.string().min(1).max(128), newPassword: Password });
export const EmailChange = z.strictObject({ email: Email, password: PasswordAgain });
/** A letter is on its way, if the address is one that gets it. */
export const LetterSent = z.object({ letter: z.literal("sent") });

/** The session that goes on in place of the one that was shown; its token is shown once. */
export const SessionToken = z.object({ token: z.string() });

export const PasswordShown = z.strictObject({ password: PasswordAgain });
export const SecondFactorBegun = z.object({
  /** `otpauth://…`, for an authenticator app. */
  uri: z.string(),
  recoveryCodes: z.array(z.string()),
});
export const SecondFactorConfirm = z.strictObject({
  code: z.string().regex(/^[0-9]{6}$/, { message: "must be six digits" }),
});
export const RecoveryCodes = z.object({ recoveryCodes: z.array(z.string()) });
export const SecondFactorRemove = z.strictObject({ email: Email });

export const SessionId = z.string().regex(/^sess_[0-7][0-9a-hjkmnp-tv-z]{25}$/, {
  message: "must be an id of the form sess_ followed by 26 characters",
});
export const OpenSession = z.object({
  id: SessionId,
  createdAtMs: AtMs,
  expiresAtMs: AtMs,
  address: z.string().nullable(),
  userAgent: z.string().nullable(),
  /** A code was shown for it. */
  secondFactor: z.boolean(),
  /** The team through whose single sign-on it was opened, and which alone it reaches. */
  signOnTeam: TeamId.nullable(),
  current: z.boolean(),
});
export type OpenSession = z.infer<typeof OpenSession>;
export const OpenSessions = z.object({ items: z.array(OpenSession) });
export const SessionsEnded = z.object({ ended: z.int().nonnegative() });

export const Account = z.object({
  email: z.string(),
  emailVerified: z.boolean(),
  secondFactor: z.boolean(),
  /** `password`, `github`, `google`, `sso-<team id>`. */
  waysIn: z.array(z.string()),
});
export type Account = z.infer<typeof Account>;
export const SignUpInvitation = z.strictObject({ email: Email });

export const DeviceLogin = z.object({
  /** For the client alone; it asks with it whether somebody has answered. */
  deviceCode: z.string(),
  /** For a person, to compare with what the page shows. */
  userCode: z.string(),
  verificationUrl: z.string(),
  verificationUrlComplete: z.string(),
  expiresAtMs: AtMs,
  intervalMs: z.int().positive(),
});
export type DeviceLogin = z.infer<typeof DeviceLogin>;
export const DeviceLoginAsk = z.strictObject({ deviceCode: z.string().min(16).max(191) });
export const DeviceLoginPending = z.object({ kind: z.literal("pending"), retryAfterMs: z.int().positive() });

/** Whether members need a second factor, and the team's own OpenID provider. The secret is never shown. */
export const SignInPolicy = z.object({
  secondFactorRequired: z.boolean(),
  singleSignOn: z
    .object({
      issuer: z.string(),
      clientId: z.string(),
      domains: z.array(z.string()),
      enforced: z.boolean(),
      /** For the provider: where its answers go. */
      callbackUrl: z.string(),
      /** For members: where they sign in. */
      signInUrl: z.string(),
    })
    .nullable(),
});
export type SignInPolicy = z.infer<typeof SignInPolicy>;
export const SecondFactorPolicy = z.strictObject({ required: z.boolean() });
export const SingleSignOn = z.strictObject({
  issuer: z.url({ protocol: /^https?$/ }).max(512),
  clientId: z.string().min(1).max(256),
  clientSecret: z.string().min(1).max(1_024),
  /** Whose addresses it may sign on; none: any. */
  domains: z.array(z.hostname().max(253).toLowerCase()).max(20).default([]),
  /** Members come in through it alone; owners beside it, with a second factor. */
  enforced: z.boolean().default(false),
});
export type SingleSignOn = z.infer<typeof SingleSignOn>;
export const Operator = z.object({ user: UserId, email: z.string(), name: z.string() });
export const Operators = z.object({ items: z.array(Operator) });
export const OperatorAdd = z.strictObject({ email: Email });
