// Ids and names: what every part of Berth uses to point at a thing. Typed prefixes make a wrong id fail at the door.
import { z } from "zod";

/** A TypeID: a prefix, an underscore and 26 characters of base32 (Crockford) that hold a UUIDv7. */
function typeId<Prefix extends string>(prefix: Prefix) {
  return z
    .string()
    .regex(new RegExp(`^${prefix}_[0-7][0-9a-hjkmnp-tv-z]{25}$`), {
      message: `must be an id of the form ${prefix}_ followed by 26 characters`,
    })
    .brand<Prefix>();
}

export const UserId = typeId("user");
export const TeamId = typeId("team");
export const ProjectId = typeId("proj");
export const AppId = typeId("app");
export const ReleaseId = typeId("rel");
export const RolloutId = typeId("roll");
export const InstanceId = typeId("ins");
export const NodeId = typeId("node");
export const JoinTokenId = typeId("join");
export const ApiTokenId = typeId("tok");
export const InvitationId = typeId("inv");
export const OperatorEntryId = typeId("entry");

export type UserId = z.infer<typeof UserId>;
export type TeamId = z.infer<typeof TeamId>;
export type ProjectId = z.infer<typeof ProjectId>;
export type AppId = z.infer<typeof AppId>;
export type ReleaseId = z.infer<typeof ReleaseId>;
export type RolloutId = z.infer<typeof RolloutId>;
export type InstanceId = z.infer<typeof InstanceId>;
export type NodeId = z.infer<typeof NodeId>;
export type JoinTokenId = z.infer<typeof JoinTokenId>;
export type ApiTokenId = z.infer<typeof ApiTokenId>;
export type InvitationId = z.infer<typeof InvitationId>;
export type OperatorEntryId = z.infer<typeof OperatorEntryId>;

/** A region's name, as operators choose it: `fra`, `local`. */
export const RegionName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}[a-z0-9]$/, { message: "must be 2 to 32 of a-z, 0-9 and -, beginning with a letter" })
  .brand<"RegionName">();
export type RegionName = z.infer<typeof RegionName>;

/** A cell's name: its region, a dot, its number within the region. `fra.0`. Also the Cell object's name. */
export const CellName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}[a-z0-9]\.(0|[1-9][0-9]{0,4})$/, { message: "must be a region, a dot and a number" })
  .brand<"CellName">();
export type CellName = z.infer<typeof CellName>;

/** A DNS label (RFC 1123), because an app's name becomes the first label of its hostname. */
export const DnsLabel = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, {
  message: "must be a DNS label: 1 to 63 of a-z, 0-9 and -, neither beginning nor ending with -",
});

/** Second path segments of the API beside nodes' names: `/v1/nodes/tokens`. */
const NODE_NAMES_RESERVED = ["tokens", "rebalance"];

/** A node's name, as operators type it into paths and commands. */
export const NodeName = DnsLabel.refine((name) => !NODE_NAMES_RESERVED.includes(name), {
  message: `must not be ${NODE_NAMES_RESERVED.join(" or ")}: paths of the API are called so`,
});

/** A hostname of at least two labels, lower case, at most 253 characters. */
export const Hostname = z
  .string()
  .max(253)
  .regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, {
    message: "must be a hostname in lower case, without a port",
  });

/** An event's id is its place: `<source>#<seq>`, so that the same event always has the same id. */
export const EventId = z
  .string()
  .regex(/^(app|cell|region|platform):[^#]+#[1-9][0-9]*$/, { message: "must be a source, # and a sequence number" })
  .brand<"EventId">();
export type EventId = z.infer<typeof EventId>;

/** The end of the year 9999: dates beyond it have no form that all of Postgres, JSON's readers and UUIDs of time agree on. */
const AT_MS_MAX = 253_402_300_799_999;
/** Milliseconds since the epoch by the control plane's clock. */
export const AtMs = z.int().nonnegative().max(AT_MS_MAX);
