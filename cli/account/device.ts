// Signing in by a web page: the code and the address are shown, the page lets this device in, and its session is fetched.
import { setTimeout as sleep } from "node:timers/promises";
import { DeviceLogin, DeviceLoginPending } from "../../contracts/account.ts";
import { Session } from "../../contracts/api.ts";
import { createApi, type Api } from "../client.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { openBrowser } from "./open-browser.ts";

export interface DeviceOptions {
  /** False by --no-browser: the address is only shown. */
  readonly browser: boolean;
}

const Answer = Session.or(DeviceLoginPending);
/** Waits are the server's; one that says nothing sensible is asked no faster than this. */
const POLL_MS_MIN = 500;

/** The session's token. Without a terminal only where --no-browser says that somebody reads along. */
export async function signInByDevice(context: Context, { browser }: DeviceOptions): Promise<string> {
  if (!context.interactive && browser)
    throw new CommandFailure(
      "No terminal to sign in at",
      EXIT.usage,
      "In a pipeline set BERTH_TOKEN to an API token (`berth tokens create`). Or: --no-browser, or --email with --password-stdin.",
    );
  const api = createApi({ apiUrl: context.api.apiUrl });
  const login = await api.call(DeviceLogin, "POST", "/v1/device-logins", {});
  context.out.note(`Your code: ${dashed(login.userCode)}\n\nOpen ${login.verificationUrlComplete}`);
  context.out.note("and let this device in, if the page shows the same code.");
  if (browser && !(await openBrowser(login.verificationUrlComplete)))
    context.out.note("No browser could be opened here: open the address yourself, on any device.");
  return fetched(api, login);
}

/** As the page shows it: eight characters are easier to compare in two halves. */
const dashed = (userCode: string): string => userCode.replace(/^(.{4})(.{4})$/, "$1-$2");

async function fetched(api: Api, { deviceCode, expiresAtMs, intervalMs }: DeviceLogin): Promise<string> {
  let waitMs = intervalMs;
  while (Date.now() < expiresAtMs) {
    await sleep(Math.max(POLL_MS_MIN, waitMs));
    const answer = await asked(api, deviceCode);
    if ("token" in answer) return answer.token;
    waitMs = answer.retryAfterMs;
  }
  throw tooLate();
}

async function asked(api: Api, deviceCode: string) {
  try {
    return await api.call(Answer, "POST", "/v1/device-logins/session", { deviceCode });
  } catch (error) {
    const code = error instanceof CommandFailure ? error.problem?.code : undefined;
    if (code === "gone") throw tooLate();
    if (code === "forbidden")
      throw new CommandFailure(
        "Refused on the web page",
        EXIT.signedOut,
        "If that was not you, somebody has your session.",
      );
    throw error;
  }
}

const tooLate = (): CommandFailure =>
  new CommandFailure("The code took too long, or was used already", EXIT.signedOut, "Begin again: berth login");
