// What is looked at before anything is made: the token, its permissions, the zone, the account's plan.
import { z } from "zod";
import { CommandFailure, EXIT } from "../failure.ts";
import { CloudflareRefused, CloudflareUnreachable, type CloudflareApi } from "./cloudflare-api.ts";
import { editProbes, PERMISSIONS, permissionText, readProbes, type Permission, type Probe } from "./permissions.ts";
import { zoneCandidates, type Zone } from "./wanted.ts";
import { freePlan } from "./wrangler.ts";

const TokenState = z.object({ status: z.string(), expires_on: z.string().nullish() });
const ZoneShape = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  name_servers: z.array(z.string()).nullish(),
  account: z.object({ id: z.string(), name: z.string().nullish() }),
});
const AccountShape = z.object({ id: z.string(), name: z.string() });
const Subscription = z.object({
  state: z.string().nullish(),
  rate_plan: z.object({ id: z.string().nullish() }).nullish(),
});

const TOKEN_HINT =
  "Make one in the dashboard: My Profile, API Tokens, Create Custom Token; docs/OPERATING.md lists its permissions.";

/** A token that Cloudflare knows, and that is in force. */
export async function checkToken(api: CloudflareApi): Promise<void> {
  const state = await readTokenState(api);
  if (state !== null && state.status !== "active")
    throw new CommandFailure(`The Cloudflare token is ${state.status}`, EXIT.signedOut, TOKEN_HINT);
}

/** Null: a token of an account. */
async function readTokenState(api: CloudflareApi): Promise<z.infer<typeof TokenState> | null> {
  try {
    return await api.call(TokenState, "GET", "/user/tokens/verify");
  } catch (error) {
    if (error instanceof CloudflareUnreachable)
      throw new CommandFailure(`Cloudflare's API cannot be reached: ${error.message}`, EXIT.unreachable);
    if (!(error instanceof CloudflareRefused)) throw error;
    // A token of an account, not of a user, is unknown there: it is one if it sees an account.
    if ((await accountsOf(api)).length > 0) return null;
    throw new CommandFailure("Cloudflare does not know this token: CLOUDFLARE_API_TOKEN", EXIT.signedOut, TOKEN_HINT);
  }
}

async function accountsOf(api: CloudflareApi): Promise<z.infer<typeof AccountShape>[]> {
  try {
    return await api.list(AccountShape, "/accounts");
  } catch (error) {
    if (error instanceof CloudflareRefused) return [];
    throw error;
  }
}

/** The zone that holds a domain, in an account that the token is for. */
export async function findZone(api: CloudflareApi, domain: string, account: string | undefined): Promise<Zone> {
  const candidates = zoneCandidates(domain);
  for (const name of candidates) {
    const [found] = await permitted(() => api.list(ZoneShape, `/zones?name=${encodeURIComponent(name)}`));
    if (found === undefined) continue;
    await checkOwner(api, found, account);
    if (found.status !== "active")
      throw new CommandFailure(
        `The zone ${found.name} is ${found.status}: its registrar does not name Cloudflare's servers yet`,
        EXIT.failed,
        `Set them there: ${(found.name_servers ?? []).join(", ")}. It takes up to a day; then run this again.`,
      );
    return {
      id: found.id,
      name: found.name,
      accountId: found.account.id,
      accountName: found.account.name ?? found.account.id,
    };
  }
  const seen = await accountsOf(api);
  throw new CommandFailure(
    `The token sees no zone for ${domain} (looked for ${candidates.join(", ")})`,
    EXIT.notFound,
    `Either the zone is on another account than ${seen.map(({ name }) => name).join(", ") || "the token's"}, or the token's zone resources leave it out: make the token on the zone's account, with that zone included.`,
  );
}

async function checkOwner(
  api: CloudflareApi,
  zone: z.infer<typeof ZoneShape>,
  wanted: string | undefined,
): Promise<void> {
  const owner = `${zone.account.name ?? "another one"} (${zone.account.id})`;
  if (wanted !== undefined && wanted !== zone.account.id)
    throw new CommandFailure(
      `The zone ${zone.name} is on account ${owner}, not on ${wanted}`,
      EXIT.failed,
      "A Worker's routes and its zone are of one account: leave --account out, or move the zone.",
    );
  const accounts = await accountsOf(api);
  if (accounts.length === 0 || accounts.some(({ id }) => id === zone.account.id)) return;
  throw new CommandFailure(
    `The zone ${zone.name} is on account ${owner}, the token's account permissions are for ${accounts.map(({ name }) => name).join(", ")}`,
    EXIT.failed,
    "Make a token whose account resources include the zone's account.",
  );
}

/** All missing permissions at once, each by name. `edit`: also those for changing; false for a mere plan, which only reads. */
export async function checkPermissions(api: CloudflareApi, zone: Zone, edit: boolean): Promise<void> {
  const probes = [...readProbes(zone.accountId, zone.id), ...(edit ? editProbes(zone.accountId, zone.id) : [])];
  const denied = (await Promise.all(probes.map((probe) => deniedBy(api, probe)))).filter((one) => one !== null);
  if (denied.length > 0) throw lacking([...new Set(denied)], zone);
}

async function deniedBy(api: CloudflareApi, { method, path, permission }: Probe): Promise<Permission | null> {
  try {
    await api.call(z.unknown(), method, path);
    return null;
  } catch (error) {
    if (error instanceof CloudflareRefused) return error.kind === "denied" ? permission : null;
    throw error;
  }
}

function lacking(permissions: readonly Permission[], zone: Zone): CommandFailure {
  const names = permissions.map((one) => `\n  ${permissionText(one)}`).join("");
  return new CommandFailure(
    `The token lacks ${permissions.length === 1 ? "a permission" : `${permissions.length} permissions`}:${names}`,
    EXIT.signedOut,
    `Add to it (dashboard, My Profile, API Tokens, Edit), for account ${zone.accountName} and zone ${zone.name}. Nothing was made.`,
  );
}

/** A refusal for want of a permission, whenever it comes, names it. */
export async function permitted<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CloudflareUnreachable)
      throw new CommandFailure(
        `Cloudflare's API cannot be reached: ${error.message}`,
        EXIT.unreachable,
        "What was made so far stays: run the same command again.",
      );
    if (!(error instanceof CloudflareRefused)) throw error;
    if (error.kind !== "denied")
      throw new CommandFailure(error.message, EXIT.failed, "What was made so far stays: run the same command again.");
    const permission = error.permission ?? PERMISSIONS.zone;
    throw new CommandFailure(
      `The token lacks ${permissionText(permission)}: ${error.message}`,
      EXIT.signedOut,
      "Add it, then run the same command again: what was made so far stays.",
    );
  }
}

/** Workers Paid, or a contract that includes Workers. */
const PAID_PLAN = /workers/i;
const ENDED = ["Cancelled", "Failed", "Expired"];

/** Refuses the Free plan. Where an account's plans tell nothing, the upload does: see LIMITS in worker-config.ts. */
export async function checkPlan(api: CloudflareApi, zone: Zone): Promise<void> {
  const all = await permitted(() =>
    api.call(z.array(Subscription), "GET", `/accounts/${zone.accountId}/subscriptions`),
  );
  const isPaid = all.some(
    ({ state, rate_plan: plan }) =>
      PAID_PLAN.test(plan?.id ?? "") && !/free/i.test(plan?.id ?? "") && !ENDED.includes(state ?? ""),
  );
  const isContract = all.some(({ rate_plan: plan }) => /enterprise|_ent/i.test(plan?.id ?? ""));
  if (!isPaid && !isContract) throw freePlan();
}
