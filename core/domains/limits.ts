// The limits of custom domains, each with its reason. TUNING overrides them by name.

export const DEFAULT_DOMAIN_LIMITS = {
  /** A hostname given up rests so long for other teams: copies of it at the edge are 60 s old at most, resolvers' rarely above a day. */
  domainRestMs: 604_800_000,
  /** A proof that vanished is shown at once; serving ends after this long, which leaves a weekend to notice and repair it. */
  domainSuspendMs: 259_200_000,
  /** Name servers that answer nobody prove nothing; but for so long without a proof it counts as gone. */
  domainUnreadableMs: 604_800_000,
  /** Waiting for a record: at first somebody is sitting in front of it, later nobody is. */
  domainCheckSoonMs: 60_000,
  domainCheckLaterMs: 3_600_000,
  domainSoonForMs: 3_600_000,
  /** After a week without a proof nobody looks any more, until somebody asks. */
  domainGiveUpMs: 604_800_000,
  /** A proven one is looked at again so often; and so often while its proof is gone. */
  domainRecheckMs: 3_600_000,
  domainFailingCheckMs: 600_000,
  /** Domains of an app: each costs a few DNS look-ups an hour. */
  domainsMax: 100,
  /** Looked at in one sweep, a minute's worth: what is left out is the first of the next one. */
  domainsPerSweep: 500,
} as const;

export type DomainLimits = { readonly [Name in keyof typeof DEFAULT_DOMAIN_LIMITS]: number };

/** tuning: JSON of numbers by name; unknown names are other parts'. */
export function domainLimits(tuning: string | undefined): DomainLimits {
  if (tuning === undefined || tuning === "") return DEFAULT_DOMAIN_LIMITS;
  const given = JSON.parse(tuning) as Record<string, unknown>;
  const limits: Record<string, number> = { ...DEFAULT_DOMAIN_LIMITS };
  for (const [name, standard] of Object.entries(limits)) {
    const value = given[name];
    limits[name] = typeof value === "number" && Number.isInteger(value) && value > 0 ? value : standard;
  }
  return limits as DomainLimits;
}
