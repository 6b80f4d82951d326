// What a team may have and run, how its members sign in, and who runs the installation: each by command, as the one who is refused sees it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { Operators, SignInPolicy } from "../../contracts/account.ts";
import { ImagePolicies, InstallationImagePolicy } from "../../contracts/image-policy.ts";
import { Plan, TeamQuota } from "../../contracts/quota.ts";
import { runBerth, type Ran } from "../cli/run-berth.ts";
import { CLIENT, startOpenId } from "../workers/openid-server.ts";
import { codeOf } from "../workers/totp.ts";
import { signUpBy } from "./letters.ts";
import type { World } from "./support.ts";

/** A line as somebody types it after `berth`. */
type Berth = (line: string, stdin?: string) => Promise<Ran>;
const PASSWORD = "correct horse battery";
const MEMBER = "member@example.com";
const WHO = "`berth whoami` shows as whom you ask";

export interface Cast {
  readonly world: World;
  readonly operator: Berth;
  /** Of the team of that name, whose developer the member is. */
  readonly owner: Berth;
  readonly member: Berth;
  readonly team: string;
}

export async function castOf(world: World): Promise<Cast> {
  const [owner, member] = [await newcomer(world, "boss@example.com"), await newcomer(world, MEMBER)];
  const { body: me } = await world.api("GET", "/v1/whoami", undefined, owner.asks);
  const invitation = { email: MEMBER, role: "developer", projects: null };
  const { body: invited } = await world.api("POST", "/v1/invitations", invitation, owner.asks);
  const accepted = await world.api("POST", "/v1/invitations/accept", { token: invited.token }, member.asks);
  expect(accepted.status, JSON.stringify(accepted.body)).toBe(200);
  const team = me.team.slug as string;
  const operator: Berth = (line, stdin) => world.berth(line.split(" "), stdin);
  const inTeam: Berth = (line, stdin) => member.berth(`--team ${team} ${line}`, stdin);
  return { world, operator, owner: owner.berth, team, member: inTeam };
}

async function newcomer(world: World, email: string): Promise<{ berth: Berth; asks: { authorization: string } }> {
  const token = await signUpBy(world, email, PASSWORD);
  const cwd = join(world.home, "people", email);
  mkdirSync(join(cwd, ".berth"), { recursive: true });
  writeFileSync(join(cwd, ".berth/config.json"), JSON.stringify({ apiUrl: world.stack.controlUrl, token }));
  return {
    berth: (line, stdin) => runBerth(line.split(" "), { cwd, ...(stdin === undefined ? {} : { stdin }) }),
    asks: { authorization: `Bearer ${token}` },
  };
}

async function done(running: Promise<Ran>): Promise<string> {
  const ran = await running;
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  return ran.stdout;
}

async function refused(running: Promise<Ran>, exitCode: number, ...words: readonly string[]): Promise<void> {
  const ran = await running;
  expect(ran, `${ran.stdout}${ran.stderr}`).toMatchObject({ exitCode, stdout: "" });
  for (const word of words) expect(ran.stderr).toContain(word);
}

const release = (app: string, image = "busybox:1"): string =>
  `deploy --image ${image} --app ${app} --replicas 1 --detach`;
const json = async (running: Promise<Ran>): Promise<unknown> => JSON.parse(await done(running));

