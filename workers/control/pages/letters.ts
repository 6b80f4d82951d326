// Where the links of letters lead: an address is confirmed, a forgotten password chosen anew. Opening a page changes nothing; its form does.
import { html } from "hono/html";
import type { z } from "zod";
import { PasswordReset, PasswordResetDone, VerifyEmail } from "../../../contracts/account.ts";
import type { Result } from "../../../contracts/failures.ts";
import { askPasswordReset, finishPasswordReset, verifyEmail } from "../auth/index.ts";
import { askedOf } from "../http/asked.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { statusOf } from "../http/problem.ts";
import { limitSignIns } from "../http/rate-limit.ts";
import { guardSignIn } from "../http/sign-in-throttle.ts";
import { answerOnPage, donePage, hardened, ownForms, page, style, wrong, type Html } from "./layout.ts";

type Fields = Readonly<Record<string, string>>;

const tokenField = (token: string): Html => html`<input type="hidden" name="token" value="${token}" />`;
const password = (label: string, autocomplete: string): Html =>
  html`<label
    >${label}
    <input type="password" name="password" autocomplete="${autocomplete}" required minlength="10" maxlength="128"
  /></label>`;

const verifyPage = (token: string, why: Html = html``): Html =>
  page(
    "Confirm your address",
    html`${why}
      <form method="post">
        ${tokenField(token)}${password("The account's password", "current-password")}<button>Confirm</button>
      </form>
      <p><a href="/account/forgotten">I do not know the password</a></p>`,
  );
const resetPage = (token: string, why: Html = html``): Html =>
  page(
    "Choose a new password",
    html`${why}
      <form method="post">
        ${tokenField(token)}${password("New password, at least 10 characters", "new-password")}<button>Change</button>
      </form>`,
  );
const forgottenPage = (why: Html = html``): Html =>
  page(
    "Forgotten password",
    html`${why}
      <form method="post">
        <label>Email <input type="email" name="email" autocomplete="username" required maxlength="254" /></label>
        <button>Send a letter</button>
      </form>`,
  );

/** The form's fields by the contract, then the deed; whatever refuses is said on the page, with the status that it has. */
async function submitted<Schema extends z.ZodType>(
  c: ControlRequest,
  schema: Schema,
  act: (input: z.output<Schema>, fields: Fields) => Promise<Result<null>>,
  shown: { readonly done: Html; again(fields: Fields, why: Html): Html },
): Promise<Response> {
  const body = await c.req.parseBody();
  const fields = Object.fromEntries(Object.entries(body).filter((field) => typeof field[1] === "string")) as Fields;
  const parsed = schema.safeParse(fields);
  if (!parsed.success) {
    const first = parsed.error.issues[0];
    return c.html(shown.again(fields, wrong(`${first?.path.join(".") ?? ""}: ${first?.message ?? ""}`)), 400);
  }
  const result = await act(parsed.data, fields);
  if (result.ok) return c.html(shown.done);
  return c.html(shown.again(fields, wrong(result.failure.message)), statusOf(result.failure.code));
}

export const letterPages = newApi();
letterPages.use("/account/*", hardened, ownForms);
letterPages.onError(answerOnPage);
letterPages.get("/account/style.css", style);

letterPages.get("/account/verify", (c) => c.html(verifyPage(c.req.query("token") ?? "")));
letterPages.post("/account/verify", (c) =>
  submitted(
    c,
    VerifyEmail,
    (input) => guardSignIn(c.env, c.req.raw, input.token, () => verifyEmail(input, askedOf(c))),
    {
      done: donePage("Confirmed", "Your address is confirmed. Sign in with: berth login"),
      again: (fields, why) => verifyPage(fields.token ?? "", why),
    },
  ),
);
letterPages.get("/account/reset", (c) => c.html(resetPage(c.req.query("token") ?? "")));
letterPages.post("/account/reset", (c) =>
  submitted(
    c,
    PasswordResetDone,
    async (input) => {
      await limitSignIns(c.env, c.req.raw, input.token);
      return finishPasswordReset(input, askedOf(c));
    },
    {
      done: donePage("Changed", "Your password is changed, and all sessions ended. Sign in with: berth login"),
      again: (fields, why) => resetPage(fields.token ?? "", why),
    },
  ),
);
letterPages.get("/account/forgotten", (c) => c.html(forgottenPage()));
letterPages.post("/account/forgotten", (c) =>
  submitted(
    c,
    PasswordReset,
    async (input) => {
      await limitSignIns(c.env, c.req.raw, input.email);
      return askPasswordReset(input, askedOf(c));
    },
    {
      done: donePage("Look into your mailbox", "A letter is on its way, if this address has an account."),
      again: (_fields, why) => forgottenPage(why),
    },
  ),
);
