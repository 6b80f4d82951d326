// What a backup is made of on the wire and in its file: pages of objects, rows of tables, and the header and footer around them.
import { z } from "zod";
import { AppId, AtMs } from "./ids.ts";

/** Of the file. A reader takes its own and older ones. 2: it names bundles, which lie beside it. */
export const BACKUP_FORMAT = 2;

/**
 * How far a restored object jumps ahead in everything that may only rise, so that nothing repeats what was done since the
 * backup: one change a second for eleven days. Restoring what is older than that is still safe where others say what they saw.
 */
export const RESTORE_SKIP = 1_000_000;

export const OBJECT_KINDS = ["region", "host", "cell", "app"] as const;
export const ObjectRef = z.object({ kind: z.enum(OBJECT_KINDS), name: z.string().min(1).max(253) });
export type ObjectRef = z.infer<typeof ObjectRef>;

/** One page of an object's state. text: lines of `[table, key, value]`. rows: of all its pages. */
export const ObjectPage = ObjectRef.extend({
  layout: z.int().positive(),
  rows: z.int().nonnegative(),
  page: z.int().nonnegative(),
  pages: z.int().positive(),
  text: z.string(),
});
export type ObjectPage = z.infer<typeof ObjectPage>;

/** POST /v1/backup/objects → ObjectPages as lines, in the order asked for. */
export const OBJECTS_PER_DUMP_MAX = 100;
export const DumpRequest = z.strictObject({ objects: z.array(ObjectRef).min(1).max(OBJECTS_PER_DUMP_MAX) });

/** POST /v1/backup/keys → the installation's secrets, readable by the recipient alone; and what tells them apart. */
export const BackupKeys = z.object({
  /** An age file, armoured; null where the control plane was set up without BACKUP_RECIPIENT. */
  wrapped: z.string().nullable(),
  /** By name: the first 16 hexadecimal digits of SHA-256. */
  fingerprints: z.record(z.string(), z.string()),
});
export type BackupKeys = z.infer<typeof BackupKeys>;

/** POST /restore/v1/objects, by the setup token. backup: its id. eventSeq: what the object's next event follows on. */
export const LoadRequest = z.strictObject({
  backup: z.string().min(1).max(64),
  pages: z
    .array(ObjectPage.extend({ eventSeq: z.int().nonnegative(), apps: z.array(AppId).optional() }))
    .min(1)
    .max(1_000),
});
export type LoadRequest = z.infer<typeof LoadRequest>;
/** A page of 2 million characters, in UTF-8 and escaped as JSON within JSON. */
export const LOAD_BYTES_MAX = 16_000_000;

/** A bundle as the platform's store names it: an app's, or what an agent or a server's installation is made of. Its end is its SHA-256. */
export const BundleKey = z
  .string()
  .regex(/^(bundles\/team_[0-7][0-9a-hjkmnp-tv-z]{25}\/sha256:|agents\/)[0-9a-f]{64}$/, {
    message: "must be the key of a bundle",
  })
  .brand<"BundleKey">();
export type BundleKey = z.infer<typeof BundleKey>;
export const sha256OfKey = (key: BundleKey): string => key.slice(-64);

/** A small text beside the bundles: an agent release's signed manifest, or what servers install. */
export const ChannelDocument = z.strictObject({
  key: z.string().regex(/^(agents\/manifests\/[0-9.]{5,32}|install\/installation\.json)$/),
  text: z.string().min(1).max(16_000),
});
export type ChannelDocument = z.infer<typeof ChannelDocument>;
/** GET /v1/backup/agent-channel. bundles: whatever the documents name. */
export const AgentChannel = z.object({ documents: z.array(ChannelDocument), bundles: z.array(BundleKey) });
export type AgentChannel = z.infer<typeof AgentChannel>;

/** POST /restore/v1/missing-bundles → those of them that the store lacks. */
export const BUNDLES_PER_LOOK_MAX = 100;
export const BundleKeys = z.strictObject({ keys: z.array(BundleKey).max(BUNDLES_PER_LOOK_MAX) });
/** POST /restore/v1/documents. */
export const ChannelDocuments = z.strictObject({ documents: z.array(ChannelDocument).min(1).max(50) });

/** A line of a backup's section of bundles. ring: below which it lies, sealed, as `<ring>/<SHA-256>.age`. */
export const BundleLine = z.object({ key: BundleKey, ring: z.string().regex(/^[0-9a-f]{16}$/) });
export type BundleLine = z.infer<typeof BundleLine>;

/** The first line of a file. */
export const BackupHeader = z.object({
  kind: z.literal("header"),
  format: z.int().positive(),
  backup: z.string(),
  platform: z.string(),
  /** Of Postgres, by the moment they were made: a reader must know them all. */
  migrations: z.array(z.number()).readonly(),
  startedAtMs: z.int(),
  keys: BackupKeys,
});
export type BackupHeader = z.infer<typeof BackupHeader>;

/** Before the rows of a section: `objects`, or a table. columns: of a table, in the order of each row's values. */
export const BackupSection = z.object({
  kind: z.literal("section"),
  name: z.string(),
  columns: z.array(z.string()).optional(),
});
export type BackupSection = z.infer<typeof BackupSection>;
/** The last line: without it the file is cut off. */
export const BackupFooter = z.object({
  kind: z.literal("footer"),
  endedAtMs: z.int(),
  sections: z.array(z.object({ name: z.string(), lines: z.int(), sha256: z.string() })),
});
export type BackupFooter = z.infer<typeof BackupFooter>;

/** A backup that was made. to: where it lies, without any secret. */
export const BackupRecordCreate = z.strictObject({
  id: z.string().min(1).max(64),
  to: z.string().min(1).max(500),
  bytes: z.int().positive(),
  objects: z.int().nonnegative(),
  rows: z.int().nonnegative(),
  startedAtMs: AtMs.positive(),
  endedAtMs: AtMs.positive(),
  /** doctor alarms where no newer one was made for so long. */
  alarmAfterMs: z.int().positive(),
});
export type BackupRecordCreate = z.infer<typeof BackupRecordCreate>;
export const BackupRecord = z.object(BackupRecordCreate.shape);
export type BackupRecord = z.infer<typeof BackupRecord>;
