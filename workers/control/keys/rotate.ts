// A key's life, a step at a time: prepared (verified by), in use, replaced (verified by still), retired. Each step says what holds it.
import { exportJWK, generateKeyPair } from "jose";
import { activationHold, retirementHold, type Around } from "../../../core/key-rules.ts";
import { limitsFrom } from "../../../core/limits.ts";
import type { KeyHold, KeyKind, KeyPrepare } from "../../../contracts/keys.ts";
import type { z } from "zod";
import {
  activateKey,
  newestSweep,
  nodesWithKeys,
  prepareKey,
  retireKey,
  type KeyRow,
} from "../../../db/queries/platform-keys.ts";
import type { ControlEnv } from "../env.ts";
import { databaseOf } from "../http/database.ts";
import { fail, failField } from "../http/problem.ts";
import { mergedKeys, secretKeys } from "../secrets/keys.ts";
import { seal } from "../secrets/seal.ts";
import type { KeyedEnv } from "./keyed.ts";
import { keyRows, publishKeys } from "./publish.ts";
import { placeOf } from "./rings.ts";
import { tellOfKey } from "./tell.ts";

type Wish = z.infer<typeof KeyPrepare>;

/** The version that was prepared. */
export async function prepare(env: KeyedEnv, actor: string, kind: KeyKind, wish: Wish): Promise<string> {
  const rows = await keyRows(env.given);
  const waiting = rows.find((row) => row.kind === kind && row.state === "prepared");
  // A step that is repeated goes on with what it began.
  if (waiting !== undefined) return waiting.version;
  const key = await newKey(env, kind, wish);
  const known = rows.find((row) => row.kind === kind && row.version === key.version);
  if (known?.state === "current") return known.version;
  if (known !== undefined || !(await prepareKey(databaseOf(env), key)))
    fail("conflict", `${kind} ${key.version} was ${known?.state ?? "prepared"} before: another version is wanted.`);
  await publishKeys(env.given);
  await tellOfKey(env, { type: "key.prepared", kind, version: key.version, actor });
  return key.version;
}

async function newKey(env: KeyedEnv, kind: KeyKind, { version, recipient }: Wish) {
  const fresh = crypto.randomUUID().replaceAll("-", "").slice(0, 12);
  switch (kind) {
    case "kek": {
      if (version === undefined) return failField("invalid_request", missing("/version", "names the key to use"));
      const { byVersion } = secretKeys(mergedKeys(env.given));
      if (!byVersion.has(version))
        fail(
          "conflict",
          `This Worker has no key-encryption key ${version} yet: give it SECRETS_KEYS_${version} first.`,
        );
      return { kind, version, state: "prepared" as const };
    }
    case "backup":
      if (recipient === undefined) return failField("invalid_request", missing("/recipient", "is the age recipient"));
      return { kind, version: recipient, state: "prepared" as const };
    case "session": {
      const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
      // better-auth numbers its secrets.
      const number = String(Math.floor(Date.now() / 1_000));
      return sealedKey(env, { kind, version: number, secret, half: null });
    }
    case "ticket":
    case "credential": {
      const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
      const named = { kid: `${kind}-${fresh}`, alg: "EdDSA", use: "sig" };
      const secret = JSON.stringify({ ...(await exportJWK(privateKey)), ...named });
      const { x = "" } = await exportJWK(publicKey);
      const half = { kty: "OKP", crv: "Ed25519", x, ...named };
      return sealedKey(env, { kind, version: named.kid, secret, half });
    }
  }
}

async function sealedKey(
  env: KeyedEnv,
  { kind, version, secret, half }: { kind: KeyKind; version: string; secret: string; half: KeyRow["public"] },
) {
  const sealed = await seal(env.SECRETS_KEYS, placeOf(kind, version), secret);
  return { kind, version, state: "prepared" as const, sealed, public: half };
}

const missing = (pointer: string, message: string) => ({ pointer, rule: "required", message });

/** What holds it; null: it was done. */
export async function activate(env: KeyedEnv, actor: string, key: KeyRow, force: boolean): Promise<KeyHold | null> {
  if (key.state === "current") return null;
  if (key.state !== "prepared")
    fail("conflict", `${key.kind} ${key.version} is ${key.state}: it cannot be used again.`);
  const hold = force ? null : activationHold(key, await aroundOf(env, key));
  if (hold !== null) return hold;
  await activateKey(databaseOf(env), key.kind, key.version);
  await publishKeys(env.given);
  await tellOfKey(env, {
    type: "key.activated",
    kind: key.kind,
    version: key.version,
    actor,
    data: { force },
  });
  return null;
}

export async function retire(env: KeyedEnv, actor: string, key: KeyRow, force: boolean): Promise<KeyHold | null> {
  if (key.state === "retired") return null;
  if (key.state === "current") fail("conflict", `${key.kind} ${key.version} is in use: rotate first.`);
  const hold = force ? null : retirementHold(key, await aroundOf(env, key));
  if (hold !== null) return hold;
  await retireKey(databaseOf(env), key.kind, key.version);
  await publishKeys(env.given);
  await tellOfKey(env, { type: "key.retired", kind: key.kind, version: key.version, actor, data: { force } });
  return null;
}

export async function findKey(env: KeyedEnv, kind: KeyKind, version: string): Promise<KeyRow> {
  const row = (await keyRows(env.given)).find((one) => one.kind === kind && one.version === version);
  return row ?? fail("not_found", `There is no ${kind} key ${version}.`);
}

async function aroundOf(env: ControlEnv & Pick<KeyedEnv, "given">, { kind }: KeyRow): Promise<Around> {
  const [waiting, sweep] = await Promise.all([waitingFor(env), newestSweep(databaseOf(env))]);
  const nodes = kind === "ticket" || kind === "credential" ? waiting[kind] : [];
  const { keysSpreadMs: spreadMs } = limitsFrom(env.TUNING);
  return { nowMs: Date.now(), spreadMs, nodesWithout: nodes.map(({ name }) => name), sweep };
}

type Waiting = Awaited<ReturnType<typeof nodesWithKeys>>;

/** Nodes without the prepared ticket key; nodes whose credential is by another key than the present one. */
export async function waitingFor(env: Pick<KeyedEnv, "given">): Promise<{ ticket: Waiting; credential: Waiting }> {
  const rows = await keyRows(env.given);
  const prepared = rows.find((row) => row.kind === "ticket" && row.state === "prepared")?.version;
  const isReplaced = rows.some((row) => row.kind === "credential" && row.state === "replaced");
  const current = rows.find((row) => row.kind === "credential" && row.state === "current")?.version;
  if (prepared === undefined && !isReplaced) return { ticket: [], credential: [] };
  const nodes = await nodesWithKeys(databaseOf(env.given));
  return {
    ticket: prepared === undefined ? [] : nodes.filter(({ ticket }) => ticket?.includes(prepared) !== true),
    credential: isReplaced ? nodes.filter(({ credential }) => credential !== current) : [],
  };
}
