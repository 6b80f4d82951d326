// WebSockets through releases in a row: none is to be cut before its release's time is over, and all are told to come back.
import { setTimeout as sleep } from "node:timers/promises";
import { openSockets, type HeldSocket, type HeldSockets } from "../../dev/load/sockets.ts";
import type { World } from "../../test/e2e/support.ts";
import { rolled } from "./way-back.ts";

const SERVICE_RESTART = 1012;
const SECOND_MS = 1_000;
/** Farewells are spread over the last third of a drain: before that, none. */
const STAY_SHARE = 2 / 3;

export interface Releases {
  readonly app: string;
  readonly sockets: number;
  readonly releases: number;
  /** How long an old release serves on. */
  readonly drainMs: number;
}

export interface SocketsSeen {
  readonly opened: number;
  readonly closed: number;
  /** Closed before its own release's time for farewells. */
  readonly early: number;
  /** Opened to a release that was leaving already: an edge may know a route for 5 s that nobody told it is old. */
  readonly openedToLeaving: number;
  /** Closed with another code than the one that says: come back. */
  readonly otherCodes: number;
  /** Between the first and the last close of one release. */
  readonly spreadMs: readonly number[];
  /** The longest that a socket waited for an echo. */
  readonly waitedMsMax: number;
}

/** So many are open at any time: what a release closes is opened anew, as clients do. */
export async function socketsThroughReleases(world: World, wanted: Releases): Promise<SocketsSeen> {
  const { app, sockets: count, drainMs } = wanted;
  const place = { port: world.stack.edgePort, hostname: `${app}.${world.stack.baseDomain}`, everyMs: SECOND_MS };
  const { spec } = (await world.api("GET", `/v1/apps/${app}`)).body.currentRelease;
  const rounds: Round[] = [];
  let held = await openSockets({ ...place, count });
  try {
    for (let release = 0; release < wanted.releases; release += 1) {
      const { version } = (await world.api("GET", `/v1/apps/${app}`)).body.currentRelease;
      const beganAtMs = Date.now();
      await rolled(world, app, "releases", { spec, plan: { strategy: { kind: "rolling" } } });
      rounds.push({ held, version: `v${version}`, beganAtMs });
      held = await openSockets({ ...place, count });
    }
    await untilClosed(rounds, drainMs);
  } finally {
    await Promise.all([held, ...rounds.map((round) => round.held)].map((each) => each.end()));
  }
  return summed(rounds, drainMs);
}

/** held: opened while that version was the current one, which this round's release replaces. */
interface Round {
  readonly held: HeldSockets;
  readonly version: string;
  readonly beganAtMs: number;
}

async function untilClosed(rounds: readonly { held: HeldSockets }[], drainMs: number): Promise<void> {
  const deadlineMs = performance.now() + 2 * drainMs + 60_000;
  while (rounds.some(({ held }) => held.sockets.some(({ closed }) => closed === null))) {
    if (performance.now() > deadlineMs) throw new Error("some sockets outlived their release");
    await sleep(100);
  }
}

/** A release's instances begin to drain some time after its successor's call. */
function summed(rounds: readonly Round[], drainMs: number): SocketsSeen {
  const all = rounds.flatMap(({ held }) => held.sockets);
  const succeededAtMs = new Map(rounds.map(({ version, beganAtMs }) => [version, beganAtMs]));
  const livedOnMs = ({ version, closed }: HeldSocket): number =>
    (closed?.atMs ?? 0) - (succeededAtMs.get(version ?? "") ?? Infinity);
  const closesOf = (sockets: readonly HeldSocket[]): number[] => sockets.map(({ closed }) => closed?.atMs ?? 0);
  return {
    opened: all.length,
    closed: all.filter(({ closed }) => closed !== null).length,
    early: all.filter((socket) => livedOnMs(socket) < drainMs * STAY_SHARE).length,
    openedToLeaving: rounds.reduce(
      (sum, { held, version }) => sum + held.sockets.filter((socket) => socket.version !== version).length,
      0,
    ),
    otherCodes: all.filter(({ closed }) => closed?.code !== SERVICE_RESTART).length,
    spreadMs: rounds.map(({ held }) => Math.max(...closesOf(held.sockets)) - Math.min(...closesOf(held.sockets))),
    waitedMsMax: Math.max(...all.map(({ waitedMsMax }) => waitedMsMax)),
  };
}
