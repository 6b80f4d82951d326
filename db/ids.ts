// TypeIDs outside, uuids in Postgres: the conversion, and the column types that do it unseen.
import { customType } from "drizzle-orm/pg-core";
import { TypeID, typeid } from "typeid-js";

/** `app_01h…` → `018f…-…`. Throws if the id has another prefix. An id that nobody made may have no version of a UUID: it finds nothing. */
export function toUuid(id: string, prefix: string): string {
  const known = uuids.get(id);
  if (known?.prefix === prefix) return known.uuid;
  const hex = hexOf(TypeID.fromString(id, prefix).toUUIDBytes());
  const uuid = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  remember(uuids, id, { prefix, uuid });
  return uuid;
}

/** The reverse of toUuid. */
export function fromUuid(prefix: string, uuid: string): string {
  const named = `${prefix} ${uuid}`;
  const known = ids.get(named);
  if (known !== undefined) return known;
  const id = TypeID.fromUUID(prefix, uuid).toString();
  remember(ids, named, id);
  return id;
}

/** The same teams, apps and users come with every request, and a conversion costs as much as to read a column otherwise does. */
const REMEMBERED_MAX = 5_000;
const uuids = new Map<string, { readonly prefix: string; readonly uuid: string }>();
const ids = new Map<string, string>();

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  if (map.size >= REMEMBERED_MAX) map.clear();
  map.set(key, value);
}

/** A fresh id of that prefix: a UUIDv7, so that ids sort by the time they were made. */
export function mintId<Id extends string>(prefix: string): Id {
  return typeid(prefix).toString() as Id;
}

/** A uuid column whose values are TypeIDs of one prefix. */
export const idColumn = <Id extends string>(prefix: string) =>
  customType<{ data: Id; driverData: string }>({
    dataType: () => "uuid",
    toDriver: (id) => toUuid(id, prefix),
    fromDriver: (uuid) => fromUuid(prefix, uuid) as Id,
  });

/** A point in time as milliseconds since the epoch; timestamptz(3), so that nothing finer is lost on the way. */
export const atMs = customType<{ data: number; driverData: string }>({
  dataType: () => "timestamp (3) with time zone",
  toDriver: (ms) => new Date(ms).toISOString(),
  fromDriver: (value) => new Date(value).getTime(),
});

/** A hash as lower-case hexadecimal digits outside, as bytes inside. */
export const hexBytes = customType<{ data: string; driverData: string | Uint8Array }>({
  dataType: () => "bytea",
  toDriver: (hex) => `\\x${hex}`,
  fromDriver: (value) => (typeof value === "string" ? value.replace(/^\\x/, "") : hexOf(value)),
});

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hexadecimal digits. */
export function hexOf(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += DIGITS[byte];
  return hex;
}
