// The pages on which a person signs in and lets a command line in: `berth login` shows the code, this asks about it.
import type { Context } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { html } from "hono/html";
import { offeredProviders } from "../auth/providers/providers.ts";
import type { ControlEnv } from "../env.ts";
import { answerDevice, findDevice, userCodeOf } from "../auth/devices.ts";
import { sessionOfPage, showCodeOnPage, signInOnPage, signOutOnPage, type PageSignIn } from "../auth/page-sign-in.ts";
import { askedOf } from "../http/asked.ts";
import { newApi, type ControlContext, type ControlRequest } from "../http/context.ts";
import { statusOf } from "../http/problem.ts";
import { limitSignIns } from "../http/rate-limit.ts";
import { unwrap } from "../http/respond.ts";
import { guardSignIn } from "../http/sign-in-throttle.ts";
import { answerOnPage, donePage, hardened, none, ownForms, page, wrong, type Html } from "./layout.ts";

const codeField = (userCode: string): Html => html`<input type="hidden" name="user_code" value="${userCode}" />`;

/** Links, not forms: a page's forms may lead nowhere but here. */
const otherWays = (userCode: string, env: ControlEnv): Html =>
  html`${offeredProviders(env).map(
      ({ id, name }) => html`<p><a href="/account/sign-in/${id}?user_code=${userCode}">Sign in with ${name}</a></p>`,
    )}
    <p><a href="/account/sign-on?user_code=${userCode}">Sign in through your team's provider</a></p>
    <p><a href="/account/forgotten">Forgotten password</a></p>`;

export const signInPage = (env: ControlEnv, userCode: string, why: Html = none): Html =>
  page(
    "Sign in",
    html`${why}
      <form method="post" action="/account/sign-in">
        ${codeField(userCode)}
        <label>Email <input type="email" name="email" autocomplete="username" required maxlength="254" /></label>
        <label>Password <input type="password" name="password" autocomplete="current-password" required /></label>
        <button>Sign in</button>
      </form>
      ${otherWays(userCode, env)}`,
  );
const secondFactorPage = (userCode: string, why: Html = none): Html =>
  page(
    "Your code",
    html`${why}
      <form method="post" action="/account/second-factor">
        ${codeField(userCode)}
        <label>Code of your app, or a recovery code <input name="code" autocomplete="one-time-code" required /></label>
        <button>Go on</button>
      </form>`,
  );
const typePage = (why: Html = none): Html =>
  page(
    "Let a device in",
    html`${why}
      <form method="get" action="/account/device">
        <label
          >The code that <code>berth login</code> shows <input name="user_code" autocomplete="off" required
        /></label>
        <button>Go on</button>
      </form>`,
  );
const askPage = (userCode: string, email: string, from: { address: string; client: string }): Html =>
  page(
    "Let this device in?",
    html`<p>A device asks to act as <b>${email}</b>. It shows the code <b>${userCode}</b>.</p>
      <p>It asks from ${from.address}, as ${from.client}.</p>
      <p>Let it in only if you began this yourself, on a device in front of you.</p>
      <form method="post" action="/account/device">
        ${codeField(userCode)}
        <button name="answer" value="let_in">Let it in</button>
        <button name="answer" value="refuse">Refuse</button>
      </form>
      <form method="post" action="/account/sign-out">${codeField(userCode)}<button>Not you? Sign out</button></form>`,
  );

export const devicePages = newApi();
devicePages.use("/account/*", hardened, ownForms);
devicePages.onError(answerOnPage);

