// People on the real stack, by `berth` and its letters: sign-up, a second factor, sessions that end, and what a team asks of its members.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Page } from "playwright-core";
import { beginBerth, runBerth, type Ran } from "../cli/run-berth.ts";
import { codeOf } from "../workers/totp.ts";
import { openPages, type Pages } from "./browser.ts";
import { castOf, changeOperators, limitTeam, requireSecondFactor, setImagePolicy, setSingleSignOn, type Cast } from "./commands-of-policies.ts"; // prettier-ignore
import { letterTo, lettersTo, tokenIn } from "./letters.ts";
import { createWorld, eventually, type World } from "./support.ts";

const EMAIL = "ann@example.com";
const PASSWORD = "correct horse battery";
let world: World;
/** Ann's own folder, with a configuration of its own. */
let home: string;
let pages: Pages;
let recoveryCodes: string[];
beforeAll(async () => {
  world = await createWorld({ agents: 0 });
  home = mkdtempSync(join(tmpdir(), "berth-ann-"));
  mkdirSync(join(home, ".berth"));
  writeFileSync(join(home, ".berth/config.json"), JSON.stringify({ apiUrl: world.stack.controlUrl }));
});
afterAll(async () => {
  await pages?.close();
  await world?.end();
  if (home !== undefined) rmSync(home, { recursive: true, force: true });
});

const berth = (args: readonly string[], stdin?: string): Promise<Ran> =>
  runBerth(args, { cwd: home, ...(stdin === undefined ? {} : { stdin }) });
const done = async (args: readonly string[], stdin?: string): Promise<string> => {
  const ran = await berth(args, stdin);
  expect(ran.exitCode, `${args.join(" ")}: ${ran.stderr}`).toBe(0);
  return ran.stdout;
};
const login = ["login", "--email", EMAIL, "--password-stdin"];

test("somebody signs up by a letter, and by nothing less", async () => {
  expect(await done([...login, "--sign-up"], PASSWORD)).toContain("A letter goes to ann@example.com");
  expect(await berth(login, PASSWORD)).toMatchObject({ exitCode: 3 });
  const token = tokenIn(await letterTo(world, EMAIL, "Confirm your address"));
  await done(["account", "verify", token, "--password-stdin"], PASSWORD);
  expect(await done(login, PASSWORD)).toContain("Signed in");
  expect(await done(["whoami"])).toContain(EMAIL);
});

test("a second factor is asked for at the next sign-in; a recovery code stands in for a lost device", async () => {
  const begun = JSON.parse(await done(["account", "second-factor", "on", "--password-stdin", "--json"], PASSWORD));
  recoveryCodes = begun.recoveryCodes;
  await done(["account", "second-factor", "confirm", codeOf(begun.uri)]);
  expect(await done(["account"])).toContain("Second factor: on");
  const without = await berth(login, PASSWORD);
  expect(without).toMatchObject({ exitCode: 2 });
  expect(without.stderr).toContain("--code");
  await done([...login, "--code", begun.recoveryCodes[0]], PASSWORD);
  await letterTo(world, EMAIL, "A recovery code was used");
});

test("a session that is ended elsewhere is refused at once", async () => {
  const { items } = JSON.parse(await done(["sessions", "--json"]));
  expect(items).toHaveLength(2);
  await done(["sessions", "end", "--all"]);
  expect(JSON.parse(await done(["sessions", "--json"])).items).toHaveLength(1);
  await done(["sessions", "end", "--everywhere"]);
  expect(await berth(["whoami"])).toMatchObject({ exitCode: 3 });
});

/** `berth login` on a machine without a browser: the page it asks to open, and its end. */
async function beginLogin(): Promise<{ url: string; ended: Promise<Ran>; stop: () => void }> {
  const { said, ended, stop } = beginBerth(["login", "--no-browser"], { cwd: home });
  const url = await eventually(
    async () => /Open (http\S+)/.exec(said.stderr)?.[1],
    (found) => found !== undefined,
  );
  return { url: url as string, ended, stop };
}

