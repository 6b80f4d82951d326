// Whether a release's source is one that can be meant: an image reference as Docker takes it, or a bundle that was uploaded.
import { parseFamiliarName } from "@swimlane/docker-reference";
import type { TeamId } from "../../../contracts/ids.ts";
import type { ReleaseSpec } from "../../../contracts/release.ts";
import { findRegistry } from "../../../db/queries/registries.ts";
import type { ControlEnv } from "../env.ts";
import { databaseOf } from "../http/database.ts";
import { failField } from "../http/problem.ts";

export const bundleKey = (team: TeamId, hash: string): string => `bundles/${team}/${hash}`;

/** The registry's host of a reference (`docker.io` where it names none), or null where Docker would not take it. */
export function registryOf(reference: string): string | null {
  try {
    return parseFamiliarName(reference).domain ?? null;
  } catch {
    return null;
  }
}

/** Refuses, or says whether the team has pull credentials for the image's registry. */
export async function checkSource(
  env: ControlEnv,
  team: TeamId,
  spec: ReleaseSpec,
): Promise<{ privateImage: boolean }> {
  const { source } = spec;
  if (source.kind === "bundle") {
    const uploaded = await env.BUNDLES.head(bundleKey(team, source.hash));
    if (uploaded === null) {
      const message = "no bundle with this hash was uploaded; PUT it first";
      failField("unprocessable", { pointer: "/spec/source/hash", rule: "exists", message });
    }
    if (spec.command === undefined) {
      const message = 'a bundle needs a command, such as ["node", "server.js"]';
      failField("invalid_request", { pointer: "/spec/command", rule: "required", message });
    }
    return { privateImage: false };
  }
  const registry = registryOf(source.reference);
  if (registry === null) {
    const message = "must be an image reference as Docker takes it, such as nginx:1.29 or ghcr.io/team/app@sha256:…";
    return failField("invalid_request", { pointer: "/spec/source/reference", rule: "image_reference", message });
  }
  return { privateImage: (await findRegistry(databaseOf(env), team, registry)) !== null };
}
