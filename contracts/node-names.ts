// Agent protocol: the name under which a node is reached, and the challenge by which it gets its certificate. Unknown keys are ignored.
import { z } from "zod";
import { AtMs } from "./ids.ts";

/**
 * POST /agent/v1/name: what the node is called, and where it is, for its DNS record. serving: its gateway shows a certificate of that
 * name, so that the edge may come by it. Asked at each start, when an address changes, and daily.
 */
export const NameRequest = z.object({
  protocol: z.int(),
  addresses: z
    .array(z.union([z.ipv4(), z.ipv6()]))
    .min(1)
    .max(8),
  gatewayPort: z.int().min(1).max(65_535),
  serving: z.boolean(),
});
/** name: null where names are the operator's affair. acme: null where certificates are given by files. */
export const NameResponse = z.object({
  name: z.string().nullable(),
  gatewayUrl: z.string().nullable().default(null),
  acme: z.object({ directoryUrl: z.url() }).nullable().default(null),
  nowMs: AtMs,
});
export type NameResponse = z.infer<typeof NameResponse>;
/** POST /agent/v1/acme-challenge: the TXT record by which an ACME server sees whose the node's own name is. null: it is not needed any more. */
export const ChallengeRequest = z.object({
  protocol: z.int(),
  value: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/, { message: "must be a SHA-256 in base64url" })
    .nullable(),
  /** Of an ingress: the app's hostname, or `*.` and the platform's domain, in place of the node's own name. */
  hostname: z
    .string()
    .max(253)
    .regex(/^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{1,63}$/, {
      message: "must be a hostname in lower case",
    })
    .optional(),
});
export const ChallengeResponse = z.object({ record: z.string(), nowMs: AtMs });
export type ChallengeResponse = z.infer<typeof ChallengeResponse>;
