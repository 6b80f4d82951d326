// `berth setup --destroy`: lists what it would remove, asks for the domain's name, and removes that; data in Postgres only if asked to.
import { isCancel, text } from "@clack/prompts";
import pc from "picocolors";
import { z } from "zod";
import { dropEverything } from "../../db/drop.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { checkPermissions, findZone, permitted } from "./checks.ts";
import { CloudflareRefused, type CloudflareApi } from "./cloudflare-api.ts";
import { conflictingWorkers } from "./conflicts.ts";
import { checkDatabase } from "./database.ts";
import { keptPath, writeKept } from "./kept.ts";
import { planRemoval, removalText, type Removal } from "./removal.ts";
import { enter, secretOf } from "./run.ts";
import { wantedOf, type Choices, type Wanted } from "./wanted.ts";
import { apiHostIn, readWorld } from "./world.ts";

export interface DestroyOptions extends Choices {
  readonly account: string | undefined;
  readonly plan: boolean;
  readonly dropData: boolean;
  /** The domain's name again, where nobody can be asked. */
  readonly confirm: string | undefined;
}

const OBJECTS_AT_ONCE = 8;

export async function runDestroy(context: Context, options: DestroyOptions): Promise<void> {
  const { domain, plan: isPlan, dropData, confirm } = options;
  if (!isPlan && confirm === undefined && !context.interactive)
    throw new CommandFailure(
      `This removes the platform: give --confirm ${domain}, or look first with --plan`,
      EXIT.usage,
    );
  if (confirm !== undefined && confirm !== domain)
    throw new CommandFailure(`--confirm ${confirm} is not ${domain}: nothing was removed`, EXIT.usage);
  const { api } = await enter(context);
  const adminUrl = dropData
    ? await secretOf(context, "BERTH_ADMIN_URL", "direct Postgres URL of the database's owner")
    : null;
  if (adminUrl !== null) await checkDatabase(adminUrl);
  const zone = await findZone(api, domain, options.account);
  const named = wantedOf(options, zone);
  await checkPermissions(api, zone, !isPlan);
  const world = await permitted(() => readWorld(api, named, 0));
  const wanted = wantedOf({ ...options, apiHost: options.apiHost ?? apiHostIn(named, world) }, zone);
  const [strange] = conflictingWorkers(wanted, world);
  if (strange !== undefined) throw new CommandFailure(`Nothing was removed: ${strange}`, EXIT.failed);
  const removals = planRemoval(wanted, world, dropData);
  show(context, options, removals);
  if (isPlan || removals.length === 0) return;
  if (confirm === undefined) await askForName(domain);
  for (const removal of removals) {
    await permitted(() => remove(api, wanted, removal, adminUrl));
    context.out.note(`${pc.green("✓")} removed: ${removalText(removal)}`);
  }
  writeKept(keptPath(wanted), {});
  context.out.result({ domain, removed: removals.map(removalText) }, () =>
    context.out.line(`${domain} is no platform any more.`),
  );
}

function show({ out }: Context, { dropData, plan }: DestroyOptions, removals: readonly Removal[]): void {
  const texts = removals.map(removalText);
  if (plan && out.json) return out.result({ removes: texts }, () => {});
  if (removals.length === 0) return out.result({ removed: [] }, () => out.line("Nothing of it is there."));
  out.line(`To be removed, for good:\n${texts.map((one) => `  • ${one}`).join("\n")}`);
  if (!dropData) out.line("\nPostgres stays as it is (--drop-data removes Berth's tables too).");
  out.line("The servers go on running what they run: `agent.mjs purge` on each ends that.");
}

async function askForName(domain: string): Promise<void> {
  const answer = await text({ message: `Type ${domain} to remove all this` });
  if (isCancel(answer) || answer !== domain) throw new CommandFailure("Nothing was removed", EXIT.detached);
}

async function remove(api: CloudflareApi, { zone }: Wanted, removal: Removal, adminUrl: string | null): Promise<void> {
  const [ofAccount, ofZone] = [`/accounts/${zone.accountId}`, `/zones/${zone.id}`];
  switch (removal.kind) {
    case "fallback":
      return gone(api, `${ofZone}/custom_hostnames/fallback_origin`);
    case "route":
      return gone(api, `${ofZone}/workers/routes/${removal.id}`);
    case "worker":
      // Its objects go with it, and what binds them is going too.
      return gone(api, `${ofAccount}/workers/scripts/${removal.name}?force=true`);
    case "namespace":
      return gone(api, `${ofAccount}/storage/kv/namespaces/${removal.id}`);
    case "bucket":
      await emptyBucket(api, `${ofAccount}/r2/buckets/${removal.name}`);
      return gone(api, `${ofAccount}/r2/buckets/${removal.name}`);
    case "certificate":
      return gone(api, `${ofZone}/ssl/certificate_packs/${removal.id}`);
    case "record":
      return gone(api, `${ofZone}/dns_records/${removal.id}`);
    case "database":
      if (adminUrl !== null) await dropEverything(adminUrl);
  }
}

/** Removed by now, by whomever: that is what was wanted. */
async function gone(api: CloudflareApi, path: string): Promise<void> {
  try {
    await api.call(z.unknown(), "DELETE", path);
  } catch (error) {
    if (!(error instanceof CloudflareRefused) || error.kind !== "not_found") throw error;
  }
}

/** A bucket can be removed only when it is empty. */
async function emptyBucket(api: CloudflareApi, path: string): Promise<void> {
  for (;;) {
    const objects = await api.call(z.array(z.object({ key: z.string() })), "GET", `${path}/objects?per_page=1000`);
    if (objects.length === 0) return;
    for (let at = 0; at < objects.length; at += OBJECTS_AT_ONCE)
      await Promise.all(
        objects
          .slice(at, at + OBJECTS_AT_ONCE)
          .map(({ key }) => gone(api, `${path}/objects/${encodeURIComponent(key)}`)),
      );
  }
}
