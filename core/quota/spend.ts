// Whether a team may have so much more: the one rule of quotas, and the words of its refusal.
import { QUOTAS, type QuotaName, type QuotaRefusal } from "../../contracts/quota.ts";
import { assertNever } from "../step.ts";
import type { QuotaLimits } from "./plans.ts";

export interface TeamPlan {
  readonly name: string;
  readonly limits: QuotaLimits;
}
export type Amounts = Readonly<Partial<Record<QuotaName, number>>>;
export type Spending =
  { readonly kind: "allowed" } | { readonly kind: "refused"; readonly refusal: QuotaRefusal; readonly message: string };

/**
 * used: what the team has. asked: how much more. Who asks for no more of something is not refused for it, even where the team has too
 * much of it already (its plan became smaller): so that everything can always shrink.
 */
export function spend(plan: TeamPlan, used: Amounts, asked: Amounts): Spending {
  for (const quota of QUOTAS) {
    const more = asked[quota] ?? 0;
    const has = used[quota] ?? 0;
    const limit = plan.limits[quota];
    if (more <= 0 || limit === null || has + more <= limit) continue;
    const refusal: QuotaRefusal = { quota, plan: plan.name, used: has, asked: more, limit };
    return { kind: "refused", refusal, message: refusalText(refusal) };
  }
  return { kind: "allowed" };
}

/** `The team's plan "starter" allows 10 apps: 10 are used and 1 more was asked for. Destroy an app …` */
function refusalText({ quota, plan, used, asked, limit }: QuotaRefusal): string {
  const what = `The team's plan "${plan}" allows ${amount(quota, limit)}: ${number(quota, used)} used, ${number(quota, asked)} more asked for.`;
  // Where none are allowed, the next day brings none.
  if (quota === "releasesPerDay" && limit === 0) return `${what} Ask the operator of this installation for more.`;
  return `${what} ${remedy(quota)}, or ask the operator of this installation for more.`;
}

function remedy(quota: QuotaName): string {
  switch (quota) {
    case "apps":
      return "Destroy an app that is no longer needed";
    case "instances":
      return "Scale an app down";
    case "cpuMilli":
    case "memoryBytes":
    case "diskBytes":
      return "Scale an app down, or release it with smaller resources";
    case "domains":
      return "Remove a domain that is no longer needed";
    case "releasesPerDay":
      return "Wait until the day ends (00:00 UTC)";
    default:
      return assertNever(quota);
  }
}

function amount(quota: QuotaName, value: number): string {
  switch (quota) {
    case "apps":
    case "instances":
    case "domains":
      return `${value} ${value === 1 ? quota.slice(0, -1) : quota}`;
    case "cpuMilli":
      return `${number(quota, value)} of CPU`;
    case "memoryBytes":
      return `${number(quota, value)} of memory`;
    case "diskBytes":
      return `${number(quota, value)} of disk`;
    case "releasesPerDay":
      return `${value} ${value === 1 ? "release" : "releases"} a day`;
    default:
      return assertNever(quota);
  }
}

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

function number(quota: QuotaName, value: number): string {
  switch (quota) {
    case "cpuMilli":
      return `${rounded(value / 1_000)} ${value === 1_000 ? "core" : "cores"}`;
    case "memoryBytes":
    case "diskBytes":
      return value >= GIB || value === 0 ? `${rounded(value / GIB)} GiB` : `${rounded(value / MIB)} MiB`;
    default:
      return String(value);
  }
}

const rounded = (value: number): string => String(Math.round(value * 100) / 100);
