// The plans that a team can have: how much of what, each number with its reason.
import { QUOTAS, type QuotaName } from "../../contracts/quota.ts";

/** null: without a limit. */
export type QuotaLimits = Readonly<Record<QuotaName, number | null>>;

export interface PlanFacts {
  readonly description: string;
  readonly limits: QuotaLimits;
}

const GIB = 1024 ** 3;
const NONE: QuotaLimits = {
  apps: null,
  instances: null,
  cpuMilli: null,
  memoryBytes: null,
  diskBytes: null,
  domains: null,
  releasesPerDay: null,
};

export const PLANS = {
  starter: {
    description: "For whoever has just signed up: enough for a few real apps, too little to harm anybody's neighbours.",
    limits: {
      /** A site, its API, a worker or two, and the same once more as staging. */
      apps: 10,
      /** Two of each. */
      instances: 20,
      /** 20 instances of the default 250 milli are 5 cores; 8 leave room for one that is larger. */
      cpuMilli: 8_000,
      /** 20 of the default 256 MiB are 5 GiB; the rest is for a database or a build. */
      memoryBytes: 16 * GIB,
      /** 20 of the default 1 GiB, and one with data. */
      diskBytes: 100 * GIB,
      /** Two for each app: with and without www. */
      domains: 20,
      /** One every seven minutes, day and night: a busy pipeline stays below, a loop does not. */
      releasesPerDay: 200,
    },
  },
  team: {
    description: "For a company: ten times the starter, and releases for ten busy pipelines.",
    limits: {
      apps: 100,
      instances: 200,
      cpuMilli: 80_000,
      memoryBytes: 160 * GIB,
      diskBytes: 1_000 * GIB,
      domains: 200,
      releasesPerDay: 2_000,
    },
  },
  scale: {
    description: "For a platform of its own: a rack's worth.",
    limits: {
      apps: 1_000,
      /** A cell has 64 nodes; some 30 instances on each. */
      instances: 2_000,
      cpuMilli: 800_000,
      memoryBytes: 1_600 * GIB,
      diskBytes: 10_000 * GIB,
      domains: 2_000,
      /** About one every four seconds: what a monorepo's pipelines make at their worst. */
      releasesPerDay: 20_000,
    },
  },
  unlimited: {
    description: "For the operator's own teams: only the nodes' capacity limits them.",
    limits: NONE,
  },
  frozen: {
    description: "For who has not paid or does harm: what runs goes on and can shrink, nothing new begins.",
    limits: { apps: 0, instances: 0, cpuMilli: 0, memoryBytes: 0, diskBytes: 0, domains: 0, releasesPerDay: 0 },
  },
} as const satisfies Record<string, PlanFacts>;

export type PlanName = keyof typeof PLANS;
export const PLAN_NAMES = Object.keys(PLANS) as PlanName[];
export const isPlanName = (name: string): name is PlanName => Object.hasOwn(PLANS, name);

/** Strangers sign up by themselves: until the operator says otherwise they get the smallest. */
export const DEFAULT_PLAN: PlanName = "starter";

/** The limits of a plan, replaced one by one where the operator said so for this team. */
export function limitsOf(plan: PlanName, overrides: Partial<QuotaLimits> = {}): QuotaLimits {
  const limits: Record<QuotaName, number | null> = { ...PLANS[plan].limits };
  for (const quota of QUOTAS) {
    const override = overrides[quota];
    if (override !== undefined) limits[quota] = override;
  }
  return limits;
}
