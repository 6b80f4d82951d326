// Which images may run: the installation's policy, and beside it each team's, which can only say no to more.
import { z } from "zod";
import { AtMs } from "./ids.ts";

/** A registry's host, with its port where it has one, and a path's beginning: `ghcr.io`, `ghcr.io/acme`, `registry.local:5000`. */
const ImagePrefix = z
  .string()
  .max(255)
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/, {
    message: "must be a registry's host, and may go on with a path: ghcr.io/acme",
  });

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** What is said over plain HTTP anybody on the way can say. */
function isSafe(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.has(url.hostname));
}

const SCANNER_TIME = "must be between 100 ms and 30 s";

/**
 * Asked by POST (ScanRequest → ScanAnswer) before a release of an image is accepted. ifAway: what becomes of releases while it does not
 * answer within the time-out, or not in words that are known.
 */
export const Scanner = z.strictObject({
  url: z.string().max(1_024).refine(isSafe, {
    message: "must be an https URL without a user or password; http only for this very machine (http://localhost:8080)",
  }),
  timeoutMs: z.int().min(100, { message: SCANNER_TIME }).max(30_000, { message: SCANNER_TIME }).default(10_000),
  ifAway: z.enum(["refuse", "accept"]).default("refuse"),
});
export type Scanner = z.infer<typeof Scanner>;

/** registries: absent, any. requireDigest: a reference must name its digest. bundles: whether apps from uploaded folders, which have no image, may run. */
export const TeamImagePolicy = z.strictObject({
  registries: z.array(ImagePrefix).min(1).max(64).optional(),
  requireDigest: z.boolean().default(false),
  bundles: z.boolean().default(true),
});
export type TeamImagePolicy = z.infer<typeof TeamImagePolicy>;

/** The scanner is the operator's: what asks it stands within the operator's network. */
export const ImagePolicy = TeamImagePolicy.extend({ scanner: Scanner.optional() });
export type ImagePolicy = z.infer<typeof ImagePolicy>;

const setBy = { setBy: z.string().nullable(), setAtMs: AtMs.nullable() };

/** As an operator sees it. setBy null: nobody ever set one, and everything is allowed. */
export const InstallationImagePolicy = z.object({ policy: ImagePolicy, ...setBy });
export type InstallationImagePolicy = z.infer<typeof InstallationImagePolicy>;

/** As a team sees what holds for it: its own, and the installation's without the address of its scanner. */
export const ImagePolicies = z.object({
  team: z.object({ policy: TeamImagePolicy, ...setBy }),
  installation: TeamImagePolicy.extend({ scanner: Scanner.omit({ url: true }).optional() }),
});
export type ImagePolicies = z.infer<typeof ImagePolicies>;

/** What a scanner is sent. digest: as the reference names it; null: it names none, and `image` may mean another one later. */
export const ScanRequest = z.object({
  team: z.string(),
  app: z.string(),
  image: z.string(),
  digest: z.string().nullable(),
});
export type ScanRequest = z.infer<typeof ScanRequest>;

/** What it may answer. digest: which image it looked at; the release is then of that one, whatever the tag comes to mean. */
export const ScanAnswer = z.discriminatedUnion("allowed", [
  z.object({
    allowed: z.literal(true),
    digest: z
      .string()
      .regex(/^sha256:[0-9a-f]{64}$/)
      .optional(),
  }),
  z.object({ allowed: z.literal(false), reason: z.string().min(1).max(500) }),
]);
export type ScanAnswer = z.infer<typeof ScanAnswer>;
