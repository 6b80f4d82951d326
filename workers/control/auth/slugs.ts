// The slug of a personal team: from the e-mail address, and if others have that, with ever more of the team's id.
import type { TeamId } from "../../../contracts/ids.ts";

/** Hostnames are made of slugs and app names, so they are kept short. */
const LENGTH_MAX = 32;

/** In the order of preference; the last holds 60 random bits of the id. */
export function personalSlugs(email: string, team: TeamId): string[] {
  const name = email
    .slice(0, email.indexOf("@"))
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, LENGTH_MAX)
    .replaceAll(/^-+|-+$/g, "");
  const base = name === "" ? "team" : name;
  return [base, `${base}-${team.slice(-4)}`, `${base}-${team.slice(-12)}`];
}
