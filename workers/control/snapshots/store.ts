// Snapshots as they are kept: signed, under their region, version and digest, in the bucket of bundles.
import { CompactSign, compactVerify, decodeProtectedHeader } from "jose";
import type { RegionName } from "../../../contracts/ids.ts";
import { Snapshot, SNAPSHOT_TYP } from "../../../contracts/snapshot.ts";
import type { ControlEnv } from "../env.ts";
import { signingRing } from "../../keys/signing-ring.ts";
import { textOf } from "../stored-text.ts";

type Env = Pick<ControlEnv, "BUNDLES" | "TICKET_SIGNING_KEY">;
export interface Made {
  readonly region: RegionName;
  readonly version: number;
  readonly digest: string;
}

const folderOf = (region: RegionName): string => `snapshots/${region}/`;
/** The version alone would let two makers at once overwrite each other. */
const keyOf = ({ region, version, digest }: Made): string => `${folderOf(region)}${version}.${digest}`;
/** Nodes fetch the newest; the one before may be on its way to some. */
const KEPT = 2;

export async function storeSnapshot(env: Env, snapshot: Snapshot, digest: string): Promise<void> {
  const { region, version } = snapshot;
  await env.BUNDLES.put(keyOf({ region, version, digest }), await sign(env, snapshot));
}

export async function readSigned(env: Env, made: Made): Promise<string | null> {
  const stored = await env.BUNDLES.get(keyOf(made));
  return stored === null ? null : textOf(stored);
}

/** isOlderKeys: signed by a key that still counts and signs no more. */
export interface Read {
  readonly snapshot: Snapshot;
  readonly isOlderKeys: boolean;
}

const ringOf = (env: Env) => signingRing(env.TICKET_SIGNING_KEY, "TICKET_SIGNING_KEY");

/** Null where it is gone, or signed by a key that counts no more: a new one is made from nothing then. */
export async function readSnapshot(env: Env, made: Made): Promise<Read | null> {
  const signed = await readSigned(env, made);
  if (signed === null) return null;
  try {
    const { kid, verifying } = await ringOf(env);
    const signer = decodeProtectedHeader(signed).kid ?? "";
    const { payload } = await compactVerify(signed, verifying.get(signer)!, { algorithms: ["EdDSA"] });
    const snapshot = Snapshot.parse(JSON.parse(await piped(payload, new DecompressionStream("gzip")).text()));
    return { snapshot, isOlderKeys: signer !== kid };
  } catch {
    return null;
  }
}

export async function forgetOlder(env: Env, { region, version }: Made): Promise<void> {
  const { objects } = await env.BUNDLES.list({ prefix: folderOf(region) });
  const versionOf = (key: string): number => Number.parseInt(key.slice(folderOf(region).length));
  const older = objects.map(({ key }) => key).filter((key) => versionOf(key) < version);
  const old = older.sort((a, b) => versionOf(b) - versionOf(a)).slice(KEPT - 1);
  if (old.length > 0) await env.BUNDLES.delete(old);
}

async function sign(env: Env, snapshot: Snapshot): Promise<string> {
  const { kid, signing } = await ringOf(env);
  const packed = await piped(
    new TextEncoder().encode(JSON.stringify(snapshot)),
    new CompressionStream("gzip"),
  ).arrayBuffer();
  return new CompactSign(new Uint8Array(packed))
    .setProtectedHeader({ alg: "EdDSA", typ: SNAPSHOT_TYP, cty: "application/gzip", kid })
    .sign(signing);
}

const piped = (bytes: Uint8Array, through: CompressionStream | DecompressionStream): Response =>
  new Response(new Blob([bytes as BufferSource]).stream().pipeThrough(through));
