// Plans and quotas: how much a team may have, how much of it is used, and what a refusal says.
import { z } from "zod";
import { AtMs, TeamId } from "./ids.ts";

export const QUOTAS = [
  "apps",
  "instances",
  "cpuMilli",
  "memoryBytes",
  "diskBytes",
  "domains",
  "releasesPerDay",
] as const;
export const QuotaName = z.enum(QUOTAS);
export type QuotaName = z.infer<typeof QuotaName>;

/** Which quota said no. used: before this; asked: what this would have added. */
export const QuotaRefusal = z.object({
  quota: QuotaName,
  plan: z.string(),
  used: z.number(),
  asked: z.number(),
  limit: z.number(),
});
export type QuotaRefusal = z.infer<typeof QuotaRefusal>;

/** What an app is meant to hold once nothing is being rolled: replicas times resources, over all releases that serve. */
export const Holding = z.object({
  instances: z.int().nonnegative(),
  cpuMilli: z.int().nonnegative(),
  memoryBytes: z.int().nonnegative(),
  diskBytes: z.int().nonnegative(),
});
export type Holding = z.infer<typeof Holding>;

/** What an app may hold from now on. version: rises with every grant of the app. */
export interface Grant {
  readonly version: number;
  readonly amounts: Holding;
}

/** null: without a limit. */
const Limits = z.record(QuotaName, z.int().nonnegative().nullable());
export const Plan = z.object({ name: z.string(), description: z.string(), limits: Limits });
export type Plan = z.infer<typeof Plan>;

/** PUT /v1/teams/{team}/quota. plan null: the installation's default. overrides replace all that were set before; null: without a limit. */
export const QuotaPut = z.strictObject({
  plan: z.string().max(64).nullable(),
  overrides: z.partialRecord(QuotaName, z.int().nonnegative().max(Number.MAX_SAFE_INTEGER).nullable()).default({}),
});
export type QuotaPut = z.infer<typeof QuotaPut>;

export const TeamQuota = z.object({
  team: TeamId,
  plan: z.string(),
  /** The plan is the installation's default, not one that somebody gave this team. */
  byDefault: z.boolean(),
  quotas: z.array(
    z.object({
      quota: QuotaName,
      used: z.number(),
      limit: z.number().nullable(),
      /** The limit is this team's own, not its plan's. */
      overridden: z.boolean(),
    }),
  ),
  /** When the count of releases begins anew. */
  dayEndsAtMs: AtMs,
});
export type TeamQuota = z.infer<typeof TeamQuota>;
