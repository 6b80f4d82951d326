// Image policies: the installation's and a team's own, as they are set, shown, and read for a release.
import { eq } from "drizzle-orm";
import { ImagePolicy, TeamImagePolicy } from "../../contracts/image-policy.ts";
import type { TeamId } from "../../contracts/ids.ts";
import type { Database, Statements } from "../connect.ts";
import { installationImagePolicy, teamImagePolicies } from "../schema/image-policies.ts";
import { insertAudit, type By } from "./audit.ts";

interface Set<Policy> {
  readonly policy: Policy;
  /** null: nobody ever set one. */
  readonly setBy: string | null;
  readonly setAtMs: number | null;
}
export interface ImagePolicyRecord {
  readonly installation: Set<ImagePolicy>;
  readonly team: Set<TeamImagePolicy>;
}

const ofInstallation = {
  policy: installationImagePolicy.policy,
  setBy: installationImagePolicy.setBy,
  setAtMs: installationImagePolicy.setAtMs,
};
const ofTeam = {
  policy: teamImagePolicies.policy,
  setBy: teamImagePolicies.setBy,
  setAtMs: teamImagePolicies.setAtMs,
};

/** For a team's batch: the installation's row, then the team's; see `policiesIn`. */
export const selectImagePolicies = (statements: Statements, team: TeamId) =>
  [
    selectInstallation(statements),
    statements.select(ofTeam).from(teamImagePolicies).where(eq(teamImagePolicies.teamId, team)),
  ] as const;

const selectInstallation = (statements: Statements) => statements.select(ofInstallation).from(installationImagePolicy);

export interface StoredPolicyRow {
  readonly policy: unknown;
  readonly setBy: string;
  readonly setAtMs: number;
}

/** Stored rows of older versions lack newer fields: they are read with what those mean when absent. */
export function policiesIn(
  installation: readonly StoredPolicyRow[],
  team: readonly StoredPolicyRow[],
): ImagePolicyRecord {
  return { installation: setIn(ImagePolicy, installation), team: setIn(TeamImagePolicy, team) };
}

function setIn<Policy>(schema: { parse(stored: unknown): Policy }, [row]: readonly StoredPolicyRow[]): Set<Policy> {
  return { policy: schema.parse(row?.policy ?? {}), setBy: row?.setBy ?? null, setAtMs: row?.setAtMs ?? null };
}

export async function readImagePolicies(db: Database, team: TeamId): Promise<ImagePolicyRecord> {
  const [installation, own] = await db.runAll({ kind: "team", team }, (statements) =>
    selectImagePolicies(statements, team),
  );
  return policiesIn(installation, own);
}

export async function readInstallationImagePolicy(db: Database): Promise<ImagePolicyRecord["installation"]> {
  return setIn(ImagePolicy, await db.run({ kind: "operator" }, selectInstallation));
}

/** Replaces what was set before; the audit has both. */
export function setTeamImagePolicy(
  db: Database,
  { team, policy, ...by }: By & { readonly team: TeamId; readonly policy: TeamImagePolicy },
): Promise<void> {
  return db.transaction({ kind: "team", team }, async (tx) => {
    const own = eq(teamImagePolicies.teamId, team);
    const [before] = await tx.select({ policy: teamImagePolicies.policy }).from(teamImagePolicies).where(own);
    const set = { policy, setBy: by.actor, setAtMs: Date.now() };
    const target = teamImagePolicies.teamId;
    await tx
      .insert(teamImagePolicies)
      .values({ teamId: team, ...set })
      .onConflictDoUpdate({ target, set });
    await insertAudit(tx, { ...by, team, action: "image_policy.set", subject: "team", ...changed(before, policy) });
  });
}

/** Replaces what was set before; the audit of the installation has both. */
export function setInstallationImagePolicy(
  db: Database,
  { policy, ...by }: By & { readonly policy: ImagePolicy },
): Promise<void> {
  return db.transaction({ kind: "operator" }, async (tx) => {
    const known = { policy: installationImagePolicy.policy };
    const [before] = await tx.select(known).from(installationImagePolicy);
    const set = { policy, setBy: by.actor, setAtMs: Date.now() };
    const target = installationImagePolicy.only;
    await tx.insert(installationImagePolicy).values(set).onConflictDoUpdate({ target, set });
    const entry = { team: null, action: "image_policy.set", subject: "installation" };
    await insertAudit(tx, { ...by, ...entry, ...changed(before, policy) });
  });
}

const changed = <Policy extends object>(before: { policy: Policy } | undefined, policy: Policy) => ({
  ...(before === undefined ? {} : { before: { ...before.policy } }),
  after: { ...policy },
});
