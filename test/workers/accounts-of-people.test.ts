// What people do with their accounts, inside workerd: addresses proven by letters, passwords, sessions and second factors.
import { sql } from "drizzle-orm";
import { describe, expect, inject, it } from "vitest";
import type { Session } from "../../contracts/api.ts";
import { connect } from "../../db/connect.ts";
import { mintId } from "../../db/ids.ts";
import * as auth from "../../workers/control/auth/index.ts";
import { codeOf, password, People, valueOf } from "./people.ts";
import { codeOf as totp, wrongCodeOf } from "./totp.ts";

const { adapter, appUrl, authUrl } = inject("migrated");
const people = new People({
  DATABASE_URL_APP: appUrl,
  DATABASE_URL_AUTH: authUrl,
  NEON_ADAPTER: adapter,
  BETTER_AUTH_SECRET: "a secret of at least thirty-two characters",
  SETUP_TOKEN: "the setup token of this test",
});
const asked: People["asked"] = (...of) => people.asked(...of);
const newAddress = (): string => `${mintId("user").slice(5)}@example.com`;
const newUser = (): Promise<Session> => people.newUser(newAddress());
const whoIs = async (bearer: string): Promise<string> => codeOf(await auth.authenticate(asked(bearer), people.env));
const lettersTo = (email: string): string[] =>
  people.letters.filter(({ to }) => to === email).map(({ subject }) => subject);

describe("an address", () => {
  it("is proven by letter and password together, and only then signs in", async () => {
    const email = newAddress();
    valueOf(await auth.signUp({ email, password, name: "A" }, asked()));
    expect(codeOf(await auth.signIn({ email, password }, asked()))).toBe("forbidden");
    expect(lettersTo(email)).toEqual(["Confirm your address", "Confirm your address"]);
    const token = people.tokenFor(email);
    expect(codeOf(await auth.verifyEmail({ token, password: "not the password" }, asked()))).toBe("unauthenticated");
    expect(codeOf(await auth.verifyEmail({ token: `${token}x`, password }, asked()))).toBe("gone");
    expect(codeOf(await auth.signIn({ email, password }, asked()))).toBe("forbidden");
    expect(codeOf(await auth.verifyEmail({ token, password }, asked()))).toBe("ok");
    expect(codeOf(await auth.signIn({ email, password }, asked()))).toBe("ok");
  });

  it("that has an account gets another letter and the same answer, and its password stays", async () => {
    const { user } = await newUser();
    const again = await auth.signUp({ email: user.email, password: "a stranger's password", name: "B" }, asked());
    expect(again).toEqual(await auth.signUp({ email: newAddress(), password, name: "C" }, asked()));
    expect(lettersTo(user.email)).toContain("You have an account already");
    expect(codeOf(await auth.signIn({ email: user.email, password }, asked()))).toBe("ok");
  });

  it("is replaced once the new one is proven, and the old one is told", async () => {
    const { token, user } = await newUser();
    const email = newAddress();
    expect(codeOf(await auth.changeEmail({ email, password: "wrong" }, asked(token)))).toBe("unauthenticated");
    valueOf(await auth.changeEmail({ email, password }, asked(token)));
    expect(codeOf(await auth.signIn({ email, password }, asked()))).toBe("unauthenticated");
    valueOf(await auth.verifyEmail({ token: people.tokenFor(email), password }, asked()));
    expect(codeOf(await auth.signIn({ email, password }, asked()))).toBe("ok");
    expect(codeOf(await auth.signIn({ email: user.email, password }, asked()))).toBe("unauthenticated");
    expect(lettersTo(user.email)).toContain("Your address was changed");
    expect(valueOf(await auth.listSessions(asked(token))).items, "no session by the way").toHaveLength(2);
  });

  it("of somebody else is not told apart from a free one", async () => {
    const [one, other] = [await newUser(), await newUser()];
    const taken = await auth.changeEmail({ email: other.user.email, password }, asked(one.token));
    expect(taken).toEqual(await auth.changeEmail({ email: newAddress(), password }, asked(one.token)));
    expect(lettersTo(other.user.email)).not.toContain("Confirm your new address");
  });
});

describe("sign-up", () => {
  it("is for whom the operator's policy lets in: nobody, the invited once, or everybody", async () => {
    const email = newAddress();
    const attempt = (policy: string) =>
      auth.signUp({ email, password, name: "P" }, asked(undefined, { SIGN_UP: policy }));
    expect(codeOf(await attempt("closed"))).toBe("forbidden");
    expect(codeOf(await attempt("opne"))).toBe("forbidden");
    expect(codeOf(await attempt("invited")), "the same as for somebody invited").toBe("ok");
    expect(lettersTo(email)).toEqual([]);
    const { token } = await newUser();
    const operator = valueOf(await auth.authenticate(asked(token), people.env));
    valueOf(await auth.inviteToSignUp(email.toUpperCase(), operator, asked()));
    expect(codeOf(await attempt("invited"))).toBe("ok");
    expect(lettersTo(email)).toEqual(["Confirm your address"]);
  });

  it("says what is missing where the installation sends no mail", async () => {
    const input = { email: newAddress(), password, name: "P" };
    expect(codeOf(await auth.signUp(input, { ...asked(), env: { ...people.env, MAIL_URL: "" } }))).toBe("conflict");
  });
});