async function signInOn(page: Page, password: string): Promise<void> {
  await page.getByLabel("Email").fill(EMAIL);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

test("a command line is let in on a web page, with a password and a code, by whoever compares the codes", async () => {
  pages = await openPages();
  const page = await pages.newPage();
  const { url, ended } = await beginLogin();
  await page.goto(url);
  await signInOn(page, "not the password");
  expect(await page.getByRole("alert").innerText()).toContain("wrong");
  await signInOn(page, PASSWORD);
  await page.getByLabel("Code").fill("aaaaa-aaaaa");
  await page.getByRole("button").click();
  expect(await page.getByRole("alert").innerText()).toContain("not the present code");
  await page.getByLabel("Code").fill(recoveryCodes[1] as string);
  await page.getByRole("button").click();
  // The page before this one has no such button, and may still be there.
  await page.getByRole("button", { name: "Let it in" }).waitFor();
  const asked = await page.getByRole("main").innerText();
  expect(asked).toContain(EMAIL);
  expect(asked, "as the command line shows it").toContain(new URL(url).searchParams.get("user_code"));
  await page.getByRole("button", { name: "Let it in" }).click();
  await page.getByRole("heading", { name: "Let in", exact: true }).waitFor();
  const ran = await ended;
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(ran.stdout).toContain(`as ${EMAIL}`);
  expect(await done(["whoami"])).toContain(EMAIL);
  expect(await done(["sessions"])).toContain("with a code");
  await page.goto(url);
  expect(await page.getByRole("alert").innerText(), "a code that was answered").toContain("No device waits");
  expect(pages.faults(), "what the pages' own headers forbid").toEqual([]);
});

test("a command line that is refused on the page ends with words, and without a session", async () => {
  const page = await pages.newPage();
  const { url, ended } = await beginLogin();
  await page.goto(url);
  await page.getByRole("button", { name: "Refuse" }).click();
  expect(await ended).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("Refused on the web page") });
  const again = await beginLogin();
  await page.goto(again.url);
  const left = page.waitForEvent("framenavigated");
  await page.getByRole("button", { name: "Sign out" }).click();
  await left;
  await page.goto(again.url);
  expect(await page.getByRole("heading").innerText(), "nobody is signed in any more").toBe("Sign in");
  again.stop();
});

test("a pipeline is told of tokens instead of being shown a page", async () => {
  const ran = await berth(["login"]);
  expect(ran.exitCode).toBe(2);
  expect(ran.stderr).toContain("BERTH_TOKEN");
});

test("an operator removes the second factor of whoever lost everything, and its owner is told", async () => {
  const removed = await world.berth(["account", "remove-second-factor", EMAIL]);
  expect(removed.exitCode, removed.stderr).toBe(0);
  await done(login, PASSWORD);
  await letterTo(world, EMAIL, "An operator removed your second factor");
  expect(await berth(["account", "remove-second-factor", EMAIL])).toMatchObject({ exitCode: 3 });
});

test("a forgotten password is chosen anew by letter; nobody learns who has an account", async () => {
  const [known, unknown] = [
    await done(["account", "reset-password", EMAIL]),
    await done(["account", "reset-password", "nobody@example.com"]),
  ];
  expect(known).toBe(unknown);
  const token = tokenIn(await letterTo(world, EMAIL, "Choose a new password"));
  await done(["account", "reset-password", EMAIL, "--token", token, "--password-stdin"], "another long password");
  expect(await berth(["whoami"])).toMatchObject({ exitCode: 3 });
  await done(login, "another long password");
  expect(lettersTo(world, "nobody@example.com")).toEqual([]);
});

test("break-glass by command: an operator with a second factor enters a team, sees what a viewer does, and its owner ends it", async () => {
  const slug = JSON.parse(await done(["teams", "--json"]))[0].slug;
  const entering = ["operators", "enter", slug, "--reason", "their deploys fail, ticket 4711"];
  expect((await world.berth(entering)).stderr).toContain("berth account second-factor on");
  const { password } = world.stack.operator;
  const on = await world.berth(["account", "second-factor", "on", "--password-stdin", "--json"], password);
  expect(await world.berth(["account", "second-factor", "confirm", codeOf(JSON.parse(on.stdout).uri)])).toMatchObject({
    exitCode: 0,
  });
  const inTeam = (...args: string[]): Promise<Ran> => world.berth(["--team", slug, ...args]);
  expect(await inTeam("apps"), "before").toMatchObject({ exitCode: 4 });
  const entered = await world.berth([...entering, "--for", "30min"]);
  expect(entered, entered.stderr).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("as viewer until") });
  expect((await inTeam("whoami")).stdout).toMatch(/viewer +current, entered as an operator/);
  expect(await inTeam("apps")).toMatchObject({ exitCode: 0 });
  const refused = await inTeam("teams", "rename", "--name", "Mine");
  expect(refused).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("You entered this team as viewer") });
  expect(refused.stderr).not.toContain("an owner or admin can change it");
  expect((await letterTo(world, EMAIL, "An operator entered your team")).text).toContain("ticket 4711");
  const [entry] = JSON.parse(await done(["teams", "operator-entries", "--json"]));
  expect(entry).toMatchObject({ email: world.stack.operator.email, role: "viewer", endedAtMs: null });
  await done(["teams", "operator-entries", "end", entry.id]);
  expect(await inTeam("apps"), "after").toMatchObject({ exitCode: 4 });
  const told = await eventually(
    () => done(["audit", "--actor", `operator:${entry.user}`]),
    (text) => text.includes("team.rename"),
  );
  expect(told).toMatch(/operator_entry\.open \S+ ok[^]*app\.read \S+ ok[^]*team\.rename \S+ forbidden/);
});

describe("by command, with what is printed, refused and then holds", () => {
  let cast: Cast;
  beforeAll(async () => {
    cast = await castOf(world);
  });

  test("an operator gives a team another plan and limits of its own", () => limitTeam(cast));
  test("a team and an operator say which images may run", () => setImagePolicy(cast));
  test("a team asks its members for a second factor", () => requireSecondFactor(cast));
  test("a team's own provider is the only way in", () => setSingleSignOn(cast));
  test("operators are added and removed", () => changeOperators(cast));
});
