// `berth setup`, from its options to a platform that answers: look, plan, ask, make, look again.
import { confirm, isCancel, password as askPassword } from "@clack/prompts";
import pc from "picocolors";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { buildOf } from "./build.ts";
import { checkPermissions, checkPlan, checkToken, findZone, permitted } from "./checks.ts";
import { CLOUDFLARE_API, createCloudflareApi, type CloudflareApi } from "./cloudflare-api.ts";
import { conflictsOf } from "./conflicts.ts";
import { monthlyCost } from "./cost.ts";
import { checkDatabase, databaseNotes, postgresUrl } from "./database.ts";
import { configInput, execute, type Execution } from "./execute.ts";
import { keptPath, readKept, writeKept } from "./kept.ts";
import { makeFirstOperator, readOperator } from "./operator.ts";
import { planSteps, SETUP_TOKEN, type Plan } from "./plan.ts";
import { showPlan, stepText } from "./show.ts";
import { wantedOf, type Wanted, type WorkerRole } from "./wanted.ts";
import { settingsOf, workerConfig } from "./worker-config.ts";
import { apiHostIn, readWorld, type World } from "./world.ts";
import { dryRun, type WranglerAccess } from "./wrangler.ts";

export interface SetupOptions {
  readonly domain: string;
  readonly name: string;
  readonly apiHost: string | undefined;
  readonly region: string | undefined;
  readonly account: string | undefined;
  readonly nodes: number;
  readonly requests: number;
  readonly plan: boolean;
  readonly yes: boolean;
  readonly email: string | undefined;
  readonly passwordStdin: boolean;
  /** Where the API answers, if not yet at its own name. */
  readonly apiUrl: string | undefined;
}

export interface Entrance {
  readonly api: CloudflareApi;
  readonly access: Omit<WranglerAccess, "accountId">;
}

/** By the token of the environment, so that it is in no argument list; or asked for. */
export async function enter(context: Context): Promise<Entrance> {
  const token = await secretOf(context, "CLOUDFLARE_API_TOKEN", "Cloudflare API token");
  const apiUrl = (process.env.CLOUDFLARE_API_BASE_URL ?? CLOUDFLARE_API).replace(/\/+$/, "");
  const api = createCloudflareApi(apiUrl, token);
  await checkToken(api);
  return { api, access: { token, apiUrl } };
}

export async function secretOf(context: Context, variable: string, what: string): Promise<string> {
  const given = process.env[variable];
  if (given !== undefined && given !== "") return given;
  if (!context.interactive) throw new CommandFailure(`Set ${variable}: the ${what}`, EXIT.usage);
  const answer = await askPassword({ message: `${what} (or set ${variable})` });
  if (answer === undefined || isCancel(answer)) throw new CommandFailure("Cancelled", EXIT.detached);
  return answer;
}

export async function runSetup(context: Context, options: SetupOptions): Promise<void> {
  if (!options.plan && !options.yes && !context.interactive)
    throw new CommandFailure("This makes things that cost money: give --yes, or look first with --plan", EXIT.usage);
  const { api, access } = await enter(context);
  const adminUrl = await secretOf(context, "BERTH_ADMIN_URL", "direct Postgres URL of the database's owner");
  postgresUrl(adminUrl);
  const zone = await findZone(api, options.domain, options.account);
  const named = wantedOf(options, zone);
  await checkPermissions(api, zone, !options.plan);
  await checkPlan(api, zone);
  const look = () => permitted(async () => readWorld(api, named, await checkDatabase(adminUrl)));
  const world = await look();
  const wanted = wantedOf({ ...options, apiHost: options.apiHost ?? apiHostIn(named, world) }, zone);
  refuseConflicts(wanted, world);
  const apiUrl = options.apiUrl ?? `https://${wanted.apiHost}`;
  const isSignedIn = context.config?.apiUrl === apiUrl && context.config.token !== undefined;
  const email = isSignedIn || options.plan ? undefined : options.email;
  const plan = planned(wanted, world, email);
  show(context, options, wanted, withNotes(plan, databaseNotes(adminUrl)));
  if (options.plan) return;
  const operator = await readOperator(context, email, options.passwordStdin);
  const execution: Execution = {
    api,
    access: { ...access, accountId: zone.accountId },
    wanted,
    world,
    plan,
    build: buildFor(wanted, world),
    adminUrl,
    workerToken: workerToken(),
    keptPath: keptPath(wanted),
    report: (step, state) => {
      if (state === "begun") context.out.note(pc.dim(`… ${stepText(step)}`));
      else context.out.note(`${pc.green("✓")} ${stepText(step)}`);
    },
  };
  if (plan.steps.length > 0) {
    if (!options.yes) await ask(wanted);
    await bundleFirst(execution);
    await permitted(() => execute(execution));
    await settle(look, wanted);
    writeKept(execution.keptPath, { ...readKept(execution.keptPath), bundled: undefined });
  }
  if (operator !== null) await makeFirstOperator(context, apiUrl, execution.keptPath, operator);
  conclude(context, wanted, plan, operator?.email ?? (isSignedIn ? "before" : null));
}

