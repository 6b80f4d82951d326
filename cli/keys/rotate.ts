// A rotation from its first step to its last: each is repeated until the platform says that nothing holds it. Stopped, it is gone on with.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import { z } from "zod";
import { KeyHold, KeySweep, PlatformKeys, type KeyKind, type PlatformKey } from "../../contracts/keys.ts";
import type { Context } from "../context.ts";
import { shownMs } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import type { KekPlace } from "./places.ts";

const Stepped = z.object({ version: z.string(), hold: KeyHold.nullable() });
/** Between two looks at what holds a step. */
const LOOK_MS = 1_000;

export interface Rotation {
  readonly kind: KeyKind;
  readonly version: string | undefined;
  readonly recipient: string | undefined;
  readonly force: boolean;
  readonly timeoutMs: number;
  readonly place: KekPlace | null;
}

export const readKeys = ({ api }: Context): Promise<PlatformKeys> => api.call(PlatformKeys, "GET", "/v1/keys");

export async function rotateKey(context: Context, rotation: Rotation): Promise<void> {
  const { out } = context;
  const { kind } = rotation;
  const before = await readKeys(context);
  const version = kind === "kek" ? await addKek(context, rotation, before.items) : undefined;
  const wish = { ...(version ? { version } : {}), ...(rotation.recipient ? { recipient: rotation.recipient } : {}) };
  const prepared = await patiently(context, rotation, "prepared", () =>
    context.api.call(Stepped, "POST", `/v1/keys/${kind}`, wish),
  );
  out.note(`${pc.green("✓")} ${kind} ${prepared} is prepared: it is verified by, and not yet used`);
  await patiently(context, rotation, "taken into use", () => step(context, kind, prepared, "activate", rotation.force));
  out.note(`${pc.green("✓")} ${kind} ${prepared} is in use`);
  const sweep = kind === "kek" ? await sweepAll(context, false) : null;
  const after = await readKeys(context);
  const old = after.items.filter((one) => one.kind === kind && one.state === "replaced");
  out.result({ kind, version: prepared, sweep, replaced: old.map((one) => one.version) }, () => {
    out.line(`${kind} ${prepared} is in use.`);
    for (const one of old)
      out.line(`  ${one.version} is believed still; in time: berth keys retire ${kind} ${one.version}`);
  });
}

export async function retireKeyVersion(
  context: Context,
  { kind, version, force, place }: { kind: KeyKind; version: string; force: boolean; place: KekPlace | null },
): Promise<void> {
  // What was written in the moment of the rotation by a Worker that had not heard of it yet.
  if (kind === "kek" && !force) await sweepAll(context, true);
  const { hold } = await step(context, kind, version, "retire", force);
  if (hold !== null)
    throw new CommandFailure(
      `${kind} ${version} is needed still: ${hold.message}${whenText(hold)}`,
      EXIT.failed,
      "--force retires it all the same; what is by it is then believed no more.",
    );
  const needed = (await readKeys(context)).items.filter((one) => one.kind === "kek" && one.state !== "retired");
  const next =
    kind === "kek"
      ? await place?.remove(
          version,
          needed.map((one) => one.version),
        )
      : null;
  context.out.result({ kind, version, retired: true }, () => {
    context.out.line(`${kind} ${version} is retired: nothing is by it any more.`);
    if (kind === "kek" && place === null) context.out.line("  Its Worker secret may go: SECRETS_KEYS_" + version);
    if (next) context.out.line(`  Then: ${next}`);
  });
}

/** The version that the Worker is to have: named, made now, or one that waits from an earlier try. */
async function addKek(context: Context, { version, place }: Rotation, keys: readonly PlatformKey[]): Promise<string> {
  const waiting = keys.find(({ kind, state }) => kind === "kek" && state === "prepared");
  if (waiting !== undefined) return waiting.version;
  const numbers = keys.filter(({ kind }) => kind === "kek").map((one) => Number.parseInt(one.version) || 0);
  const chosen = version ?? String(Math.max(0, ...numbers) + 1);
  if (place === null && version === undefined)
    throw new CommandFailure(
      "Where is the platform's key-encryption key given to its Worker?",
      EXIT.usage,
      "--domain <name> (Cloudflare), --self-hosted <folder>, --local <folder>, or --to one that the Worker has already.",
    );
  const ring = JSON.stringify({ current: chosen, keys: { [chosen]: randomBytes(32).toString("base64url") } });
  const next = await place?.add(chosen, ring);
  if (next) context.out.note(`The key is written. Now, for the Worker to have it: ${pc.bold(next)}`);
  return chosen;
}

/** Until nothing holds it. A Worker that has not got the key yet says conflict, an API that is restarted nothing. */
async function patiently(
  { out }: Context,
  { timeoutMs }: Rotation,
  what: string,
  ask: () => Promise<z.infer<typeof Stepped>>,
): Promise<string> {
  const untilMs = performance.now() + timeoutMs;
  let said = "";
  for (;;) {
    const answer = await ask().catch((error: unknown) => {
      const isSoon =
        error instanceof CommandFailure && (error.problem?.code === "conflict" || error.exitCode === EXIT.unreachable);
      if (!isSoon || performance.now() > untilMs) throw error;
      return { version: "", hold: { message: error.message, untilMs: null } };
    });
    if (answer.hold === null) return answer.version;
    const text = `${answer.hold.message}${whenText(answer.hold)}`;
    if (text !== said) out.note(pc.dim(`… not ${what} yet: ${text}`));
    said = text;
    if (performance.now() > untilMs)
      throw new CommandFailure(
        `Not ${what} within ${shownMs(timeoutMs)}: ${text}`,
        EXIT.unfinished,
        "The same command again goes on. --force waits for nobody.",
      );
    await sleep(LOOK_MS);
  }
}

const whenText = ({ untilMs }: KeyHold): string =>
  untilMs === null ? "" : ` (until ${new Date(untilMs).toISOString().slice(0, 19).replace("T", " ")} UTC)`;

const step = ({ api }: Context, kind: KeyKind, version: string, verb: "activate" | "retire", force: boolean) =>
  api.call(Stepped, "POST", `/v1/keys/${kind}/${encodeURIComponent(version)}/${verb}`, { force });

async function sweepAll({ api, out }: Context, again: boolean): Promise<KeySweep> {
  for (let first = again; ; first = false) {
    const sweep = await api.call(KeySweep, "POST", "/v1/keys/kek/sweep", { again: first });
    out.note(
      pc.dim(`… ${sweep.stage}: ${sweep.rewrapped} of ${sweep.seen} sealed values wrapped under ${sweep.version}`),
    );
    if (sweep.endedAtMs === null) continue;
    if (sweep.failed > 0)
      out.note(pc.yellow(`  ${sweep.failed} could not be opened; the first: ${sweep.firstFailure ?? "unknown"}`));
    return sweep;
  }
}