/** An operator lowers what a team may have, and the team meets the new limit at once. */
export async function limitTeam({ operator, owner, team }: Cast): Promise<void> {
  const plans = await done(owner("plans"));
  expect(plans).toMatch(/PLAN +APPS +INSTANCES +CPU[^]*starter +10 +20 +8 cores +16 GiB +100 GiB +20 +200/);
  expect(plans).toContain("frozen: For who has not paid");
  expect(
    Plan.array()
      .parse(await json(owner("plans --json")))
      .map(({ name }) => name),
  ).toContain("starter");
  const atFirst = TeamQuota.parse(await json(owner("quota --json")));
  expect(atFirst).toMatchObject({ plan: "starter", byDefault: true });

  const set = `quota set ${team}`;
  await Promise.all([
    refused(owner(`${set} --plan team`), 3, "Only an operator of this installation", WHO),
    refused(owner(`quota --of ${team}`), 3, "Only an operator of this installation", WHO),
    refused(operator(`${set} --plan Golden`), 2, "is no plan: there are starter, team, scale, unlimited, frozen"),
    refused(operator("quota set nobodys --plan team"), 4, "There is no team nobodys"),
  ]);

  await done(owner(release("first")));
  const lowered = await done(operator(`${set} --apps 1 --cpu 0.5 --memory 4GB --domains none`));
  expect(lowered).toMatch(/^Plan starter \(this installation's default\)\n/);
  expect(lowered).toMatch(/apps +1 +1 \(this team's own\)/);
  expect(lowered).toMatch(/CPU +0\.25 cores +0\.5 cores \(this team's own\)/);
  expect(lowered).toMatch(/memory +0\.25 GiB +4 GiB \(this team's own\)/);
  expect(lowered).toMatch(/domains +0 +none \(this team's own\)/);
  expect(await done(operator(`quota --of ${team}`))).toBe(lowered);
  await refused(
    owner(release("second")),
    1,
    "allows 1 app: 1 used, 1 more asked for. Destroy an app",
    "ask the operator",
  );
  await done(operator(`${set} --plan frozen`));
  await refused(
    owner(release("first")),
    1,
    "allows 0 releases a day",
    "asked for. Ask the operator of this installation",
  );
  const after = TeamQuota.parse(await json(operator(`${set} --plan default --json`)));
  expect(after).toMatchObject({ plan: "starter", byDefault: true });
  expect(after.quotas.some(({ overridden }) => overridden)).toBe(false);
}

const ANYTHING = "images from any registry; uploaded folders too.";

/** A team's policy and the installation's: each refuses a release with its words, until it is cleared. */
export async function setImagePolicy({ operator, owner, member }: Cast): Promise<void> {
  const [set, clear, scanner] = ["images policy set", "images policy clear", "--scanner https://scan.example/"];
  await Promise.all([
    refused(member(`${set} --no-bundles`), 3, "(developer) does not allow team:update; an owner or admin can", WHO),
    refused(owner(`${set} --installation --no-bundles`), 3, "Only an operator of this installation", WHO),
    refused(owner(`${set} --registry https://ghcr.io`), 2, "registries/0: must be a registry's host"),
    refused(operator(`${set} --installation ${scanner} --scanner-timeout 2h`), 2, "must be between 100 ms and 30 s"),
  ]);
  expect(await done(owner(`${set} --registry ghcr.io/acme --require-digest --no-bundles`))).toBe(
    `The team's: images from ghcr.io/acme only; each named with its digest; no uploaded folders.\nThe installation's: ${ANYTHING}\n`,
  );
  const mine = { registries: ["ghcr.io/acme"], requireDigest: true, bundles: false };
  const shown = ImagePolicies.parse(await json(member("images policy --json")));
  expect(shown.team.policy).toEqual(mine);
  await refused(member(release("first", "nginx:1")), 1, "the team's image policy allows images from ghcr.io/acme only, and this is docker.io/library/nginx"); // prettier-ignore
  expect(await done(owner(clear))).toContain(`The team's: ${ANYTHING}`);

  const ofAll = await done(operator(`${set} --installation --registry registry.example --registry ghcr.io ${scanner} --scanner-timeout 2s --if-away accept`)); // prettier-ignore
  expect(ofAll).toBe(
    "The installation's: images from registry.example, ghcr.io only; uploaded folders too; each looked at by a scanner within 2 s, without whose word it is accepted.\nScanner: https://scan.example/\n",
  );
  const { policy } = InstallationImagePolicy.parse(await json(operator("images policy --installation --json")));
  expect(policy.scanner).toEqual({ url: "https://scan.example/", timeoutMs: 2_000, ifAway: "accept" });
  const seen = await done(owner("images policy"));
  expect(seen).toContain("images from registry.example, ghcr.io only");
  expect(seen, "its address is the operator's").not.toContain("scan.example");
  await refused(owner(release("first", "nginx:2")), 1, "the installation's image policy allows images from registry.example, ghcr.io only"); // prettier-ignore
  expect(await done(operator(`${clear} --installation`))).toBe(`The installation's: ${ANYTHING}\n`);
}

/** A second factor for everybody: whoever has none releases nothing, until it is no longer asked for. */
export async function requireSecondFactor({ owner, member }: Cast): Promise<void> {
  expect(await done(owner("teams sign-in"))).toBe("Second factor: as each member likes\nSingle sign-on: none\n");
  const require = "teams require-second-factor";
  await Promise.all([
    refused(owner(`${require} on`), 1, "You have no second factor yourself", "`berth account second-factor on` first"),
    refused(member(`${require} on`), 3, "(developer) does not allow team:update; an owner or admin can", WHO),
  ]);
  const begun = JSON.parse(await done(owner("account second-factor on --password-stdin --json", PASSWORD)));
  await done(owner(`account second-factor confirm ${codeOf(begun.uri)}`));
  expect(await done(owner(`${require} on`))).toContain("Second factor: every member needs one\n");
  await refused(member(release("first")), 3, "asks its members for a second factor: `berth account second-factor on`");
  expect(SignInPolicy.parse(await json(owner(`${require} off --json`))).secondFactorRequired).toBe(false);
  await done(member(release("first")));
}

/** A provider of the team's own, the only way in: a member's own session releases nothing, until it is forgotten. */
export async function setSingleSignOn({ owner, member, team }: Cast): Promise<void> {
  const openId = await startOpenId();
  const secret = CLIENT.clientSecret;
  const set = (issuer: string): string => `teams single-sign-on set --client-id ${CLIENT.clientId} --issuer ${issuer}`;
  try {
    await Promise.all([
      refused(owner(set("nonsense"), secret), 2, "issuer: Invalid URL"),
      refused(owner(set(`${openId.issuer}/none`), secret), 1, "The provider answers 404"),
      refused(member(set(openId.issuer), secret), 3, "Your role in this team (developer) does not allow this; it is an owner's.", WHO), // prettier-ignore
    ]);
    const text = await done(owner(`${set(openId.issuer)} --domain example.com corp.example --enforce`, secret));
    expect(text).toContain(`Single sign-on: ${openId.issuer}, as berth, the only way in but for owners\n`);
    expect(text).toContain("for addresses of: example.com, corp.example\n");
    expect(text).toMatch(new RegExp(`answers go to: \\S+/auth/callback/sso-\\S+\n +members sign in at: \\S+/sign-on/${team}\n`)); // prettier-ignore
    const { singleSignOn } = SignInPolicy.parse(await json(owner("teams sign-in --json")));
    expect(singleSignOn).toMatchObject({ issuer: openId.issuer, enforced: true });
    expect(text + JSON.stringify(singleSignOn)).not.toContain(secret);
    await refused(member(release("first")), 3, `sign in through its own provider: ${singleSignOn?.signInUrl}`, WHO);
    const remove = "teams single-sign-on remove";
    expect(await done(owner(`${remove} --yes`))).toBe("Forgotten. Members sign in by themselves.\n");
    await done(member(release("first")));
  } finally {
    await openId.close();
  }
}

/** Somebody with a second factor becomes an operator at their next sign-in, and is none at the first command after the removal. */
export async function changeOperators({ operator, owner, member, world }: Cast): Promise<void> {
  const first = world.stack.operator.email;
  const add = `operators add ${MEMBER}`;
  expect(await done(operator("operators"))).toMatch(new RegExp(`OPERATOR +ID[^]*${first} +user_`));
  await Promise.all([
    refused(owner(`${add} --yes`), 3, "Only an operator of this installation", WHO),
    refused(operator(`${add} --yes`), 1, "has no second factor", "switch it on first"),
    refused(operator("operators add nobody@example.com --yes"), 4, "no account has this address"),
    refused(operator("operators add nobody --yes"), 2, "email: Invalid email address"),
    refused(operator(`operators remove ${MEMBER} --yes`), 4, `${MEMBER} is no operator`),
    refused(operator(`operators remove ${first} --yes`), 1, "this is the last operator: add another one first"),
  ]);
  const begun = JSON.parse(await done(member("account second-factor on --password-stdin --json", PASSWORD)));
  await done(member(`account second-factor confirm ${codeOf(begun.uri)}`));
  expect(await done(operator(`${add} --yes`))).toBe(`${MEMBER} is an operator from the next sign-in on.\n`);
  await refused(member("operators"), 3, "Sign in with `berth login`");
  await done(member(`login --email ${MEMBER} --password-stdin --code ${begun.recoveryCodes[0]}`, PASSWORD));
  const listed = Operators.shape.items.parse(await json(member("operators ls --json")));
  expect(listed.map(({ email }) => email)).toEqual([first, MEMBER]);
  expect(await json(operator("operators remove Member@Example.com --yes --json"))).toEqual({ removed: "Member@Example.com" }); // prettier-ignore
  await refused(member("operators"), 3, "Only an operator of this installation", WHO);
  expect(await done(member("whoami"))).not.toContain("(operator)");
}