devicePages.get("/account/device", async (c) => {
  const there = unwrap(await sessionOfPage(askedOf(c)));
  const userCode = userCodeOf(c.req.query("user_code") ?? "");
  if (there.kind === "nobody") return c.html(signInPage(c.env, userCode));
  if (there.kind === "wants_code") return c.html(secondFactorPage(userCode));
  const { session } = there;
  if (userCode === "") return c.html(typePage());
  await limitSignIns(c.env, c.req.raw, session.email);
  const found = await findDevice(userCode, askedOf(c));
  if (!found.ok) return c.html(typePage(wrong(found.failure.message)), statusOf(found.failure.code));
  const { ipAddress, userAgent } = found.value;
  return c.html(askPage(userCode, session.email, { address: ipAddress ?? "?", client: userAgent ?? "?" }));
});
devicePages.post("/account/device", async (c) => {
  const fields = await fieldsOf(c);
  const there = unwrap(await sessionOfPage(askedOf(c)));
  const userCode = userCodeOf(fields.user_code ?? "");
  if (there.kind !== "somebody") return c.html(signInPage(c.env, userCode), 401);
  const { session } = there;
  const letIn = fields.answer === "let_in";
  const answered = await answerDevice({ userCode, letIn, token: session.token, user: session.id }, askedOf(c));
  if (!answered.ok) return c.html(typePage(wrong(answered.failure.message)), statusOf(answered.failure.code));
  const text = letIn ? "It is signed in. You can close this page." : "It was refused, and is not signed in.";
  return c.html(donePage(letIn ? "Let in" : "Refused", text));
});

devicePages.post("/account/sign-out", async (c) => {
  const { user_code: userCode = "" } = await fieldsOf(c);
  for (const cookie of unwrap(await signOutOnPage(askedOf(c)))) c.header("set-cookie", cookie, { append: true });
  return c.html(signInPage(c.env, userCodeOf(userCode)));
});
devicePages.get("/account/sign-in", (c) => c.html(signInPage(c.env, userCodeOf(c.req.query("user_code") ?? ""))));
devicePages.post("/account/sign-in", async (c) => {
  const { email = "", password = "", user_code: userCode = "" } = await fieldsOf(c);
  const work = () => signInOnPage(email, password, askedOf(c));
  const device = deviceOf(c);
  const result = await guardSignIn(c.env, c.req.raw, email, work, device);
  if (result.ok) keepDevice(c, device);
  if (!result.ok)
    return c.html(
      signInPage(c.env, userCodeOf(userCode), wrong(result.failure.message)),
      statusOf(result.failure.code),
    );
  return goOn(c, result.value, userCode);
});
devicePages.post("/account/second-factor", async (c) => {
  const { code = "", user_code: userCode = "" } = await fieldsOf(c);
  const work = () => showCodeOnPage(code.trim(), askedOf(c));
  const result = await guardSignIn(c.env, c.req.raw, `code ${c.req.header("cookie") ?? ""}`, work);
  if (!result.ok)
    return c.html(secondFactorPage(userCode, wrong(result.failure.message)), statusOf(result.failure.code));
  return goOn(c, result.value, userCode);
});

const DEVICE_TTL_S = 365 * 24 * 60 * 60;

/** What this browser is known by to the accounts that it signed in to: so that nobody's guesses keep its owner waiting. It opens nothing. */
function deviceOf(c: ControlRequest): string {
  const known = getCookie(c, deviceCookie(c));
  return known !== undefined && /^[0-9a-f]{64}$/.test(known) ? known : mintDevice();
}
const deviceCookie = (c: ControlRequest): string => (isSecure(c) ? "__Host-berth.device" : "berth.device");
const isSecure = (c: ControlRequest): boolean => c.env.CONTROL_ORIGIN?.startsWith("https:") === true;
const mintDevice = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function keepDevice(c: ControlRequest, device: string): void {
  const flags = { path: "/", httpOnly: true, sameSite: "Lax", secure: isSecure(c), maxAge: DEVICE_TTL_S } as const;
  setCookie(c, deviceCookie(c), device, flags);
}

/** To the second step, or back to the device: a path of ours, made of the code alone. */
function goOn(
  c: Context<ControlContext>,
  { wantsCode, cookies }: PageSignIn,
  userCode: string,
): Response | Promise<Response> {
  for (const cookie of cookies) c.header("set-cookie", cookie, { append: true });
  if (wantsCode) return c.html(secondFactorPage(userCodeOf(userCode)));
  return c.redirect(`/account/device?user_code=${userCodeOf(userCode)}`, 303);
}

async function fieldsOf(c: ControlRequest): Promise<Readonly<Record<string, string>>> {
  const body = await c.req.parseBody();
  return Object.fromEntries(
    Object.entries(body).filter((field): field is [string, string] => typeof field[1] === "string"),
  );
}
