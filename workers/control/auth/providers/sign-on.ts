// Signing in through a provider: to it with a state that only this browser has, and back with a code that better-auth trades.
import type { Failure, Result } from "../../../../contracts/failures.ts";
import { findOwnSession } from "../../../../db/queries/sessions.ts";
import { findSingleSignOn } from "../../../../db/queries/sign-in-policies.ts";
import { originOf } from "../accounts.ts";
import { plainHeaders, type Asked } from "../asked.ts";
import { atDesk, Refused, type Desk } from "../at-desk.ts";
import { authDatabase } from "../databases.ts";
import { sessionIn } from "../new-session.ts";
import { pageHeaders } from "../page-sign-in.ts";
import { noteSignIn } from "../sign-in.ts";
import { faultOfProvider, providerNamed, signOnId } from "./providers.ts";

export interface SignOnStep {
  readonly to: string;
  /** `set-cookie` of the answer. */
  readonly cookies: readonly string[];
}

const unknown: Failure = { code: "not_found", message: "There is no such provider here." };
const away = (message: string): Failure => ({
  code: "unprocessable",
  message: `${message} Try again, or another way.`,
});

/** Where a browser goes to sign in. userCode: of the device that waits, or nothing. */
export async function beginSignOn(id: string, userCode: string, asked: Asked): Promise<Result<SignOnStep>> {
  const provider = await providerNamed(id, asked.env).catch(faulty);
  if (provider === null || "failure" in provider) return { ok: false, failure: provider?.failure ?? unknown };
  const origin = originOf(asked.env);
  const back = `${origin}/account/device?user_code=${userCode}`;
  return atDesk(
    asked,
    async ({ auth }) => {
      const { response, headers } = await auth.api.signInSocial({
        body: { provider: id, callbackURL: back, errorCallbackURL: `${origin}/account/sign-in`, disableRedirect: true },
        headers: plainHeaders(asked),
        returnHeaders: true,
      });
      return { to: ("url" in response ? response.url : undefined) ?? back, cookies: headers.getSetCookie() };
    },
    { provider },
  );
}

/** By the team's slug. */
export async function beginTeamSignOn(slug: string, userCode: string, asked: Asked): Promise<Result<SignOnStep>> {
  const signOn = await findSingleSignOn(authDatabase(asked.env), { slug });
  if (signOn === null)
    return { ok: false, failure: { code: "not_found", message: `No team ${slug} has a provider of its own.` } };
  return beginSignOn(signOnId(signOn.team), userCode, asked);
}

/** query: what the provider sends the browser back with. Nothing of a sign-in that fails stays. */
export async function finishSignOn(
  id: string,
  query: Readonly<Record<string, string>>,
  asked: Asked,
): Promise<Result<SignOnStep>> {
  const provider = await providerNamed(id, asked.env).catch(faulty);
  if (provider === null || "failure" in provider) return { ok: false, failure: provider?.failure ?? unknown };
  let fault: string | null = null;
  const noted = <Args extends unknown[], Value>(work: (...args: Args) => Promise<Value>) =>
    (...args: Args): Promise<Value> =>
      work(...args).catch((error: unknown) => {
        fault = faultOfProvider(error);
        throw error;
      }); // prettier-ignore
  const watched = {
    ...provider,
    validateAuthorizationCode: noted(provider.validateAuthorizationCode),
    getUserInfo: noted(provider.getUserInfo),
  };
  const work = async (desk: Desk): Promise<SignOnStep> => {
    const answer = await desk.auth.api
      .callbackOAuth({
        method: "GET",
        params: { id },
        query: { ...query },
        headers: pageHeaders(asked),
        asResponse: true,
      })
      .catch(faulty);
    if ("failure" in answer) throw new Refused(answer.failure);
    const to = answer.headers.get("location") ?? "";
    const code = to === "" ? await codeIn(answer) : URL.parse(to)?.searchParams.get("error");
    if (code) throw new Refused(fault === null ? refusalOf(code) : away(fault));
    const session = await findOwnSession(desk.tx, sessionIn(answer.headers) ?? "");
    if (session === null) throw new Refused(refusalOf("no_session"));
    await noteSignIn(desk, session.id);
    return { to, cookies: answer.headers.getSetCookie() };
  };
  return atDesk(asked, work, { provider: watched });
}

function faulty(error: unknown): { readonly failure: Failure } {
  const fault = faultOfProvider(error);
  if (fault === null) throw error;
  return { failure: away(fault) };
}

async function codeIn(answer: Response): Promise<string> {
  const { code } = (await answer.json().catch(() => ({}))) as { code?: string };
  return code ?? "unknown";
}

const UNPROVEN = "so this sign-in proves nothing here";
const REFUSALS: Readonly<Record<string, string>> = {
  access_denied: "The sign-in was refused at the provider.",
  account_not_linked: `An account has this address already, and not both sides say that it is verified, ${UNPROVEN}: sign in with its password.`,
  domain_not_of_team: "The address that the provider names is of none of the team's domains.",
  email_not_found: "The provider names no e-mail address.",
  email_not_verified: `The provider does not say that the address is verified, ${UNPROVEN}.`,
  invalid_code: "The provider did not take the code: it was used already, or is too old. Begin again.",
  issuer_mismatch: "The answer is of another provider than was asked. Begin again.",
  not_invited: "Accounts here are by invitation: ask an operator, or a team of yours.",
  operator_by_team: "An operator of the installation signs in by themselves, not through a team's provider.",
  sign_up_closed: "Nobody can make an account here: ask the operator for one.",
  unable_to_get_user_info: "What the provider says of who you are is not genuine, or not of this sign-in. Begin again.",
};
const BEGIN_AGAIN = "This sign-in did not begin in this browser, was finished already, or took too long. Begin again.";

/** Words that came in the answer's address are another's: they are shown to nobody. */
function refusalOf(code: string): Failure {
  const known = REFUSALS[code.toLowerCase()];
  if (known !== undefined) return { code: "forbidden", message: known };
  if (code.includes("state")) return { code: "gone", message: BEGIN_AGAIN };
  return { code: "forbidden", message: `The sign-in failed (${code.replaceAll(/[^\w-]/g, "").slice(0, 64)}).` };
}
