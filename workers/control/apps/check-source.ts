// Whether a release's source is one that can be meant: an image reference as Docker takes it, or a bundle that was uploaded.
import { parseFamiliarName } from "@swimlane/docker-reference";
import type { TeamId } from "../../../contracts/ids.ts";
import type { ReleaseSpec } from "../../../contracts/release.ts";
import type { ImageName } from "../../../core/images/judge.ts";
import { judgeUrl } from "../../../core/outbound/judge.ts";
import type { ControlEnv } from "../env.ts";
import { failField } from "../http/problem.ts";
import { exceptionsOf } from "../outbound/guarded-fetch.ts";

export const bundleKey = (team: TeamId, hash: string): string => `bundles/${team}/${hash}`;

/** The registry's host of a reference (`docker.io` where it names none), or null where Docker would not take it. */
export function registryOf(reference: string): string | null {
  try {
    return parseFamiliarName(reference).domain ?? null;
  } catch {
    return null;
  }
}

/** Refuses, or says what the image is called in full: null for a bundle. */
export function sourceImage(
  env: ControlEnv,
  { source, command }: ReleaseSpec,
): (ImageName & { readonly registry: string }) | null {
  if (source.kind === "bundle") {
    if (command !== undefined) return null;
    const message = 'a bundle needs a command, such as ["node", "server.js"]';
    return failField("invalid_request", { pointer: "/spec/command", rule: "required", message });
  }
  const registry = registryOf(source.reference);
  if (registry !== null) {
    refuseClosedRegistry(env, registry, "/spec/source/reference");
    const { repositoryUrl: repository, digest = null } = parseFamiliarName(source.reference);
    return { registry, repository, digest };
  }
  const message = "must be an image reference as Docker takes it, such as nginx:1.29 or ghcr.io/team/app@sha256:…";
  return failField("invalid_request", { pointer: "/spec/source/reference", rule: "image_reference", message });
}

/** What of it can be said without a look-up; the node that pulls looks where its name leads. */
export function refuseClosedRegistry(env: ControlEnv, registry: string, pointer: string): void {
  const said = judgeUrl(`https://${registry}/`, { exceptions: exceptionsOf(env) });
  if (said.kind === "target") return;
  const message = `${said.message}; an operator can allow a registry of their own`;
  failField("unprocessable", { pointer, rule: said.rule, message });
}

export async function requireBundle(env: ControlEnv, team: TeamId, { source }: ReleaseSpec): Promise<void> {
  if (source.kind !== "bundle" || (await env.BUNDLES.head(bundleKey(team, source.hash))) !== null) return;
  const message = "no bundle with this hash was uploaded; PUT it first";
  failField("unprocessable", { pointer: "/spec/source/hash", rule: "exists", message });
}
