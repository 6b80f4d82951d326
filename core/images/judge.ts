// Whether an image may run by the policies that hold for it, and what becomes of a scanner's word or silence.
import type { ScanAnswer, Scanner, TeamImagePolicy } from "../../contracts/image-policy.ts";

/** A reference in its whole form, as a reference parser has it: `docker.io/library/nginx`, and its digest where it names one. */
export interface ImageName {
  readonly repository: string;
  readonly digest: string | null;
}

/** rule: which line of the policy it was. */
export type Judgement =
  | { readonly kind: "allowed" }
  | {
      readonly kind: "refused";
      readonly rule: "registries" | "require_digest" | "bundles" | "scanner" | "scanner_away";
      readonly message: string;
    };

/** whose: who can change it. */
export interface Held {
  readonly whose: "installation" | "team";
  readonly policy: TeamImagePolicy;
}

const ALLOWED: Judgement = { kind: "allowed" };

/** The first that refuses; a team's policy adds to the installation's, and takes nothing from it. image null: a bundle. */
export function judgeSource(image: ImageName | null, held: readonly Held[]): Judgement {
  for (const one of held) {
    const judged = image === null ? judgeBundle(one) : judgeImage(image, one);
    if (judged.kind === "refused") return judged;
  }
  return ALLOWED;
}

function judgeBundle({ whose, policy }: Held): Judgement {
  if (policy.bundles) return ALLOWED;
  const message = `the ${whose}'s image policy takes images only, no uploaded folders: build an image and release that`;
  return { kind: "refused", rule: "bundles", message };
}

function judgeImage(image: ImageName, { whose, policy: { registries, requireDigest } }: Held): Judgement {
  const name = image.repository;
  if (registries !== undefined && !registries.some((prefix) => isUnder(name, prefix))) {
    const message = `the ${whose}'s image policy allows images from ${registries.join(", ")} only, and this is ${name}`;
    return { kind: "refused", rule: "registries", message };
  }
  if (requireDigest && image.digest === null) {
    const message = `the ${whose}'s image policy wants images pinned: name the digest (${name}@sha256:…), as docker buildx imagetools inspect shows it`;
    return { kind: "refused", rule: "require_digest", message };
  }
  return ALLOWED;
}

/** Whole parts of a path: `ghcr.io/acme` is no beginning of `ghcr.io/acme-evil/app`, nor `ghcr.io` of `ghcr.io.evil.net`. */
const isUnder = (name: string, prefix: string): boolean => name === prefix || name.startsWith(`${prefix}/`);

/** answer: null where it did not answer in time, or not in words that are known. */
export function judgeScan(scanner: Scanner, answer: ScanAnswer | null, image: ImageName): Judgement {
  if (answer === null) {
    if (scanner.ifAway === "accept") return ALLOWED;
    const message = `the installation's scanner of images did not answer within ${scanner.timeoutMs} ms, and without its word nothing is accepted: try again`;
    return { kind: "refused", rule: "scanner_away", message };
  }
  if (!answer.allowed) {
    const message = `the installation's scanner of images refuses it: ${answer.reason}`;
    return { kind: "refused", rule: "scanner", message };
  }
  if (image.digest === null || answer.digest === undefined || answer.digest === image.digest) return ALLOWED;
  const message = `the installation's scanner of images looked at ${answer.digest} instead of ${image.digest}`;
  return { kind: "refused", rule: "scanner", message };
}