const workerToken = (): string | null => process.env.CLOUDFLARE_WORKER_TOKEN || null;
const buildFor = (wanted: Wanted, world: World): string => buildOf(settingsOf(wanted, world, workerToken() !== null));

function planned(wanted: Wanted, world: World, email: string | undefined): Plan {
  const kept = readKept(keptPath(wanted));
  return planSteps(wanted, world, {
    build: buildFor(wanted, world),
    hasTicketKey: kept.ticketKey !== undefined,
    hasWorkerToken: workerToken() !== null,
    needsSetupToken:
      email !== undefined && kept.setupToken === undefined && world.control?.secrets.includes(SETUP_TOKEN) === true,
  });
}

const withNotes = (plan: Plan, notes: readonly string[]): Plan => ({ ...plan, notes: [...plan.notes, ...notes] });

function refuseConflicts(wanted: Wanted, world: World): void {
  const conflicts = conflictsOf(wanted, world);
  if (conflicts.length === 0) return;
  throw new CommandFailure(`Something is in the way:\n  ${conflicts.join("\n  ")}`, EXIT.failed, "Nothing was made.");
}

function show(context: Context, options: SetupOptions, wanted: Wanted, plan: Plan): void {
  const { nodes, requests: requestsPerMonth } = options;
  const advancedCertificate = wanted.certificateHosts !== null;
  const cost = { nodes, requestsPerMonth, ...monthlyCost({ nodes, requestsPerMonth, advancedCertificate }) };
  if (options.plan && context.out.json) {
    const steps = plan.steps.map((step) => ({ ...step, text: stepText(step) }));
    return context.out.result({ apiUrl: `https://${wanted.apiHost}`, steps, notes: plan.notes, cost }, () => {});
  }
  showPlan(context.out, wanted, plan, cost);
}

async function ask({ domain }: Wanted): Promise<void> {
  const answer = await confirm({ message: `Make this for ${domain}?`, initialValue: false });
  if (answer !== true) throw new CommandFailure("Nothing was made", EXIT.detached);
}

/** A Worker that cannot be bundled is found out before anything is made. */
async function bundleFirst(execution: Execution): Promise<void> {
  const { plan, world, access, build: present, keptPath: path } = execution;
  const roles = plan.steps.flatMap((step) => (step.kind === "deploy" ? [step.role] : []));
  if (roles.length === 0 || readKept(path).bundled === present) return;
  const placeholder = world.namespaceId ?? "0".repeat(32);
  const configOf = (role: WorkerRole) => workerConfig(role, configInput(execution, role, placeholder));
  await Promise.all(roles.map((role) => dryRun(configOf(role), access)));
  writeKept(path, { ...readKept(path), bundled: present });
}

/** The end is what there is, not what was done. */
async function settle(look: () => Promise<World>, wanted: Wanted): Promise<void> {
  const left = planned(wanted, await look(), undefined).steps;
  if (left.length === 0) return;
  throw new CommandFailure(
    `Cloudflare does not show everything yet: ${left.map(stepText).join("; ")}`,
    EXIT.unfinished,
    "Run the same command again in a minute.",
  );
}

function conclude(context: Context, wanted: Wanted, plan: Plan, signedIn: string | null): void {
  const apiUrl = `https://${wanted.apiHost}`;
  const made = plan.steps.map(stepText);
  context.out.result({ apiUrl, domain: wanted.domain, made, operator: signedIn }, () => {
    context.out.line(made.length === 0 ? "" : `\n${pc.green("✓")} The platform is set up: ${apiUrl}`);
    if (signedIn === "before") return context.out.line("Next: berth nodes token");
    if (signedIn === null)
      context.out.line(`The first operator: berth setup --domain ${wanted.domain} --yes --email you@example.com`);
    else context.out.line(`Signed in as ${signedIn}. Next: berth nodes token`);
  });
}
