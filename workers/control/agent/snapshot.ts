// GET /agent/v1/snapshot: the newest snapshot of the node's region, where it has an older one; and who sees to there being a newer one.
import { RegionName } from "../../../contracts/ids.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import type { ControlRequest } from "../http/context.ts";
import { fail } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { makeSnapshot } from "../snapshots/make.ts";
import { readSigned, type Made } from "../snapshots/store.ts";
import { authenticateAgent } from "./authenticate.ts";

/** An isolate asks the Region this often: a thousand nodes ask it 33 times a second. */
const KNOWN_MS = 2_000;
const known = new Map<RegionName, { readonly made: Made; readonly atMs: number }>();

/** Whoever has the newest costs no object anything; whoever gets one is admitted by its Cell first (revocation, replay). */
export async function snapshot(c: ControlRequest): Promise<Response> {
  const call = await authenticateAgent(c.req.raw, new Uint8Array(), c.env.CREDENTIAL_SIGNING_KEY, { lane: "ask" });
  const region = RegionName.parse(call.cell.slice(0, call.cell.lastIndexOf(".")));
  const [have, least] = [Number(c.req.query("have") ?? 0), Number(c.req.query("least") ?? 0)];
  const made = await newest(c.env, region, least, (work) => c.executionCtx.waitUntil(work));
  if (made.version === 0 || made.version <= have) return c.body(null, 204);
  unwrap(await ask(() => c.env.CELL.getByName(call.cell).admit(call.proof), { repeatable: false }));
  const signed = await readSigned(c.env, made);
  // A newer one has taken its place since.
  if (signed === null) return fail("not_found", "The snapshot is being replaced: ask again.");
  return c.json({ snapshot: signed, nowMs: Date.now() }, 200, { "cache-control": "no-store" });
}

/** least: the version that the node was told of; one from before is not good enough. */
async function newest(
  env: ControlEnv,
  region: RegionName,
  least: number,
  keepAlive: (work: Promise<unknown>) => void,
): Promise<Made> {
  const remembered = known.get(region);
  const nowMs = Date.now();
  const isGood = remembered !== undefined && remembered.made.version >= least;
  if (isGood && nowMs - remembered.atMs < KNOWN_MS) return remembered.made;
  const { version, digest, turn } = unwrap(
    await ask(() => env.REGION.getByName(region).snapshot({ insist: false }), { repeatable: true }),
  );
  const made = { region, version, digest };
  const remember = (now: Made): Made => {
    known.set(region, { made: now, atMs: nowMs });
    return now;
  };
  if (!turn) return remember(made);
  const making = makeSnapshot(env, made).then(remember, (error: unknown) => {
    console.warn(JSON.stringify({ at: "snapshot", region, error: String(error).slice(0, 300) }));
    return remember(made);
  });
  // The first is waited for; of the others, whoever comes next hears.
  if (version === 0) return making;
  keepAlive(making);
  return remember(made);
}
