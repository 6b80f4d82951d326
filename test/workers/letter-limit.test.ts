// Letters that anybody can have sent: so many to an address and no more, whoever asks; what its owner must hear of always goes.
import { evictDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { UNASKED_LETTERS_MAX } from "../../workers/control/mail/letter-limit.ts";
import { alreadySignedUp, notice, resetPassword } from "../../workers/control/mail/letters.ts";
import { sendAll } from "../../workers/control/mail/mailer.ts";
import { ask, env as plain, newPerson, newTeam } from "./access-world.ts";
import { clockGoesOn, stillClock } from "./still-clock.ts";

const ORIGIN = "https://berth.test";
const env = { ...plain, MAIL_URL: "http://mail.test", CONTROL_ORIGIN: ORIGIN };
clockGoesOn();
/** Bodies as the companion gets them. */
let sent: { to: string; subject: string }[] = [];
beforeEach(() => {
  sent = [];
  const real = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
    if (!String(input).startsWith("http://mail.test")) return real(input, init);
    sent.push(JSON.parse(String(init?.body)));
    return Promise.resolve(new Response(null, { status: 202 }));
  });
});
afterEach(() => void vi.restoreAllMocks());
const newAddress = (): string => `${crypto.randomUUID()}@example.com`;
const many = <Made>(make: () => Made): Made[] => Array.from({ length: UNASKED_LETTERS_MAX + 5 }, make);
async function objectOf(address: string) {
  const digest = new Uint8Array(
    await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`Choose a new password\n${address}`)),
  );
  const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return env.RATE_LIMIT.getByName(`letters:${hash}`);
}

it("to one address are five of a kind in a quarter of an hour, however it is written, also over an eviction; then there are more", async () => {
  const clock = stillClock();
  const [victim, other] = [newAddress(), newAddress()];
  await sendAll(env, many(() => resetPassword(victim, ORIGIN, "token")).slice(0, UNASKED_LETTERS_MAX - 1));
  await evictDurableObject((await objectOf(victim)) as never);
  await sendAll(
    env,
    many(() => resetPassword(victim.toUpperCase(), ORIGIN, "token")),
  );
  await sendAll(env, [resetPassword(other, ORIGIN, "token")]);
  expect(sent.filter(({ to }) => to.toLowerCase() === victim)).toHaveLength(UNASKED_LETTERS_MAX);
  await sendAll(env, [alreadySignedUp(victim, ORIGIN)]);
  expect(sent.at(-1), "another kind").toMatchObject({ to: victim, subject: "You have an account already" });
  expect(sent.filter(({ to }) => to === other)).toHaveLength(1);
  expect(Object.keys(sent[0] ?? {}).toSorted(), "as the companion takes it").toEqual(["from", "id", "subject", "text", "to"]); // prettier-ignore
  clock.pass(15 * 60_000 + 1);
  await sendAll(env, [resetPassword(victim, ORIGIN, "token")]);
  expect(sent.at(-1)).toMatchObject({ to: victim });
});

it("keep no notice back: whoever floods a mailbox does not hide what they change", async () => {
  const victim = newAddress();
  await sendAll(
    env,
    many(() => resetPassword(victim, ORIGIN, "token")),
  );
  await sendAll(
    env,
    many(() => notice(victim, "password_changed", ORIGIN)),
  );
  expect(sent.filter(({ subject }) => subject === "Your password was changed")).toHaveLength(UNASKED_LETTERS_MAX + 5);
});

it("are limited where a team invites somebody over and over: the invitation is made, and the letter is not sent", async () => {
  const { team } = await newTeam();
  const owner = await newPerson({ team, role: "owner" });
  const victim = newAddress();
  for (const _ of many(() => null)) {
    const { status, body } = await ask(owner.bearer, "POST", "/v1/invitations", { email: victim }, env);
    expect([status, typeof body.token]).toEqual([201, "string"]);
  }
  expect(sent.filter(({ to }) => to === victim)).toHaveLength(UNASKED_LETTERS_MAX);
});
