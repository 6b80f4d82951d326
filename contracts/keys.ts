// The platform's keys as the API shows them: never a key, always its version, age and who still needs it.
import { z } from "zod";
import { AtMs, NodeId } from "./ids.ts";

/**
 * kek: seals what is stored. ticket: signs tickets, snapshots, overrides and relays' grants. credential: signs nodes' credentials.
 * session: signs people's sessions. backup: the age recipient for whom backups wrap the rest.
 */
export const KEY_KINDS = ["kek", "ticket", "credential", "session", "backup"] as const;
export const KeyKind = z.enum(KEY_KINDS);
export type KeyKind = z.infer<typeof KeyKind>;

/** prepared: verified by, not yet used. current: used. replaced: verified by still. retired: nothing believes it any more. */
export const KeyState = z.enum(["prepared", "current", "replaced", "retired"]);
export type KeyState = z.infer<typeof KeyState>;

export const PlatformKey = z.object({
  kind: KeyKind,
  version: z.string(),
  state: KeyState,
  createdAtMs: AtMs,
  activatedAtMs: AtMs.nullable(),
  replacedAtMs: AtMs.nullable(),
  retiredAtMs: AtMs.nullable(),
  /** Whether it has been in use for longer than its kind is to be. */
  isOld: z.boolean(),
});
export type PlatformKey = z.infer<typeof PlatformKey>;

/** Re-wrapping what is stored under the key-encryption key `version`. failed: could not be opened; firstFailure says where. */
export const KeySweep = z.object({
  version: z.string(),
  stage: z.string(),
  seen: z.int(),
  rewrapped: z.int(),
  failed: z.int(),
  firstFailure: z.string().nullable(),
  startedAtMs: AtMs,
  endedAtMs: AtMs.nullable(),
});
export type KeySweep = z.infer<typeof KeySweep>;

/** A step that is not yet possible: what holds it, and from when on (null: when that is gone). */
export const KeyHold = z.object({ message: z.string(), untilMs: AtMs.nullable() });
export type KeyHold = z.infer<typeof KeyHold>;

export const KeyNode = z.object({ node: NodeId, name: z.string() });
export const PlatformKeys = z.object({
  items: z.array(PlatformKey),
  /** Of the newest rotation of the key-encryption key. */
  sweep: KeySweep.nullable(),
  /** Nodes that have not said yet that they trust the prepared ticket key, or whose credential is by an older key. */
  waitingFor: z.object({ ticket: z.array(KeyNode), credential: z.array(KeyNode) }),
});
export type PlatformKeys = z.infer<typeof PlatformKeys>;

/** version: of a kek, which the Workers must have been given before. recipient: of a backup, `age1…`. */
export const KeyPrepare = z.strictObject({
  version: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, { message: "must be 1 to 64 letters, digits, _ and -" })
    .optional(),
  recipient: z
    .string()
    .regex(/^age1[a-z0-9]{20,200}$/, { message: "must be an age recipient: age1…" })
    .optional(),
});
/** force: also while something holds it; what then stops being believed is the operator's to know. */
export const KeyStep = z.strictObject({ force: z.boolean().default(false) });
