// The pages that lead to a sign-in provider, and the address that it sends people back to.
import type { Context } from "hono";
import { html } from "hono/html";
import type { Result } from "../../../contracts/failures.ts";
import { userCodeOf } from "../auth/devices.ts";
import { beginSignOn, beginTeamSignOn, finishSignOn, type SignOnStep } from "../auth/providers/sign-on.ts";
import { askedOf } from "../http/asked.ts";
import { newApi, type ControlContext } from "../http/context.ts";
import { statusOf } from "../http/problem.ts";
import { limitSignIns } from "../http/rate-limit.ts";
import { signInPage } from "./device.ts";
import { answerOnPage, hardened, none, ownForms, page, wrong, type Html } from "./layout.ts";

type C = Context<ControlContext>;
const codeOf = (c: C): string => userCodeOf(c.req.query("user_code") ?? "");

const teamPage = (userCode: string, why: Html = none): Html =>
  page(
    "Your team's provider",
    html`${why}
      <form method="get" action="/account/sign-on">
        <input type="hidden" name="user_code" value="${userCode}" />
        <label>The team's name in its apps' addresses <input name="team" required maxlength="63" /></label>
        <button>Go on</button>
      </form>`,
  );
/** A link, because no form of these pages may lead to another site. */
const leavePage = (team: string, userCode: string): Html =>
  page(
    "Go on to your team's provider",
    html`<p>You leave this page for the sign-in of the team <b>${team}</b>, and come back when that is done.</p>
      <p><a href="/account/sign-on/${encodeURIComponent(team)}?user_code=${userCode}">Go on</a></p>`,
  );

async function guarded(c: C, account: string, work: () => Promise<Result<SignOnStep>>): Promise<Response> {
  await limitSignIns(c.env, c.req.raw, `provider ${account}`);
  const step = await work();
  if (!step.ok) {
    const { code, message } = step.failure;
    return c.html(signInPage(c.env, codeOf(c), wrong(message)), statusOf(code));
  }
  for (const cookie of step.value.cookies) c.header("set-cookie", cookie, { append: true });
  return c.redirect(step.value.to, 303);
}

export const providerPages = newApi();
providerPages.use("/account/*", hardened, ownForms);
providerPages.use("/auth/*", hardened);
providerPages.onError(answerOnPage);

providerPages.get("/account/sign-in/:provider", (c) => {
  const { provider } = c.req.param();
  return guarded(c, provider, () => beginSignOn(provider, codeOf(c), askedOf(c)));
});
providerPages.get("/account/sign-on", (c) => {
  const team = c.req.query("team")?.trim().toLowerCase() ?? "";
  return c.html(team === "" ? teamPage(codeOf(c)) : leavePage(team, codeOf(c)));
});
providerPages.get("/account/sign-on/:team", (c) => {
  const { team } = c.req.param();
  return guarded(c, team, () => beginTeamSignOn(team.toLowerCase(), codeOf(c), askedOf(c)));
});
providerPages.get("/auth/callback/:provider", (c) => {
  const { provider } = c.req.param();
  return guarded(c, c.req.query("state") ?? "", () => finishSignOn(provider, c.req.query(), askedOf(c)));
});