describe("a password", () => {
  it("that was forgotten is chosen anew by letter, once, and ends every session", async () => {
    const { token, user } = await newUser();
    const unknown = await auth.askPasswordReset({ email: newAddress() }, asked());
    expect(await auth.askPasswordReset({ email: user.email }, asked())).toEqual(unknown);
    const letter = people.tokenFor(user.email);
    const input = { token: letter, password: "another long password" };
    expect(codeOf(await auth.finishPasswordReset(input, asked()))).toBe("ok");
    expect(await whoIs(token)).toBe("unauthenticated");
    expect(codeOf(await auth.finishPasswordReset(input, asked()))).toBe("gone");
    expect(codeOf(await auth.signIn({ email: user.email, password }, asked()))).toBe("unauthenticated");
    expect(codeOf(await auth.signIn({ email: user.email, password: input.password }, asked()))).toBe("ok");
    expect(lettersTo(user.email)).toContain("Your password was changed");
  });

  it("chosen by letter takes an account away from a stranger who signed up with the address", async () => {
    const email = newAddress();
    valueOf(await auth.signUp({ email, password: "the stranger's password", name: "S" }, asked()));
    valueOf(await auth.askPasswordReset({ email }, asked()));
    valueOf(await auth.finishPasswordReset({ token: people.tokenFor(email), password }, asked()));
    expect(codeOf(await auth.signIn({ email, password }, asked()))).toBe("ok");
    const stranger = await auth.signIn({ email, password: "the stranger's password" }, asked());
    expect(codeOf(stranger)).toBe("unauthenticated");
  });

  it("is changed by whoever knows it, which ends all sessions but the one that goes on", async () => {
    const { token, user } = await newUser();
    const other = valueOf(await auth.signIn({ email: user.email, password }, asked()));
    const change = (present: string) => ({ password: present, newPassword: "another long password" });
    expect(codeOf(await auth.changePassword(change("wrong"), asked(token)))).toBe("unauthenticated");
    const next = valueOf(await auth.changePassword(change(password), asked(token)));
    expect(await Promise.all([token, other.token, next.token].map(whoIs))).toEqual([
      "unauthenticated",
      "unauthenticated",
      "ok",
    ]);
  });
});

describe("sessions", () => {
  it("are listed to their owner with where they came from, and one that is ended opens nothing", async () => {
    const { token, user } = await newUser();
    const other = valueOf(await auth.signIn({ email: user.email, password }, asked()));
    const { items } = valueOf(await auth.listSessions(asked(token)));
    expect(items.map(({ current, address, userAgent }) => ({ current, address, userAgent }))).toEqual([
      { current: false, address: "203.0.113.7", userAgent: "test" },
      expect.objectContaining({ current: true }),
    ]);
    expect(JSON.stringify(items)).not.toContain(token.slice("berth_session_".length).split(".")[0]);
    const stranger = await newUser();
    const id = items[0]?.id ?? "";
    expect(codeOf(await auth.endSession(id, asked(stranger.token)))).toBe("not_found");
    expect(codeOf(await auth.endSession(id, asked(token)))).toBe("ok");
    expect([await whoIs(other.token), await whoIs(token)]).toEqual(["unauthenticated", "ok"]);
  });

  it("end everywhere at once, here too where that is wanted", async () => {
    const { token, user } = await newUser();
    const others = [];
    for (let made = 0; made < 2; made += 1)
      others.push(valueOf(await auth.signIn({ email: user.email, password }, asked())));
    expect(valueOf(await auth.endSessions(true, asked(token)))).toEqual({ ended: 2 });
    expect(await Promise.all([token, ...others.map((one) => one.token)].map(whoIs))).toEqual([
      "ok",
      "unauthenticated",
      "unauthenticated",
    ]);
    expect(valueOf(await auth.endSessions(false, asked(token)))).toEqual({ ended: 1 });
    expect(await whoIs(token)).toBe("unauthenticated");
  });

  it("alone change an account: an API token does not", async () => {
    const { token } = await newUser();
    const caller = valueOf(await auth.authenticate(asked(token), people.env));
    const made = valueOf(await auth.createApiToken(caller, { name: "ci" }, people.env));
    expect(codeOf(await auth.showAccount(asked(made.token)))).toBe("forbidden");
    expect(codeOf(await auth.endSessions(false, asked(made.token)))).toBe("forbidden");
  });
});

