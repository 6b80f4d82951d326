// plans, quota show|set: what a team may have and what it uses of it; operators give teams another plan.
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { Plan, QUOTAS, TeamQuota, type QuotaName, type QuotaPut } from "../../contracts/quota.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { size } from "../quantities.ts";
import { contextOf } from "./run.ts";

const TITLES: Record<QuotaName, string> = {
  apps: "apps",
  instances: "instances",
  cpuMilli: "CPU",
  memoryBytes: "memory",
  diskBytes: "disk",
  domains: "domains",
  releasesPerDay: "releases today",
};
const FLAGS = {
  apps: "apps",
  instances: "instances",
  cpu: "cpuMilli",
  memory: "memoryBytes",
  disk: "diskBytes",
  domains: "domains",
  releases: "releasesPerDay",
} as const satisfies Record<string, QuotaName>;

export function quotaCommands() {
  const plans = new Command("plans").description("the plans that a team can have").action(async (_options, command) => {
    const context = contextOf(command);
    const { items } = await context.api.call(z.object({ items: z.array(Plan) }), "GET", "/v1/plans");
    context.out.result(items, () => {
      const rows = items.map(({ name, limits }) => [name, ...QUOTAS.map((quota) => amount(quota, limits[quota]))]);
      context.out.table(["PLAN", ...QUOTAS.map((quota) => TITLES[quota].toUpperCase())], rows);
      for (const { name, description } of items) context.out.line(`${name}: ${description}`);
    });
  });
  return [plans, quotaCommand()];
}

function quotaCommand() {
  const quota = new Command("quota").description("what the team may have, and what it uses of it");
  quota
    .command("show", { isDefault: true })
    .description("the plan and each of its quotas")
    .option("--of <team>", "another team's, by id or slug (operators)")
    .action(async ({ of }, command) => {
      const context = contextOf(command);
      const path = of === undefined ? "/v1/quota" : pathOf(of);
      print(context, await context.api.call(TeamQuota, "GET", path));
    });
  quota
    .command("set")
    .description("give a team a plan, or limits of its own (operators); replaces what was set before")
    .argument("<team>", "its id or slug")
    .option("--plan <name>", "one of `berth plans`, or default")
    .option("--apps <n>", "instead of the plan's; a number, or none for without a limit")
    .option("--instances <n>")
    .option("--cpu <cores>", "such as 2 or 0.5")
    .option("--memory <size>", "such as 4GB")
    .option("--disk <size>", "such as 100GB")
    .option("--domains <n>")
    .option("--releases <n>", "a day")
    .action(async (team, { plan: named, ...given }, command) => {
      const context = contextOf(command);
      if (named === undefined && Object.keys(given).length === 0) throw new CommandFailure("Nothing to set", EXIT.usage, TAKE_BACK); // prettier-ignore
      const overrides: QuotaPut["overrides"] = {};
      for (const [flag, name] of Object.entries(FLAGS) as [keyof typeof FLAGS, QuotaName][]) {
        const text = given[flag];
        if (text !== undefined) overrides[name] = limitOf(flag, text);
      }
      const body: QuotaPut = { plan: named === undefined || named === "default" ? null : named, overrides };
      print(context, await context.api.call(TeamQuota, "PUT", pathOf(team), body));
    });
  return quota;
}

const TAKE_BACK =
  "Give --plan or a limit; what was set before is replaced, and `--plan default` alone takes all of it back.";
const pathOf = (team: string): string => `/v1/teams/${encodeURIComponent(team)}/quota`;

function limitOf(flag: keyof typeof FLAGS, text: string): number | null {
  if (text === "none") return null;
  const { read, example } = READERS[flag] ?? COUNT;
  const amount = read(text.trim());
  if (Number.isSafeInteger(amount)) return amount;
  throw new CommandFailure(`--${flag} ${text} is not ${example}, nor none`, EXIT.usage);
}

interface Reader {
  readonly example: string;
  /** NaN: it is none. */
  readonly read: (text: string) => number;
}
const COUNT: Reader = { example: "a whole number", read: (text) => (/^\d+$/.test(text) ? Number(text) : Number.NaN) };
const CORES: Reader = {
  example: "a number of cores such as 2 or 0.5",
  read: (text) => (/^\d+(\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1_000) : Number.NaN),
};
// A number without a unit would be bytes, which nobody means.
const SIZE: Reader = {
  example: "a size such as 4GB",
  read: (text) => (text === "0" ? 0 : (size.safeParse(text).data ?? Number.NaN)),
};
const READERS: Partial<Record<keyof typeof FLAGS, Reader>> = { cpu: CORES, memory: SIZE, disk: SIZE };

function print(context: Context, quota: TeamQuota): void {
  context.out.result(quota, () => {
    context.out.line(`Plan ${quota.plan}${quota.byDefault ? " (this installation's default)" : ""}`);
    const rows = quota.quotas.map(({ quota: name, used, limit, overridden }) => [
      TITLES[name],
      amount(name, used),
      amount(name, limit) + (overridden ? " (this team's own)" : ""),
    ]);
    context.out.table(["QUOTA", "USED", "LIMIT"], rows);
  });
}

const GIB = 1024 ** 3;

function amount(quota: QuotaName, value: number | null): string {
  if (value === null) return "none";
  const rounded = (number: number): string => String(Math.round(number * 100) / 100);
  if (quota === "cpuMilli") return `${rounded(value / 1_000)} cores`;
  return quota === "memoryBytes" || quota === "diskBytes" ? `${rounded(value / GIB)} GiB` : String(value);
}
