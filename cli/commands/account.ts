// account: one's own password, address and second factor; and what an operator does for others' accounts.
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { Account, LetterSent, RecoveryCodes, SecondFactorBegun, SessionToken } from "../../contracts/account.ts";
import { ask, askPassword, askPasswords } from "../account/ask.ts";
import { keepToken } from "../account/sign-in.ts";
import type { Context } from "../context.ts";
import { contextOf } from "./run.ts";

const STDIN = "read the password from standard input";

export function accountCommand() {
  const account = new Command("account").description("your own account").action(async (_options, command) => {
    const context = contextOf(command);
    const mine = await context.api.call(Account, "GET", "/v1/account");
    context.out.result(mine, () => {
      context.out.line(`${mine.email}${mine.emailVerified ? "" : " (not confirmed)"}`);
      context.out.line(`Signs in by: ${mine.waysIn.join(", ")}`);
      context.out.line(`Second factor: ${mine.secondFactor ? "on" : "off"}`);
    });
  });
  addLetters(account);
  addChanges(account);
  addSecondFactor(account);
  addOperators(account);
  return account;
}

function addLetters(account: Command): void {
  account
    .command("verify")
    .description("confirm an address with the token of the letter's link")
    .argument("<token>")
    .option("--password-stdin", STDIN)
    .action(async (token, options, command) => {
      const context = contextOf(command);
      const password = await askPassword(context, options);
      await context.api.call(z.null(), "POST", "/v1/verify-email", { token, password });
      context.out.result({ verified: true }, () => context.out.line("Confirmed. Sign in with: berth login"));
    });
  account
    .command("reset-password")
    .description("ask for a letter with a link to choose a new password, or use its token")
    .argument("<email>")
    .option("--token <token>", "of the letter's link")
    .option("--password-stdin", STDIN)
    .action(async (email, options, command) => {
      const context = contextOf(command);
      if (options.token === undefined) return letterSent(context, "/v1/password-resets", { email });
      const password = await askPassword(context, options, "New password (at least 10 characters)");
      await context.api.call(z.null(), "POST", "/v1/password-resets/complete", { token: options.token, password });
      context.out.result({ changed: true }, () =>
        context.out.line("Changed; all sessions ended. Sign in: berth login"),
      );
    });
}

function addChanges(account: Command): void {
  account
    .command("password")
    .description("change the password; all other sessions end")
    .option("--password-stdin", "read the old and the new password from standard input, one line each")
    .action(async (options, command) => {
      const context = contextOf(command);
      const asked = ["Present password", "New password (at least 10 characters)"] as const;
      const [password, newPassword] = await askPasswords(context, options, asked);
      await goOn(context, "/v1/account/password", { password, newPassword }, "Changed; all other sessions ended.");
    });
  account
    .command("email")
    .description("change the address: a letter goes to the new one first")
    .argument("<email>")
    .option("--password-stdin", STDIN)
    .action(async (email, options, command) => {
      const context = contextOf(command);
      const password = await askPassword(context, options);
      await letterSent(context, "/v1/account/email", { email, password });
    });
}

function addSecondFactor(account: Command): void {
  const factor = account.command("second-factor").description("a code at each sign-in, from an authenticator app");
  factor
    .command("on")
    .description("show the secret and the recovery codes, once, and switch it on with a first code")
    .option("--password-stdin", STDIN)
    .action(async (options, command) => {
      const context = contextOf(command);
      const password = await askPassword(context, options);
      const begun = await context.api.call(SecondFactorBegun, "POST", "/v1/account/second-factor", { password });
      if (!context.interactive) return context.out.result(begun, () => showSecret(context, begun));
      showSecret(context, begun);
      const code = await ask(context, "--code", "The code that the app shows");
      await confirm(context, code.trim());
    });
  factor
    .command("confirm")
    .description("switch it on with a first code, where `on` could not ask for it")
    .argument("<code>")
    .action(async (code, _options, command) => confirm(contextOf(command), code));
  factor
    .command("off")
    .option("--password-stdin", STDIN)
    .action(async (options, command) => {
      const context = contextOf(command);
      const password = await askPassword(context, options);
      await goOn(context, "/v1/account/second-factor/off", { password }, "The second factor is off.");
    });
  factor
    .command("recovery-codes")
    .description("make new ones; those before no longer work")
    .option("--password-stdin", STDIN)
    .action(async (options, command) => {
      const context = contextOf(command);
      const password = await askPassword(context, options);
      const made = await context.api.call(RecoveryCodes, "POST", "/v1/account/recovery-codes", { password });
      context.out.result(made, () => context.out.line(made.recoveryCodes.join("\n")));
    });
}

function addOperators(account: Command): void {
  account
    .command("invite")
    .description("as an operator: let somebody make an account, within seven days")
    .argument("<email>")
    .action(async (email, _options, command) => letterSent(contextOf(command), "/v1/sign-up-invitations", { email }));
  account
    .command("remove-second-factor")
    .description("as an operator: for somebody who lost device and recovery codes; make sure who it is first")
    .argument("<email>")
    .action(async (email, _options, command) => {
      const context = contextOf(command);
      await context.api.call(z.null(), "POST", "/v1/second-factor-removals", { email });
      context.out.result({ removed: true }, () =>
        context.out.line(`Removed. All sessions of ${email} ended; a letter says so.`),
      );
    });
}

const confirm = (context: Context, code: string): Promise<void> =>
  goOn(context, "/v1/account/second-factor/confirm", { code }, "The second factor is on; all other sessions ended.");

function showSecret({ out }: Context, { uri, recoveryCodes }: z.infer<typeof SecondFactorBegun>): void {
  const secret = new URL(uri).searchParams.get("secret") ?? "";
  out.line(`For your authenticator app:\n\n  ${secret}\n  ${uri}\n`);
  out.line(
    `Recovery codes, each good once, shown only now:\n\n${recoveryCodes.map((code) => `  ${code}`).join("\n")}\n`,
  );
}

async function letterSent(context: Context, path: string, body: object): Promise<void> {
  const sent = await context.api.call(LetterSent, "POST", path, body);
  context.out.result(sent, () => context.out.line("A letter is on its way, if this address is one that gets it."));
}

/** A change that ends this session and opens its successor. */
async function goOn(context: Context, path: string, body: object, text: string): Promise<void> {
  const { token } = await context.api.call(SessionToken, "POST", path, body);
  keepToken(context, token);
  context.out.result({ done: true }, () => context.out.line(text));
}