async function withSecondFactor(): Promise<{ session: string; email: string; uri: string; recoveryCodes: string[] }> {
  const { token, user } = await newUser();
  const { uri, recoveryCodes } = valueOf(await auth.beginSecondFactor({ password }, asked(token)));
  const next = valueOf(await auth.confirmSecondFactor({ code: totp(uri) }, asked(token)));
  return { session: next.token, email: user.email, uri, recoveryCodes };
}

describe("a second factor", () => {
  it("is on after a first code, not before, and ends all other sessions", async () => {
    const { token, user } = await newUser();
    expect(codeOf(await auth.beginSecondFactor({ password: "wrong" }, asked(token)))).toBe("unauthenticated");
    const { uri } = valueOf(await auth.beginSecondFactor({ password }, asked(token)));
    const other = valueOf(await auth.signIn({ email: user.email, password }, asked()));
    expect(codeOf(await auth.confirmSecondFactor({ code: wrongCodeOf(uri) }, asked(token)))).toBe("unauthenticated");
    const next = valueOf(await auth.confirmSecondFactor({ code: totp(uri) }, asked(token)));
    expect(await Promise.all([token, other.token, next.token].map(whoIs))).toEqual([
      "unauthenticated",
      "unauthenticated",
      "ok",
    ]);
    expect(valueOf(await auth.showAccount(asked(next.token)))).toMatchObject({
      secondFactor: true,
      waysIn: ["password"],
    });
  });

  it("asks for a code that is right and was not shown before", async () => {
    const { email, uri } = await withSecondFactor();
    expect(codeOf(await auth.signIn({ email, password }, asked()))).toBe("second_factor_required");
    expect(codeOf(await auth.signIn({ email, password: "wrong", code: totp(uri, 1) }, asked()))).toBe(
      "unauthenticated",
    );
    expect(codeOf(await auth.signIn({ email, password, code: wrongCodeOf(uri) }, asked()))).toBe("unauthenticated");
    const code = totp(uri, 1);
    const tries = await Promise.all([1, 2].map(() => auth.signIn({ email, password, code }, asked())));
    expect(tries.map(codeOf).toSorted(), "once, when two come at the same time").toEqual(["ok", "unauthenticated"]);
    expect(codeOf(await auth.signIn({ email, password, code }, asked()))).toBe("unauthenticated");
  });

  it("is locked for a while after ten wrong codes, and opens no sooner with the right one", async () => {
    const { email, uri } = await withSecondFactor();
    // Nine came before.
    await connect({ url: authUrl, adapter }).transaction({ kind: "auth" }, (tx) =>
      tx.execute(sql`update two_factors set failed_verification_count = 9
        where user_id = (select id from users where email = ${email})`),
    );
    expect(codeOf(await auth.signIn({ email, password, code: wrongCodeOf(uri) }, asked()))).toBe("unauthenticated");
    expect(codeOf(await auth.signIn({ email, password, code: totp(uri, 1) }, asked()))).toBe("rate_limited");
  });

  it("lost with the device: a recovery code signs in once, and switches it off or makes new codes", async () => {
    const { email, recoveryCodes } = await withSecondFactor();
    const [code = "", another = ""] = recoveryCodes;
    const { token } = valueOf(await auth.signIn({ email, password, code }, asked()));
    expect(codeOf(await auth.signIn({ email, password, code }, asked()))).toBe("unauthenticated");
    expect(lettersTo(email)).toContain("A recovery code was used");
    const fresh = valueOf(await auth.makeRecoveryCodes({ password }, asked(token)));
    expect(codeOf(await auth.signIn({ email, password, code: another }, asked()))).toBe("unauthenticated");
    expect(fresh.recoveryCodes).toHaveLength(10);
    const off = valueOf(await auth.endSecondFactor({ password }, asked(token)));
    expect([await whoIs(token), await whoIs(off.token)]).toEqual(["unauthenticated", "ok"]);
    expect(codeOf(await auth.signIn({ email, password }, asked()))).toBe("ok");
  });

  it("lost with device and recovery codes: an operator removes it, all sessions end and the owner is told", async () => {
    const { session, email } = await withSecondFactor();
    const operator = valueOf(await auth.authenticate(asked((await newUser()).token), people.env));
    expect(codeOf(await auth.removeSecondFactor(newAddress(), operator, asked()))).toBe("not_found");
    valueOf(await auth.removeSecondFactor(email, operator, asked()));
    expect(await whoIs(session)).toBe("unauthenticated");
    expect(lettersTo(email)).toContain("An operator removed your second factor");
    const { token } = valueOf(await auth.signIn({ email, password }, asked()));
    expect(codeOf(await auth.beginSecondFactor({ password }, asked(token)))).toBe("ok");
  });

  it("stays when the password is chosen anew: a mailbox alone opens no such account", async () => {
    const { email } = await withSecondFactor();
    valueOf(await auth.askPasswordReset({ email }, asked()));
    valueOf(await auth.finishPasswordReset({ token: people.tokenFor(email), password }, asked()));
    expect(codeOf(await auth.signIn({ email, password }, asked()))).toBe("second_factor_required");
  });
});
